"""Real submissions retrained to their verdict on the whole of MNIST. `make slow` runs these."""

from __future__ import annotations

from pathlib import Path

import pytest

from grader.ask.training import Watcher
from grader.grade import one
from grader.grade.session import prepare
from grader.judge import rubric

SUBMISSIONS = Path(__file__).parents[2] / "submissions"

pytestmark = pytest.mark.slow


def test_submission_3_passes() -> None:
    """13,880 parameters, BatchNormalization, dropout and a schedule: 99.4 % within 20 epochs."""
    with prepare(rubric.load("assignment4"), True, Watcher()) as grading:
        grade = one.grade_one(SUBMISSIONS / "3-bn-dropout-schedule", grading)
    accuracy = next(v for v in grade.verdicts if v.kind == "validation_accuracy")
    assert accuracy.outcome in ("pass", "borderline")
    assert max(run.best.correct for run in grade.runs if run.best) >= 9_940
    assert all(len(run.epochs) <= 20 for run in grade.runs)


def test_submission_2_clearly_misses() -> None:
    """Plain SGD without BatchNormalization ends near 98 %: two attempts settle it."""
    with prepare(rubric.load("assignment3"), True, Watcher()) as grading:
        grade = one.grade_one(SUBMISSIONS / "2-fewer-kernels", grading)
    assert grade.status == "not_passed"
    assert len(grade.runs) == 2
    assert grade.runs[0].best is not None
    assert 9_600 < grade.runs[0].best.correct < 9_900
