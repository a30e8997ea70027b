"""What a class page says in numbers: counts, the queue for review, and how each criterion went."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from grader import records as r
from grader.report import words

ABSENT = "not_graded"
STATES = {**words.STATUS, ABSENT: "not graded"}


@dataclass(frozen=True)
class Row:
    """One student in the table."""

    entry: r.Entry
    anchor: str
    state: str
    accuracy: float | None = None
    correct: str = ""
    parameters: int | None = None
    verdicts: dict[str, r.Verdict] = field(default_factory=dict)
    review: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The student's name, or the id where there is none."""
        return self.entry.student.name or self.entry.student.id


@dataclass(frozen=True)
class CriterionRow:
    """How the class did on one criterion."""

    name: str
    title: str
    hidden: bool
    max_points: float
    counts: dict[str, int]
    mean: float


def rows(results: r.ClassResults) -> list[Row]:
    """Return one row for each student, in the order of the results."""
    return [_row(entry, f"student-{n}") for n, entry in enumerate(results.entries, 1)]


def _row(entry: r.Entry, anchor: str) -> Row:
    grade = entry.grade
    if grade is None:
        return Row(entry, anchor, ABSENT)
    best = max((run.best for run in grade.runs if run.best), key=lambda e: e.correct / e.images, default=None)
    return Row(
        entry,
        anchor,
        grade.status,
        accuracy=best.correct / best.images if best else None,
        correct=f"{best.correct:,} of {best.images:,}" if best else "",
        parameters=grade.model.total_parameters if grade.model else None,
        verdicts={v.criterion: v for v in grade.verdicts},
        review=tuple(_reasons(grade)),
    )


def _reasons(grade: r.Grade) -> Iterator[str]:
    """Why a person should look, each reason in a sentence."""
    if not grade.needs_review:
        return
    if grade.problem is not None:
        yield f"{words.PROBLEM[grade.problem.kind]}: {_last_line(grade.problem.message)}"
    told = [v for v in grade.verdicts if v.needs_review]
    yield from (f"{v.title}: {words.OUTCOME[v.outcome]}. {v.message}" for v in told)
    if not told and grade.problem is None:
        yield "The submission could not be described to its end; see its notes."


def _last_line(text: str) -> str:
    """Of a traceback, the error itself."""
    return (text.strip().splitlines() or [""])[-1]


def states(found: list[Row]) -> list[tuple[str, str, int]]:
    """Key, words and count of each state that occurs."""
    counts = Counter(row.state for row in found)
    return [(key, told, counts[key]) for key, told in STATES.items() if counts[key]]


def criteria(found: list[Row]) -> list[CriterionRow]:
    """One row per criterion, in the rubric's order."""
    seen: dict[str, list[r.Verdict]] = {}
    for row in found:
        for name, verdict in row.verdicts.items():
            seen.setdefault(name, []).append(verdict)
    return [_criterion(name, verdicts) for name, verdicts in seen.items()]


def _criterion(name: str, verdicts: list[r.Verdict]) -> CriterionRow:
    counts = Counter(v.outcome for v in verdicts)
    return CriterionRow(
        name=name,
        title=verdicts[0].title,
        hidden=verdicts[0].hidden,
        max_points=verdicts[0].max_points,
        counts={key: counts[key] for key in words.OUTCOME},  # type: ignore[index]
        mean=sum(v.points for v in verdicts) / len(verdicts),
    )


def outcome_of(row: Row, kind: str) -> str:
    """The outcome of the first criterion of this kind, for a colour; none where there is none."""
    return next((v.outcome for v in row.verdicts.values() if v.kind == kind), "none")
