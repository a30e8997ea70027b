"""Required layers: types that count alike, properties, a minimum count."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from grader import records as r
from grader.judge.checks.interface import Subject
from grader.judge.checks.required_layer import RequiredLayer, check

Build = Callable[..., Subject]

THREE = r.Conv2D(name="three", filters=8, kernel_size=(3, 3), activation="relu")
ONE = r.Conv2D(name="one", filters=10, kernel_size=(1, 1))
NORM = r.BatchNormalization(name="norm")
PAD = r.ZeroPadding2D(name="pad", padding=((1, 1), (2, 2)))


def required(layer: str | list[str], at_least: int = 1, **properties: Any) -> RequiredLayer:
    return RequiredLayer(id="x", layer=layer, at_least=at_least, properties=properties)


@pytest.mark.parametrize(
    ("criterion", "message"),
    [
        (required("BatchNormalization"), "1 × BatchNormalization: norm"),
        (required(["Dropout", "Conv2D"], 2), "2 × Dropout or Conv2D: three, one"),
        (required("Conv2D", kernel_size=[1, 1]), "1 × Conv2D with kernel_size 1×1: one"),
        (
            required("Conv2D", kernel_size=[3, 3], activation="relu"),
            "1 × Conv2D with kernel_size 3×3, activation relu: three",
        ),
        (
            required("Conv2D", kernel_size=(3, 3), use_bias=True),
            "1 × Conv2D with kernel_size 3×3, use_bias True: three",
        ),
        (
            required("ZeroPadding2D", padding=[[1, 1], [2, 2]]),
            "1 × ZeroPadding2D with padding [1, 1]×[2, 2]: pad",
        ),
    ],
)
def test_found(subject: Build, criterion: RequiredLayer, message: str) -> None:
    """What is asked for is found and named."""
    finding = check(criterion, subject(THREE, ONE, NORM, PAD))
    assert (finding.result, finding.message) == ("pass", message)
    assert [e.layer for e in finding.evidence] == message.split(": ")[1].split(", ")


@pytest.mark.parametrize(
    ("criterion", "message", "hint"),
    [
        (required("Dropout"), "no Dropout; 1 required", "Add a Dropout layer."),
        (required("Conv2D", 3), "only 2 × Conv2D; 3 required", "Add more Conv2D layers."),
        (
            required("Conv2D", kernel_size=[1, 3]),
            "no Conv2D with kernel_size 1×3; 1 required",
            "Add a Conv2D with kernel_size 1×3 layer.",
        ),
        (
            required("Conv2D", kernel_size=[3, 3], filters=9),
            "no Conv2D with kernel_size 3×3, filters 9; 1 required",
            "Add a Conv2D with kernel_size 3×3, filters 9 layer.",
        ),
    ],
)
def test_missing(subject: Build, criterion: RequiredLayer, message: str, hint: str) -> None:
    """What is missing is told with what to add."""
    finding = check(criterion, subject(THREE, ONE, NORM))
    assert (finding.result, finding.message, finding.hint) == ("fail", message, hint)


def test_many(subject: Build) -> None:
    """Only three names are listed, the others counted."""
    drops = [r.Dropout(name=f"d{n}", rate=0.1) for n in range(5)]
    assert check(required("Dropout", 5), subject(*drops)).message == "5 × Dropout: d0, d1, d2 and 2 more"


def test_unsupported_layer(subject: Build, unsupported: r.UnsupportedLayer) -> None:
    """A layer that cannot be described may be the missing one; where enough are seen it does not matter."""
    finding = check(required("Dropout"), subject(NORM, unsupported))
    assert finding.result == "unknown"
    assert finding.message.startswith("0 × Dropout found, but ")
    assert "MyLayer" in finding.message
    assert check(required("BatchNormalization"), subject(NORM, unsupported)).result == "pass"


def test_missing_normalization_is_counted(subject: Build) -> None:
    """Where it would go, and how many parameters the network has then."""
    finding = check(required("BatchNormalization"), subject(THREE, ONE))
    assert finding.hint.startswith("Add a BatchNormalization layer. There is no BatchNormalization behind ")
    total = finding.hint.split("has ")[1].split(" ")[0]
    assert int(total.replace(",", "")) == (subject(THREE, ONE).analysis.total or 0) + 4 * THREE.filters
