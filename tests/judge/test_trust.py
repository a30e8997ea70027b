"""What attempts say about learning, and what they do not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from grader import records as r
from grader.judge.trust import doubt

RENUMBERED = r.Symmetry(classes=(1, 2, 0))
Run = Callable[..., r.TrainingRun]


@pytest.fixture
def attempt(run: Run) -> Run:
    """A run of 10,000 images with a symmetry, and what the network gets right without learning."""

    def build(
        *counts: int, initial: int = 1_000, settled: int | None = None, **changes: Any
    ) -> r.TrainingRun:
        untrained = r.Untrained(initial=initial, settled=settled, images=10_000)
        return run(counts).model_copy(update={"untrained": untrained, **changes})

    return build


def test_honest_attempts_leave_no_doubt(attempt: Run) -> None:
    """Chance before learning, the same accuracy whatever the classes are called."""
    runs = [attempt(9_945), attempt(9_900, 9_938, symmetry=RENUMBERED, initial=2_900, settled=3_300)]
    assert doubt(runs, 10, 9_940) == ""
    assert doubt([], 10, 9_940) == ""


@pytest.mark.parametrize("known", [{"initial": 9_790}, {"settled": 9_790}])
def test_an_untrained_network_is_at_chance(attempt: Run, known: dict[str, int]) -> None:
    """By its initial weights, or once its averages are the data's; of two classes that says nothing."""
    assert "97.9% of the test images right" in doubt([attempt(9_945, **known)], 10, 9_940)
    assert doubt([attempt(9_945, **known)], 2, 9_940) == ""


def test_renumbered_classes_are_learned_as_well(attempt: Run) -> None:
    """What falls far behind with them was not learned, if it would have been enough."""
    first, second = attempt(9_945), attempt(1_100, symmetry=RENUMBERED, seed=2020)
    assert "99.45%, with the classes renumbered 11.00% (seed 2020)" in doubt([first, second], 10, 9_940)
    assert doubt([first, second], 10, 9_950) == ""
    assert doubt([first, attempt(1_100)], 10, 9_940) == ""
    assert doubt([first, second.model_copy(update={"ended": "interrupted"})], 10, 9_940) == ""
    assert doubt([second, first], 10, 9_940) == ""
    assert doubt([first, attempt(9_800, symmetry=RENUMBERED)], 10, 9_940) == ""


def test_few_images_leave_more_to_chance(run: Run) -> None:
    """95 and 88 of 100 are no difference."""
    renumbered = {"symmetry": RENUMBERED}
    runs = [run([95], images=100), run([88], images=100).model_copy(update=renumbered)]
    assert doubt(runs, 10, 90) == ""
    assert doubt([runs[0], run([60], images=100).model_copy(update=renumbered)], 10, 90) != ""
