"""Parameter limits: exact at the border, and with advice that really helps."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from grader import records as r
from grader.judge.checks.interface import Subject
from grader.judge.checks.parameter_limit import ParameterLimit, check
from grader.layers.shapes import analyse

Build = Callable[..., Subject]

CONV = r.Conv2D(name="conv", filters=8, kernel_size=(3, 3))  # 80 parameters
NORM = r.BatchNormalization(name="norm")  # 16 trainable, 16 not
HEAD = (
    r.Flatten(name="flat"),
    r.Dense(name="scores", units=10),
    r.ActivationLayer(name="softmax", activation="softmax"),
)


def limit(n: int, count: str = "total", comparison: str = "fewer than") -> ParameterLimit:
    return ParameterLimit(id="p", limit=n, count=count, comparison=comparison)


@pytest.mark.parametrize(
    ("criterion", "passes"),
    [
        (limit(113), True),
        (limit(112), False),
        (limit(111), False),
        (limit(112, comparison="at most"), True),
        (limit(111, comparison="at most"), False),
        (limit(97, "trainable"), True),
        (limit(96, "trainable"), False),
        (limit(96, "trainable", "at most"), True),
        (limit(95, "trainable", "at most"), False),
    ],
)
def test_border(subject: Build, criterion: ParameterLimit, passes: bool) -> None:
    """112 parameters, 96 of them trainable: every comparison is exact."""
    finding = check(criterion, subject(CONV, NORM))
    assert finding.result == ("pass" if passes else "fail")
    n = 112 if criterion.count == "total" else 96
    assert finding.message.startswith(f"{n} {criterion.count} parameters, ")
    assert f"{criterion.comparison} {criterion.limit}" in finding.message
    assert finding.evidence[0].text == "total 112, trainable 96, non-trainable 16"


def test_how_many_too_many(subject: Build) -> None:
    """The excess is told, with thousands separated; exactly at the limit nothing is too many."""
    dense = r.Dense(name="d", units=100)
    finding = check(limit(1_000), subject(r.Flatten(name="f"), dense))
    assert finding.message == "78,500 total parameters, not fewer than 1,000: 77,500 too many"
    assert check(limit(112), subject(CONV, NORM)).message == "112 total parameters, not fewer than 112"


def test_hot_spots(subject: Build) -> None:
    """The three layers that hold the most, by share, the largest first."""
    layers = [r.Conv2D(name=f"c{n}", filters=n, kernel_size=(3, 3)) for n in (4, 16, 8, 2)]
    finding = check(limit(100), subject(*layers))
    assert [(e.layer, e.text) for e in finding.evidence[1:]] == [
        ("c8", "c8 holds 1,160 parameters (60%)"),
        ("c16", "c16 holds 592 parameters (31%)"),
        ("c2", "c2 holds 146 parameters (8%)"),
    ]


def test_trainable_hot_spots(subject: Build) -> None:
    """Where trainable parameters are limited, a frozen layer is no hot spot and gets no advice."""
    frozen = r.Conv2D(name="frozen", filters=64, kernel_size=(5, 5), trainable=False)
    finding = check(limit(1_000, "trainable"), subject(frozen, CONV, *HEAD[:1], HEAD[1]))
    assert "frozen" not in finding.hint
    assert {e.layer for e in finding.evidence[1:]} == {"scores", "conv"}
    assert all(float(e.text.split("(")[1].rstrip("%)")) <= 100 for e in finding.evidence[1:])


def narrowed(network: r.ModelDescription, layer: str, name: str, width: int) -> r.ModelDescription:
    layers = tuple(x.model_copy(update={name: width}) if x.name == layer else x for x in network.layers)
    return network.model_copy(update={"layers": layers})


@given(
    filters=st.lists(st.integers(1, 64), min_size=1, max_size=4),
    dense=st.none() | st.integers(1, 100),
    n=st.integers(1, 30_000),
    count=st.sampled_from(["total", "trainable"]),
    comparison=st.sampled_from(["fewer than", "at most"]),
)
def test_advice_fits_exactly(
    subject: Build, filters: list[int], dense: int | None, n: int, count: str, comparison: str
) -> None:
    """The advised width fits, one more does not, and there is still one output for each class."""
    layers: list[r.Layer] = []
    for i, width in enumerate(filters):
        layers += [
            r.Conv2D(name=f"c{i}", filters=width, kernel_size=(3, 3)),
            r.BatchNormalization(name=f"b{i}"),
        ]
    layers.append(r.GlobalAveragePooling2D(name="pool"))
    layers += [r.Dense(name="hidden", units=dense)] if dense else []
    given_subject = subject(*layers, *HEAD[1:])
    criterion = limit(n, count, comparison)
    finding = check(criterion, given_subject)
    assume(finding.result == "fail")
    one = re.search(
        r"with (\d+) instead of (\d+) (filters|units) in (\w+) the network has ([\d,]+)\.$", finding.hint
    )
    every = re.search(
        r"with (\d+)% of the width of every hidden layer the network has ([\d,]+)\.$", finding.hint
    )
    if one is not None:
        fits, width, name, layer = int(one[1]), int(one[2]), one[3], one[4]
        assert 0 < fits < width
        for narrower, holds in ((fits, True), (fits + 1, False)):
            changed = analyse(narrowed(given_subject.network, layer, name, narrower))
            assert criterion.holds(changed) is holds
            assert changed.of("softmax").output == (10,)
        said, network = one[5], narrowed(given_subject.network, layer, name, fits)
    elif every is not None:
        percent, said = int(every[1]), every[2]
        network = all_narrowed(given_subject.network, percent)
        assert not criterion.holds(analyse(all_narrowed(given_subject.network, percent + 1)))
    else:
        assert re.fullmatch(r"\w+ holds [\d,]+ of [\d,]+ parameters\.", finding.hint)
        assert not criterion.holds(analyse(all_narrowed(given_subject.network, 1)))
        return
    assert criterion.holds(analyse(network))
    assert said == f"{criterion.counted(analyse(network)):,}"


def all_narrowed(network: r.ModelDescription, percent: int) -> r.ModelDescription:
    for layer in network.layers:
        for name in ("filters", "units"):
            if hasattr(layer, name) and layer.name != "scores":
                width = max(1, getattr(layer, name) * percent // 100)
                network = narrowed(network, layer.name, name, width)
    return network


def test_advice_says_where_the_parameters_are(subject: Build) -> None:
    """The heaviest layer is named though it must stay: the change is elsewhere."""
    wide = r.Conv2D(name="wide", filters=32, kernel_size=(28, 28))
    pool, scores = r.GlobalAveragePooling2D(name="pool"), r.Dense(name="scores", units=10)
    finding = check(limit(20_000), subject(wide, pool, scores))
    assert finding.hint == (
        "wide holds 25,120 of 25,450 parameters; "
        "with 25 instead of 32 filters in wide the network has 19,885."
    )


def test_a_flattened_map_may_be_averaged(subject: Build) -> None:
    """Where a Dense layer behind Flatten holds nearly everything."""
    finding = check(limit(15_000), subject(r.Conv2D(name="big", filters=32, kernel_size=(3, 3)), *HEAD))
    assert finding.hint == (
        "scores holds 216,330 of 216,650 parameters; "
        "with GlobalAveragePooling2D instead of flat the network has 650."
    )
    assert finding.evidence[1].layer == "scores"


def test_one_filter_fewer_may_be_enough(subject: Build) -> None:
    """Exactly at the limit, a single filter makes the difference."""
    pool, scores = r.GlobalAveragePooling2D(name="pool"), r.Dense(name="scores", units=10)
    finding = check(limit(170), subject(CONV, pool, scores))
    assert finding.hint == (
        "scores holds 90 of 170 parameters; with 7 instead of 8 filters in conv the network has 150."
    )


def test_many_layers_a_little_narrower(subject: Build) -> None:
    """Rather than one layer cut to a sliver: the widths of all hidden layers, and what comes of it."""
    layers = [r.Conv2D(name=f"c{n}", filters=32, kernel_size=(3, 3)) for n in range(6)]
    pool, scores = r.GlobalAveragePooling2D(name="pool"), r.Dense(name="scores", units=10)
    given_subject = subject(*layers, pool, scores)
    finding = check(limit(20_000), given_subject)
    percent = int(re.search(r"with (\d+)% of the width", finding.hint)[1])  # type: ignore[index]
    total = analyse(all_narrowed(given_subject.network, percent)).total
    assert finding.hint.endswith(f"of every hidden layer the network has {total:,}.")


def test_no_width_fits(subject: Build) -> None:
    """Where no narrowing is enough, only the largest share is named."""
    assert check(limit(5), subject(CONV, NORM)).hint == "conv holds 80 of 112 parameters."


def test_residual_connections(subject: Build) -> None:
    """A layer whose width another one must match cannot be narrowed alone: another one is advised."""
    network = r.ModelDescription(
        inputs=("input",),
        layers=(
            r.InputLayer(name="input", shape=(28, 28, 1)),
            r.Conv2D(name="a", filters=16, kernel_size=(3, 3), padding="same", inbound=("input",)),
            r.Conv2D(name="inner", filters=20, kernel_size=(3, 3), padding="same", inbound=("a",)),
            r.Conv2D(name="b", filters=16, kernel_size=(3, 3), padding="same", inbound=("inner",)),
            r.Merge(type="Add", name="add", inbound=("a", "b")),
        ),
        outputs=("add",),
    )
    finding = check(limit(4_000), subject(of=network))
    assert finding.hint == (
        "inner holds 2,900 of 5,956 parameters; with 13 instead of 20 filters in inner the network has 3,933."
    )


def test_unsupported_layer(subject: Build, unsupported: r.UnsupportedLayer) -> None:
    """What cannot be counted is left to a person, and the layer is named."""
    finding = check(limit(10), subject(CONV, unsupported))
    assert finding.result == "unknown"
    assert "MyLayer" in finding.message
