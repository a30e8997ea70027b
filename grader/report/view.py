"""What a reader may see of a grade: a student's `View` without hidden criteria, an instructor's `Whole`.

The two are different types, and a `View` that holds a hidden criterion cannot be made. So a format that
takes a `View` has nothing in its hands that students must not read.
"""

from __future__ import annotations

from dataclasses import dataclass

from grader import records as r
from grader.judge.checks import MEASURED
from grader.report import words
from grader.report.clean import CleanGrade

PARTIAL = "partial result: not all criteria are shown"


@dataclass(frozen=True)
class Seen:
    """A grade as somebody sees it, and the verdict to put over it.

    ``state`` is a status, or `partial` where the status would give hidden criteria away.
    ``structural``: graded without retraining, so that what needs retraining is left for later.
    ``partial``: hidden criteria were left out.
    """

    grade: CleanGrade
    headline: str
    state: str
    structural: bool
    partial: bool = False


@dataclass(frozen=True)
class View(Seen):
    """For a student: hidden criteria are gone, and so is what would give them away."""

    def __post_init__(self) -> None:
        if any(v.hidden for v in self.grade.verdicts):
            raise ValueError("a student's view of a grade must not hold a hidden criterion")


@dataclass(frozen=True)
class Whole(Seen):
    """For an instructor, or for a platform that hides criteria from students by means of its own."""


def whole(grade: CleanGrade) -> Whole:
    """The grade with all that is in it."""
    return Whole(grade, words.STATUS[grade.status], grade.status, structural(grade))


def for_student(grade: CleanGrade) -> View:
    """Points are those of the criteria shown; the verdict is told only as far as those decide it."""
    if not any(v.hidden for v in grade.verdicts):
        return View(**vars(whole(grade)))
    shown = tuple(v for v in grade.verdicts if not v.hidden)
    points, possible = words.total(shown)
    explained = _explained(grade, shown)
    changes = {
        "status": explained or "needs_person",  # the true one may follow from what is hidden
        "verdicts": shown,
        "points": points,
        "max_points": possible,
        "needs_review": _review(grade, shown),
    }
    if any(v.hidden and v.kind in MEASURED for v in grade.verdicts):
        changes |= {"runs": (), "claims": (), "target": None}
    seen = CleanGrade(grade.model_copy(update=changes))
    headline = words.STATUS[explained] if explained else PARTIAL
    return View(seen, headline, explained or "partial", structural(grade), partial=True)


def structural(grade: r.Grade) -> bool:
    """Whether it was graded without retraining; then it has no target."""
    return grade.target is None and grade.problem is None


def _explained(grade: r.Grade, shown: tuple[r.Verdict, ...]) -> str:
    """Return the status if the criteria shown explain it; empty otherwise."""
    if grade.problem is not None:
        return grade.status
    return "not_passed" if any(v.required and _misses(v) for v in shown) else ""


def _misses(verdict: r.Verdict) -> bool:
    return verdict.outcome == "fail" or (
        verdict.outcome == "borderline" and verdict.points < verdict.max_points
    )


def _review(grade: r.Grade, shown: tuple[r.Verdict, ...]) -> bool:
    by_hidden = any(v.hidden and v.needs_review for v in grade.verdicts)
    return any(v.needs_review for v in shown) or (grade.needs_review and not by_hidden)
