"""The rows of a summary are the layers of the code, or the first that differs is named."""

from __future__ import annotations

import pytest

from grader import records as r
from grader.claims import tables
from grader.layers.shapes import Analysis, analyse

ROWS = (
    r.SummaryRow(name="in", kind="InputLayer", shape=(28, 28, 1), parameters=0),
    r.SummaryRow(name="conv2d_7", kind="Conv2D", shape=(26, 26, 8), parameters=80),
    r.SummaryRow(name="batch_normalization_3", kind="BatchNor", shape=(26, 26, 8), parameters=32),
    r.SummaryRow(name="max_pooling2d_2", kind="", shape=None, parameters=0),
)


def compared(analysis: Analysis, *rows: r.SummaryRow) -> list[r.ClaimCheck]:
    total = sum(row.parameters or 0 for row in rows)
    return list(tables.compare(r.SavedSummary(cell=1, total=total, rows=rows), analysis))


def changed(index: int, **change: object) -> tuple[r.SummaryRow, ...]:
    return tuple(row.model_copy(update=change) if i == index else row for i, row in enumerate(ROWS))


def test_the_same_layers(analysis: Analysis) -> None:
    """Names are the student's; kinds may be cut short or missing."""
    (found,) = compared(analysis, *ROWS)
    assert (found.claim, found.agrees) == ("the saved summary lists 3 layers", True)


@pytest.mark.parametrize(
    "rows",
    [changed(1, shape=(8, 26, 26)), changed(1, kind="Convolution2D"), changed(1, shape=(None, None, 8))],
)
def test_the_same_layers_in_other_words(analysis: Analysis, rows: tuple[r.SummaryRow, ...]) -> None:
    """Theano's order of the axes, older names, and sizes that are not told."""
    assert compared(analysis, *rows)[0].agrees is True


@pytest.mark.parametrize(
    ("rows", "claimed"),
    [
        (changed(1, kind="Dense"), "conv2d_7 (26×26×8, 80 parameters)"),
        (changed(1, shape=(24, 24, 8)), "conv2d_7 (24×24×8, 80 parameters)"),
        (changed(1, parameters=81), "conv2d_7 (26×26×8, 81 parameters)"),
        (changed(2, kind="Dropout"), "batch_normalization_3 (26×26×8, 32 parameters)"),
    ],
)
def test_another_layer(analysis: Analysis, rows: tuple[r.SummaryRow, ...], claimed: str) -> None:
    """The first row that is not there is told, with what the code has in its place."""
    (found,) = compared(analysis, *rows)
    assert found.agrees is False
    assert claimed in found.claim
    assert found.found.startswith("the code builds 3, there ")


def test_another_number_of_layers(analysis: Analysis) -> None:
    """Rows too many or too few."""
    (fewer,) = compared(analysis, *ROWS[:3])
    assert (fewer.agrees, fewer.found) == (False, "the code builds 3, there c (13×13×8, 0 parameters)")
    more = r.SummaryRow(name="flatten", kind="Flatten", shape=(1_352,), parameters=0)
    (longer,) = compared(analysis, *ROWS, more)
    assert (longer.agrees, longer.found) == (False, "the code builds 3, not that one")


@pytest.mark.parametrize(
    "rows", [ROWS[:1], (*ROWS, r.SummaryRow(name="m", kind="Model", shape=None, parameters=0))]
)
def test_no_table_to_compare(analysis: Analysis, rows: tuple[r.SummaryRow, ...]) -> None:
    """Nothing but an input, or a model within the model, of which the summary shows one row."""
    assert compared(analysis, *rows) == []


def test_a_cut_table_is_not_compared(analysis: Analysis) -> None:
    """Its rows do not hold the total."""
    assert list(tables.compare(r.SavedSummary(cell=1, total=500, rows=ROWS), analysis)) == []


def test_branches_may_come_in_another_order() -> None:
    """Keras lists a graph by depth; the same layers in another order are the same."""
    layers = (
        r.InputLayer(name="in", shape=(4,)),
        r.Dense(name="a", inbound=("in",), units=2),
        r.Dense(name="b", inbound=("in",), units=3),
        r.Concatenate(name="c", inbound=("a", "b")),
    )
    branched = analyse(r.ModelDescription(inputs=("in",), layers=layers, outputs=("c",)))
    rows = (
        r.SummaryRow(name="b", kind="Dense", shape=(3,), parameters=15),
        r.SummaryRow(name="a", kind="Dense", shape=(2,), parameters=10),
        r.SummaryRow(name="c", kind="Concatenate", shape=(5,), parameters=0),
    )
    assert compared(branched, *rows)[0].agrees is True
