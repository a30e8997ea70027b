"""The gap between training and validation accuracy, over all attempts."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from grader import records as r
from grader.judge.checks.accuracy_gap import AccuracyGap, check
from grader.judge.checks.interface import Subject

Build = Callable[..., Subject]
Run = Callable[..., r.TrainingRun]


@pytest.mark.parametrize(("at_most", "result"), [(0.0071, "pass"), (0.0069, "fail")])
def test_mean_of_the_best_epochs(subject: Build, run: Run, at_most: float, result: str) -> None:
    """0.004 and 0.010 in the best epochs of two attempts: 0.007 on average."""
    runs = (run([9_000, 9_920], train_accuracy=0.996), run([9_900, 9_800], train_accuracy=1.0))
    finding = check(AccuracyGap(id="x", at_most=at_most), subject(runs=runs))
    assert finding.result == result
    assert finding.message.startswith("training accuracy is +0.0070 from validation accuracy; at most +")
    assert [(e.epoch, e.text) for e in finding.evidence] == [
        (2, "epoch 2: training 0.9960, validation 0.9920"),
        (1, "epoch 1: training 1.0000, validation 0.9900"),
    ]
    assert bool(finding.hint) is (result == "fail")


def test_better_on_validation(subject: Build, run: Run) -> None:
    """With dropout validation is often better: a negative gap is always fine."""
    finding = check(AccuracyGap(id="x", at_most=0), subject(runs=(run([9_940], train_accuracy=0.98),)))
    assert finding.result == "pass"
    assert "-0.0140" in finding.message


@pytest.mark.parametrize("why", [(), (r.because("no_retrain"),)])
def test_not_retrained(subject: Build, run: Run, why: tuple[r.Reason, ...]) -> None:
    """Without a run there is no answer but the reason; runs without numbers count as none."""
    for runs in ((), (run([], ended="diverged"),), (run([100], train_accuracy=None),)):
        finding = check(AccuracyGap(id="x", at_most=1), subject(runs=runs, obstacles=why))
        assert (finding.result, finding.message) == ("unknown", r.sentences(why) or "not retrained")
