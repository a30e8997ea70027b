"""Canvas: fills in the gradebook that the instructor exported, and packs feedback for upload.

Only cells of the one assignment's column change. `EX` (excused) stays, and so does the cell of
everybody who has no settled grade: a blank over a grade would be a change. Never a new column:
Canvas would make a new assignment of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from grader import records as r
from grader.errors import InstructorError
from grader.report import filling, html, marks, words
from grader.report.interface import CleanResults, Context, Files, clean, for_student

_ASSIGNMENT = re.compile(r"^(.*) \((\d+)\)$")
_PEOPLE = ("ID", "SIS User ID", "SIS Login ID", "Integration ID")


def render_class(results: CleanResults, context: Context) -> Files:
    """`canvas.csv`, `feedback.zip` and `remarks.txt`. Raises `InstructorError`."""
    sheet = filling.read(context, "Canvas", "Student")
    column = _column(sheet, results, context)
    possible = _possible(sheet, column)
    told = list(_fill(sheet, column, possible, results))
    return {
        "canvas.csv": sheet.text(),
        "feedback.zip": filling.packed(dict(_feedback(results, context))),
        "remarks.txt": filling.remarks([f"column: {sheet.head[column]}", *told]),
    }


def _column(sheet: filling.Sheet, results: r.ClassResults, context: Context) -> int:
    """The column that was named, or the only one of an assignment, or the one with the rubric's title."""
    titles = {n: m for n, name in enumerate(sheet.head) if (m := _ASSIGNMENT.match(name))}
    wanted = context.column
    if wanted:
        found = [n for n, m in titles.items() if wanted in (m[0], m[1], m[2])]
    else:
        found = list(titles) if len(titles) == 1 else [n for n, m in titles.items() if m[1] == results.rubric]
    if len(found) == 1:
        return found[0]
    known = "; ".join(m[0] for m in titles.values()) or "none"
    asked = f"{wanted!r} is not one assignment of" if wanted else "several assignments are in"
    raise InstructorError(f"{asked} {context.gradebook}", f"Name one with --column: {known}.")


def _possible(sheet: filling.Sheet, column: int) -> float:
    """From the row of points possible, the second one in older exports and the third in newer ones."""
    row = next((row for row in sheet.rows[1:4] if row[0].strip() == "Points Possible"), None)
    possible = filling.number(row[column]) if row else None
    if possible is None:
        raise InstructorError(
            "the gradebook has no points possible for this assignment", "Export it from Canvas again."
        )
    return possible


def _fill(sheet: filling.Sheet, column: int, possible: float, results: r.ClassResults) -> Iterator[str]:
    places = [n for name in _PEOPLE if (n := sheet.column(name)) is not None]
    if possible != results.max_points:
        most = words.points(results.max_points)
        yield f"scaled: {most} points of the rubric are {words.points(possible)} in Canvas"
    people = [row for row in sheet.rows[1:] if row[0].strip() not in ("Points Possible", "")]
    seen: set[int] = set()
    for entry in results.entries:
        rows = [row for row in people if _is(row, places, entry)]
        if len(rows) != 1:
            yield f"{entry.student.id}: {'more than one row' if rows else 'no row'} in the gradebook"
            continue
        seen.add(id(rows[0]))
        yield from _one(rows[0], column, possible, results, entry)
    yield from (f"{row[0]}: in the gradebook, not among the results" for row in people if id(row) not in seen)


def _is(row: list[str], places: list[int], entry: r.Entry) -> bool:
    """By Canvas's own user id where the download told it; else by an id or login, never by name."""
    user = entry.handed_in.keys.get("user") if entry.handed_in else None
    if user:
        return row[places[0]].strip() == user
    ids = {entry.student.id, entry.student.email} - {""}
    return any(row[n].strip() in ids for n in places)


def _one(
    row: list[str], column: int, possible: float, results: r.ClassResults, entry: r.Entry
) -> Iterator[str]:
    grade = entry.grade
    why = "not graded" if grade is None else marks.unsettled(grade)
    if row[column].strip().upper() == "EX":
        why = "excused (EX)"
    if why or grade is None:
        yield f"{entry.student.id}: {why}; the cell stays as it was"
        return
    row[column] = filling.scaled(grade.points, results.max_points, possible)
    if grade.needs_review:
        yield f"{entry.student.id}: filled in, and a person should look at it"


def _feedback(results: r.ClassResults, context: Context) -> Iterator[tuple[str, str]]:
    """Named like the file that was downloaded: that is how Canvas finds whose it is."""
    for entry in results.entries:
        name = entry.handed_in.keys.get("name", "") if entry.handed_in else ""
        if entry.grade is not None and name:
            yield f"{name}.html", html.render(for_student(clean(entry.grade)), context)
