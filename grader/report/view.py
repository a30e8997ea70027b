"""What a student may see of a grade: all but hidden criteria, and nothing that would give them away."""

from __future__ import annotations

from dataclasses import dataclass

from grader import records as r
from grader.judge.checks import MEASURED
from grader.report import words

PARTIAL = "partial result: not all criteria are shown"


@dataclass(frozen=True)
class View:
    """A grade as somebody may see it, and the verdict to put over it.

    ``state`` is a status or `partial`; the grade's own status would give hidden criteria away.
    """

    grade: r.Grade
    headline: str
    state: str
    partial: bool = False


def whole(grade: r.Grade) -> View:
    """For the instructor."""
    return View(grade, words.STATUS[grade.status], grade.status)


def for_student(grade: r.Grade) -> View:
    """Points are those of the criteria shown; the verdict is told only as far as those decide it."""
    if not any(v.hidden for v in grade.verdicts):
        return whole(grade)
    shown = tuple(v for v in grade.verdicts if not v.hidden)
    points, possible = words.total(shown)
    changes = {
        "verdicts": shown,
        "points": points,
        "max_points": possible,
        "needs_review": _review(grade, shown),
    }
    if any(v.hidden and v.kind in MEASURED for v in grade.verdicts):
        changes |= {"runs": (), "claims": (), "target": None}
    told = _told(grade, shown)
    seen = grade.model_copy(update=changes | ({"status": told} if told else {}))
    return View(seen, words.STATUS[told] if told else PARTIAL, told or "partial", partial=True)


def _told(grade: r.Grade, shown: tuple[r.Verdict, ...]) -> str:
    """The status, if what is shown explains it."""
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
