"""Forbidden layers: found by type and property, wherever they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from grader import records as r
from grader.judge.checks.forbidden_layer import ForbiddenLayer, check
from grader.judge.checks.interface import Subject

Build = Callable[..., Subject]

CONV = r.Conv2D(name="conv", filters=8, kernel_size=(3, 3))
FLAT = r.Flatten(name="flat")
DENSE = r.Dense(name="dense", units=10)


def forbidden(*layers: str, **properties: Any) -> ForbiddenLayer:
    return ForbiddenLayer(id="x", layers=layers, properties=properties)


def test_absent(subject: Build) -> None:
    """A network without the layer passes."""
    finding = check(forbidden("Dense", "Dropout"), subject(CONV, FLAT))
    assert (finding.result, finding.message) == ("pass", "no Dense or Dropout")


def test_present(subject: Build) -> None:
    """Each one found is evidence, and named in the hint."""
    finding = check(forbidden("Dense", "Flatten"), subject(CONV, FLAT, DENSE))
    assert finding.result == "fail"
    assert finding.message == "Dense or Flatten is not allowed: flat, dense"
    assert finding.hint == "Replace flat, dense."
    assert [(e.layer, e.text) for e in finding.evidence] == [
        ("flat", "flat is a Flatten"),
        ("dense", "dense is a Dense"),
    ]


def test_properties(subject: Build) -> None:
    """Only layers with the property are forbidden."""
    assert check(forbidden("Conv2D", kernel_size=[5, 5]), subject(CONV)).result == "pass"
    finding = check(forbidden("Conv2D", kernel_size=[3, 3]), subject(CONV))
    assert finding.message == "Conv2D with kernel_size 3×3 is not allowed: conv"


def test_unsupported_layer(subject: Build, unsupported: r.UnsupportedLayer) -> None:
    """An unknown layer may hide a forbidden one; a forbidden one that is seen is enough to fail."""
    finding = check(forbidden("Dense"), subject(CONV, unsupported))
    assert finding.result == "unknown"
    assert finding.message.startswith("no Dense seen, but ")
    assert "MyLayer" in finding.message
    assert check(forbidden("Dense"), subject(CONV, FLAT, DENSE, unsupported)).result == "fail"
