"""What platforms are told of a grade: which criteria, how many points, and whether that is final.

Where grading itself failed there is no mark at all: a fault of ours is never a student's zero.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from grader import records as r
from grader.judge.checks import MEASURED
from grader.report import words
from grader.report.clean import plain
from grader.report.view import Seen, structural

LATER = "Not retrained here: validation accuracy is decided later, and its points are not part of this score."
PROVISIONAL = "A person will look at this one; the score may change."
HIDDEN = "Further criteria count that are not shown here, and they are not part of this score."


@dataclass(frozen=True)
class Marks:
    """``verdicts`` are those that are decided here, and ``remarks`` what has to be said about the rest."""

    verdicts: tuple[r.Verdict, ...]
    points: float
    max_points: float
    failed: str
    remarks: tuple[str, ...]

    @property
    def share(self) -> float:
        """Points as a fraction of the possible ones."""
        return self.points / self.max_points if self.max_points else 0.0


def of(seen: Seen) -> Marks:
    """The marks of the criteria that are seen."""
    kept = tuple(v for v in seen.grade.verdicts if not _later(seen.structural, v))
    points, possible = words.total(kept)
    return Marks(kept, points, possible, failure(seen.grade), tuple(_remarks(seen)))


def failure(grade: r.Grade) -> str:
    """Why there is no mark: a problem that is not the student's. Empty if there is one."""
    problem = grade.problem
    if problem is None or problem.kind == "student":
        return ""
    if problem.kind == "unsupported":
        return f"{words.PROBLEM['unsupported']}, so a person will: {plain(problem.message)}"
    lines = plain(problem.message).strip().splitlines() or ["nothing is known of it"]
    said = lines[-1] if lines[0].startswith("Traceback") else lines[0]
    return f"Grading failed by no fault of this submission: {said}"


def unsettled(grade: r.Grade) -> str:
    """Why this grade is none for a gradebook yet. Empty if it is one."""
    if grade.status in ("needs_person", "interrupted"):
        return f"{words.STATUS[grade.status]}, so no grade is written"
    if any(v.outcome == "broken" for v in grade.verdicts):
        return "broken, so no grade is written"
    if any(_later(structural(grade), v) for v in grade.verdicts):
        return "not retrained, so no grade is written"
    return ""


def _later(structural: bool, verdict: r.Verdict) -> bool:
    """Graded without retraining: what needs it is left for later."""
    return structural and verdict.kind in MEASURED and verdict.outcome == "not_reached"


def _remarks(seen: Seen) -> Iterator[str]:
    later = [_later(seen.structural, v) for v in seen.grade.verdicts]
    if any(later):
        yield LATER
    if any(v.needs_review and not left for v, left in zip(seen.grade.verdicts, later, strict=True)):
        yield PROVISIONAL
    if seen.partial:
        yield HIDDEN


def told(verdict: r.Verdict, most: int = 4_000) -> str:
    """A verdict's message, hint and evidence as plain text."""
    lines = [verdict.message]
    if verdict.hint and verdict.outcome != "pass":
        lines.append(verdict.hint)
    lines += [f"- {evidence.text}" for evidence in verdict.evidence[:10]]
    return plain("\n".join(lines))[:most]


def passed(verdict: r.Verdict) -> bool:
    """A borderline verdict passes where it earns all its points."""
    full = verdict.outcome == "borderline" and 0 < verdict.max_points <= verdict.points
    return verdict.outcome == "pass" or full


def problem(grade: r.Grade, most: int = 4_000) -> str:
    """The problem as plain text, if there is one."""
    p = grade.problem
    if p is None:
        return ""
    place = f" (cell {p.cell})" if p.cell else ""
    lines = [
        f"{words.PROBLEM[p.kind]}{place}:",
        p.message,
        *(f"> {x}" for x in p.excerpt.splitlines()),
        p.hint,
    ]
    return plain("\n".join(x for x in lines if x))[:most]
