"""A class as a table in a terminal: one row for each student, and who needs a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tabulate import tabulate

from grader import records as r
from grader.report import words
from grader.report.interface import CleanResults, Screen, line
from grader.report.terminal import paint, wrap

_STATE = {
    "passed": "passed",
    "not_passed": "not passed",
    "structure_only": "structure passes",
    "needs_person": "needs a person",
    "interrupted": "unfinished",
}
_COLOUR = {"passed": "32", "not_passed": "31", "needs_person": "33", "interrupted": "33"}
_MOST = 20  # things of one kind that are listed below the table


def state(grade: r.Grade) -> str:
    """The status in words, and why where that is no verdict."""
    why = grade.problem
    if why is None or grade.status == "interrupted":
        return _STATE[grade.status]
    return f"{_STATE[grade.status]}: {line(why.message, 100)}"


def render(results: CleanResults, screen: Screen) -> str:
    """Return the table, and below it what a person should look at."""
    parts = [_head(results), _table(results, screen), _attention(results, screen), _similar(results, screen)]
    return "\n\n".join(part for part in (*parts, _left_out(results, screen)) if part)


def _head(results: r.ClassResults) -> str:
    graded = [e.grade for e in results.entries if e.grade]
    counts = Counter(_STATE[grade.status] for grade in graded)
    missing = sum(e.handed_in is None for e in results.entries)
    waiting = len(results.entries) - len(graded) - missing
    told = [f"{count} {what}" for what, count in counts.items()]
    told += [f"{missing} handed in nothing"] * bool(missing) + [f"{waiting} not graded yet"] * bool(waiting)
    return f"{line(results.rubric)}\n{len(results.entries)} students: {', '.join(told)}"


def _table(results: r.ClassResults, screen: Screen) -> str:
    rows = [_row(entry, results.max_points, screen) for entry in results.entries]
    return tabulate(
        rows,
        headers=("student", "result", "points", "parameters", "best", "attempts", ""),
        tablefmt="simple",
        disable_numparse=True,
        colalign=("left", "left", "right", "right", "right", "right", "left"),
    )


def _row(entry: r.Entry, most: float, screen: Screen) -> tuple[str, ...]:
    name, grade = line(entry.student.id, 32), entry.grade
    if grade is None:
        return name, "not graded yet" if entry.handed_in else "nothing handed in", "", "", "", "", ""
    status = paint(_STATE[grade.status], _COLOUR.get(grade.status, ""), screen)
    total = grade.model.total_parameters if grade.model else None
    best = max((run.best.correct for run in grade.runs if run.best), default=None)
    return (
        name, status, f"{words.points(grade.points)}/{words.points(most)}",
        f"{total:,}" if total is not None else "", f"{best:,}" if best is not None else "",
        str(len(grade.runs) or ""),
        ", ".join(_remarks(entry, grade)),
    )  # fmt: skip


def _remarks(entry: r.Entry, grade: r.Grade) -> Iterator[str]:
    if entry.handed_in and entry.handed_in.late:
        yield "late"
    if grade.needs_review:
        yield "look at it"
    if any(v.by_hand for v in grade.verdicts):
        yield "set by hand"


def _attention(results: r.ClassResults, screen: Screen) -> str:
    """Why somebody should look, and what a person has set."""
    lines = []
    for entry in results.entries:
        grade = entry.grade
        if grade is None:
            continue
        if grade.problem is not None and grade.status != "interrupted":
            lines.append(f"{entry.student.id}: {line(grade.problem.message)}")
        lines += [
            f"{entry.student.id}: {v.criterion} set by hand to "
            f"{words.points(v.points)}/{words.points(v.max_points)}: {line(v.message)}"
            for v in grade.verdicts
            if v.by_hand
        ]
    return _list("To look at:", lines, screen)


def _similar(results: r.ClassResults, screen: Screen) -> str:
    lines = [
        f"{', '.join(s.students[:6])}{' …' if len(s.students) > 6 else ''}: {s.kind}, "
        f"{s.likeness:.0%} of the code alike{f' ({line(s.detail)})' if s.detail else ''}"
        for s in results.similar
    ]
    return _list("Alike, for a person to judge:", lines, screen)


def _left_out(results: r.ClassResults, screen: Screen) -> str:
    lines = [f"{line(x.path)}: {line(x.reason)}" for x in results.left_out]
    return _list("Left out:", [*lines, *(line(note) for note in results.notes)], screen)


def _list(title: str, lines: list[str], screen: Screen) -> str:
    more = [f"  and {len(lines) - _MOST} more"] if len(lines) > _MOST else []
    return "\n".join([title, *(wrap(text, screen) for text in lines[:_MOST]), *more]) if lines else ""
