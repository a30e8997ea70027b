"""The receptive field at the output, along both axes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from grader import records as r
from grader.judge.checks.interface import Subject
from grader.judge.checks.receptive_field import ReceptiveField, check

Build = Callable[..., Subject]

CONVS = [r.Conv2D(name=f"c{n}", filters=2, kernel_size=(3, 3)) for n in range(3)]
POOL = r.MaxPooling2D(name="pool")


@pytest.mark.parametrize(("at_least", "result"), [(11, "fail"), (10, "pass")])
def test_border(subject: Build, at_least: int, result: str) -> None:
    """3 + 2, pooled + 1, and 4 more behind the pooling: 10 pixels."""
    finding = check(ReceptiveField(id="x", at_least=at_least), subject(*CONVS[:2], POOL, CONVS[2]))
    assert finding.result == result
    assert finding.message == f"the output sees 10×10 pixels; {at_least} required"


def test_growth(subject: Build) -> None:
    """Where it is too small, the growth from layer to layer is shown, with a hint."""
    finding = check(ReceptiveField(id="x", at_least=28), subject(*CONVS[:2], POOL, CONVS[2]))
    assert [e.text for e in finding.evidence] == ["input: 1", "c0: 3", "c1: 5", "pool: 6", "c2: 10"]
    assert finding.hint == (
        "Add a convolution, or pool earlier: another 3×3 behind pool makes it 14×14 pixels."
    )
    assert check(ReceptiveField(id="x", at_least=5), subject(CONVS[0])).hint
    assert len(check(ReceptiveField(id="x", at_least=3), subject(CONVS[0])).evidence) == 1


def test_the_shorter_side_counts(subject: Build) -> None:
    """A 1×9 kernel sees nine columns of a single row."""
    flat = r.Conv2D(name="flat", filters=2, kernel_size=(1, 9))
    finding = check(ReceptiveField(id="x", at_least=9), subject(flat))
    assert (finding.result, finding.message) == ("fail", "the output sees 1×9 pixels; 9 required")


def test_flatten_sees_everything(subject: Build) -> None:
    """A Dense layer behind Flatten sees the whole image."""
    layers = (CONVS[0], r.Flatten(name="f"), r.Dense(name="d", units=10))
    assert check(ReceptiveField(id="x", at_least=28), subject(*layers)).result == "pass"


def test_unsupported_layer(subject: Build, unsupported: r.UnsupportedLayer) -> None:
    """Behind an unknown layer nothing is known."""
    finding = check(ReceptiveField(id="x", at_least=3), subject(CONVS[0], unsupported, CONVS[1]))
    assert finding.result == "unknown"
    assert "MyLayer" in finding.message
