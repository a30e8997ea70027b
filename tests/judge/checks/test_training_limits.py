"""Limits on epochs, batch size and learning rate, over all fits of a submission."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from grader import records as r
from grader.judge.checks.interface import Subject
from grader.judge.checks.training_limits import TrainingLimits, check

Build = Callable[..., Subject]
Recipe = Callable[..., r.TrainingRecipe]


def limits(**settings: Any) -> TrainingLimits:
    return TrainingLimits(id="x", **settings)


@pytest.fixture
def two_fits(subject: Build, recipe: Recipe) -> Subject:
    """12 epochs with batches of 32, then 8 with batches of 128; the largest rate is 0.02."""
    first = recipe(epochs=12, batch_size=32, learning_rates=(0.01, 0.02, 0.001), cell=3)
    return subject(recipe=(first, recipe(epochs=8, batch_size=128, learning_rates=(0.005,), cell=4)))


@pytest.mark.parametrize(
    "settings",
    [
        {"epochs_at_most": 20},
        {"batch_size_at_least": 32},
        {"batch_size_at_most": 128},
        {"learning_rate_at_most": 0.02},
        {},
    ],
)
def test_within(two_fits: Subject, settings: dict[str, Any]) -> None:
    """A limit itself is allowed; the fits are summed up."""
    finding = check(limits(**settings), two_fits)
    assert finding.result == "pass"
    assert finding.message == "20 epochs, batch size 32 to 128, learning rate at most 0.02"
    assert [e.cell for e in finding.evidence] == [3, 4]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs_at_most": 19}, "20 epochs, at most 19 allowed"),
        ({"batch_size_at_least": 33}, "batch size 32, at least 33 required"),
        ({"batch_size_at_most": 127}, "batch size 128, at most 127 allowed"),
        ({"learning_rate_at_most": 0.0199}, "learning rate 0.02, at most 0.0199 allowed"),
        (
            {"epochs_at_most": 1, "learning_rate_at_most": 1e-4},
            "20 epochs, at most 1 allowed; learning rate 0.02, at most 0.0001 allowed",
        ),
    ],
)
def test_beyond(two_fits: Subject, settings: dict[str, Any], message: str) -> None:
    """Every limit that is not kept is told, with what was handed in."""
    finding = check(limits(**settings), two_fits)
    assert (finding.result, finding.message) == ("fail", message)
    assert "fit" in finding.hint
    assert finding.evidence[0].text == "fit: 12 epochs, batch size 32, learning rate 0.01"


def test_passes_over_the_images_are_limited_with_the_epochs(subject: Build, recipe: Recipe) -> None:
    """20 epochs of three passes each; one more step than there are batches is no pass more."""
    thrice = subject(recipe=(recipe(steps_per_epoch=1_407),))
    finding = check(limits(epochs_at_most=20), thrice)
    assert finding.message == "20 epochs, 60 passes over the images, at most 20 passes allowed"
    assert check(limits(epochs_at_most=20, passes_at_most=60), thrice).result == "pass"
    assert check(limits(passes_at_most=59), thrice).result == "fail"
    once = subject(recipe=(recipe(steps_per_epoch=470),))
    assert check(limits(epochs_at_most=20), once).result == "pass"
    part = recipe(rows=((0, 6_000),), steps_per_epoch=469)
    assert "200 passes" in check(limits(epochs_at_most=20), subject(recipe=(part,))).message


def test_one_batch_size(subject: Build) -> None:
    """A single batch size is no range."""
    assert "batch size 128, " in check(limits(), subject()).message


def test_the_rubrics_own_recipe(subject: Build) -> None:
    """A submission without training cannot break a limit by the recipe that the rubric fills in."""
    finding = check(limits(epochs_at_most=1), subject(own_recipe=False))
    assert finding.result == "pass"
    assert "no training handed in" in finding.message
