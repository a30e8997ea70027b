"""Layers that do nothing: rates of 0, branches that are multiplied away, layers that never train."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from grader import records as r
from grader.judge.checks.effect import idle
from grader.judge.checks.interface import Subject
from grader.judge.checks.required_layer import RequiredLayer, check
from grader.layers.shapes import analyse

CONV = r.Conv2D(name="conv", filters=8, kernel_size=(3, 3), padding="same")
END = (r.Flatten(name="flat"), r.Dense(name="scores", units=10))
ZEROS = {"kernel_initializer": r.ZEROS, "trainable": False}


def branch(*layers: r.Layer, by: str = "Add") -> tuple[r.Layer, ...]:
    """Layers in a row behind a convolution, and beside it; both come together again."""
    rows = [CONV]
    for layer in layers:
        rows.append(layer.model_copy(update={"inbound": (rows[-1].name,)}) if not layer.inbound else layer)
    return (*rows, r.Merge(name="both", type=by, inbound=("conv", rows[-1].name)), *END)


def one(name: str, **changes: Any) -> r.Conv2D:
    return r.Conv2D(name=name, filters=8, kernel_size=(1, 1), **changes)


NOTHING: dict[str, tuple[tuple[r.Layer, ...], set[str]]] = {
    "no rate": ((r.Dropout(name="drop", rate=0.0), *END), {"drop"}),
    "hardly a rate": ((r.SpatialDropout2D(name="drop", rate=1e-6), *END), {"drop"}),
    "no noise": ((r.GaussianNoise(name="noise", stddev=0.0), *END), {"noise"}),
    "never normalizes": ((r.BatchNormalization(name="norm", trainable=False), *END), {"norm"}),
    "a branch times 0": (
        branch(one("a"), r.BatchNormalization(name="norm"), r.Rescaling(name="none", scale=0.0)),
        {"a", "norm", "none"},
    ),
    "a branch less itself": (
        branch(one("a"), r.Merge(name="none", type="Subtract", inbound=("a", "a"))), {"a", "none"},
    ),
    "a branch cut to 0": (branch(one("a"), r.ReLU(name="none", max_value=0.0)), {"a", "none"}),
    "frozen zeros": (
        branch(one("a"), r.Dropout(name="drop", rate=0.5), one("none", **ZEROS)), {"a", "drop", "none"},
    ),
    "times zeros": (
        (CONV, one("a"), r.Rescaling(name="zero", scale=0.0, inbound=("conv",)),
         r.Merge(name="none", type="Multiply", inbound=("a", "zero")),
         r.Merge(name="both", type="Add", inbound=("conv", "none")), *END),
        {"a", "zero", "none"},
    ),
    "a constant far away": (
        branch(one("a"), r.Rescaling(name="b", scale=0.0, offset=1.0),
               r.MaxPooling2D(name="c", pool_size=(1, 1), strides=(1, 1)), one("d")),
        {"a", "b", "c", "d"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NOTHING)
def test_what_does_nothing_is_found(name: str, network: Callable[..., Any]) -> None:
    """By its own settings, or because nothing that depends on it reaches the scores."""
    layers, nothing = NOTHING[name]
    built = network(*layers)
    assert set(idle(built, analyse(built))) == nothing


WORKS: dict[str, tuple[r.Layer, ...]] = {
    "the smallest rate of the course": (r.Dropout(name="drop", rate=0.01), *END),
    "a residual that starts at zero": branch(
        one("a"), r.BatchNormalization(name="norm", gamma_initializer=r.ZEROS)
    ),
    "random weights that never train": branch(one("a", trainable=False)),
    "zeros that train": branch(one("a", kernel_initializer=r.ZEROS)),
    "an attention": branch(one("a"), r.ActivationLayer(name="s", activation="sigmoid"), by="Multiply"),
    "scaled": branch(one("a"), r.Rescaling(name="s", scale=0.1)),
}


@pytest.mark.parametrize("name", WORKS)
def test_what_works_is_left_alone(name: str, network: Callable[..., Any]) -> None:
    """Whatever a network may honestly have."""
    built = network(*WORKS[name])
    assert idle(built, analyse(built)) == {}


def test_experiments_say_more_than_records(network: Callable[..., Any], run: Callable[..., Any]) -> None:
    """What all retrained networks agree on: places of layers, and whether anything is dropped."""
    built = network(CONV, r.Dropout(name="drop", rate=0.5), *END)
    analysis = analyse(built)

    def found(*effects: r.Effects | None) -> set[str]:
        runs = [run([9_900]).model_copy(update={"effects": one}) for one in effects]
        return set(idle(built, analysis, runs))

    still = r.Effects(idle=(1,), random=False, images=2_000)
    assert found(still) == found(still, still, None) == {"conv", "drop"}
    assert found(still, r.Effects(idle=(), random=False, images=2_000)) == {"drop"}
    assert found(still, r.Effects(idle=(1,), random=True, images=2_000)) == {"conv"}
    assert found() == found(None) == set()


def test_a_required_layer_has_to_do_something(subject: Callable[..., Subject]) -> None:
    """The verdict names the layer and the reason; one that works is enough."""
    asked = RequiredLayer(id="x", layer="Dropout")
    off, on = r.Dropout(name="off", rate=0.0), r.Dropout(name="on", rate=0.1)
    finding = check(asked, subject(off, *END))
    assert (finding.result, finding.hint) == ("fail", "Let off change what the network computes.")
    assert finding.message == "no Dropout that has an effect; 1 required; off does nothing: its rate is 0"
    finding = check(asked, subject(off, on, *END))
    assert (finding.result, finding.message) == ("pass", "1 × Dropout: on")
    assert [e.text for e in finding.evidence] == ["on", "off does nothing: its rate is 0"]
