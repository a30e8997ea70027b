"""What a person should know of a saved notebook is noted, and nothing is noted of a clean one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from grader import records as r
from grader.claims import flags

Make = Callable[..., Any]


def notebook(*counts: int | None, raised: dict[int, str] | None = None) -> r.Program:
    cells = tuple(
        r.Cell(kind="code", source="x", execution_count=count, raised=(raised or {}).get(number, ""))
        for number, count in enumerate(counts, 1)
    )
    return r.Program(name="a", path="a", digest="", cells=cells)


def noted(program: r.Program, model: r.DescribedModel) -> list[tuple[str, int | None]]:
    return [(note.message, note.cell) for note in flags(program, model)]


@pytest.mark.parametrize("counts", [(1, 2, 3), (1, None, 2), (4, 9, 12), (None, None)])
def test_a_clean_notebook(model: Make, counts: tuple[int | None, ...]) -> None:
    """Counts that rise, with gaps for cells that were run again or never."""
    assert noted(notebook(*counts), model(1)) == []


def test_cells_out_of_order(model: Make) -> None:
    """The first pair is told, with the numbers that the student sees."""
    ((message, cell),) = noted(notebook(1, 31, None, 30, 32, 5), model(1))
    assert message.startswith(
        "the cells were not run from top to bottom: "
        "cell 4 (In [30]) before cell 2 (In [31]), and 1 more like it"
    )
    assert cell == 4


def test_saved_errors(model: Make) -> None:
    """A traceback is quoted; an interrupted fit says what that means for its log."""
    program = notebook(1, 2, 3, raised={2: "KeyboardInterrupt", 3: "KeyError: 'conv2d_14'"})
    (interrupted, cell), (failed, _) = noted(program, model(2))
    assert (interrupted, cell) == (
        "the saved fit was interrupted (KeyboardInterrupt): its log is not a whole run", 2,
    )  # fmt: skip
    assert failed == "the saved output ends with KeyError: 'conv2d_14'"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"trained_on": r.DataUse(split="test", images=10_000)}, "trained on the test split: "),
        ({"trained_on": r.DataUse(split="mixed", images=70_000)}, "trained on images of both splits: "),
        (
            {"validated_on": r.DataUse(split="unrecognised", images=128)},
            "validated on 128 images only: ",
        ),
    ],
)
def test_data(model: Make, change: dict[str, Any], message: str) -> None:
    """Test images in training, and accuracies over a handful of images."""
    ((found, cell),) = noted(notebook(1), model(1, **change))
    assert found.startswith(message)
    assert cell == 1
