"""Moodle: fills in the grading worksheet that the instructor exported, and packs feedback for upload.

Headers are localised, so columns are found by what is in them. Moodle skips rows that are locked or
out of range without a word; here each of them is told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from grader import records as r
from grader.errors import InstructorError
from grader.report import filling, html, marks, words
from grader.report.interface import CleanResults, Context, Files, clean, for_student, line

_PARTICIPANT = re.compile(r"^\D*?(\d+)$")
_NO = {"no", "nein", "non", "nee", "não", "nao", "nej", "nei", "ei", "nie", "ne", "нет", "ні", "не", "hayır",
       "όχι", "nem", "nu", "いいえ", "否", "아니오", "không", "tidak", "لا", "לא"}  # fmt: skip


@dataclass(frozen=True)
class _Columns:
    grade: int
    most: int
    open: int
    comments: int | None


def render_class(results: CleanResults, context: Context) -> Files:
    """`moodle.csv`, `feedback.zip` and `remarks.txt`. Raises `InstructorError`."""
    sheet = filling.read(context, "Moodle", "")
    columns = _columns(sheet, str(context.gradebook))
    told = list(_fill(sheet, columns, results))
    return {
        "moodle.csv": sheet.text(),
        "feedback.zip": filling.packed(dict(_feedback(results, context))),
        "remarks.txt": filling.remarks([f"column: {sheet.head[columns.grade]}", *told]),
    }


def _columns(sheet: filling.Sheet, name: str) -> _Columns:
    """Identifier first; then grade, maximum grade and whether it can be changed, side by side."""
    people = sheet.rows[1:]
    if not all(_PARTICIPANT.match(row[0]) for row in people):
        raise InstructorError(
            f"{name}: its first column does not hold Moodle's identifiers (Participant 123)",
            "Download the grading worksheet from the assignment's grading page.",
        )
    for n in range(2, len(sheet.head) - 1):
        most = {filling.number(row[n]) for row in people}
        words_ = {row[n + 1].strip().casefold() for row in people}
        grades = {
            filling.number(row[n - 1]) if row[n - 1].strip() not in ("", "-") else 0.0 for row in people
        }
        answers = len(words_) <= 2 and all(x and filling.number(x) is None and len(x) < 20 for x in words_)
        if (
            len(most) == 1
            and None not in most
            and max(x or 0 for x in most) > 0
            and answers
            and None not in grades
        ):
            last = len(sheet.head) - 1
            return _Columns(n - 1, n, n + 1, last if last > n + 2 else None)
    raise InstructorError(
        f"{name}: no columns with grade, maximum grade and whether the grade can be changed",
        "Set the assignment to points, and download the grading worksheet again.",
    )


def _fill(sheet: filling.Sheet, columns: _Columns, results: r.ClassResults) -> Iterator[str]:
    rows = {_number(row): row for row in sheet.rows[1:]}
    seen: set[str] = set()
    for entry in results.entries:
        key = _participant(entry, sheet)
        if key not in rows:
            yield f"{entry.student.id}: no row in the worksheet"
            continue
        seen.add(key)
        yield from _one(rows[key], columns, results, entry)
    yield from (
        f"{row[0]}: in the worksheet, not among the results" for key, row in rows.items() if key not in seen
    )


def _number(row: list[str]) -> str:
    match = _PARTICIPANT.match(row[0])
    return match[1] if match else ""


def _participant(entry: r.Entry, sheet: filling.Sheet) -> str:
    """Moodle's number where the download told it; else the one row with this id or e-mail address."""
    told = entry.handed_in.keys.get("participant", "") if entry.handed_in else ""
    if told:
        return told
    ids = {x.casefold() for x in (entry.student.id, entry.student.email) if x}
    found = [row for row in sheet.rows[1:] if any(cell.strip().casefold() in ids for cell in row[:5])]
    return _number(found[0]) if len(found) == 1 else ""


def _one(row: list[str], columns: _Columns, results: r.ClassResults, entry: r.Entry) -> Iterator[str]:
    grade = entry.grade
    why = "not graded" if grade is None else marks.unsettled(grade)
    if row[columns.open].strip().casefold() in _NO:
        why = "locked in Moodle, which would skip it without a word"
    if why or grade is None:
        yield f"{entry.student.id}: {why}; the row stays as it was"
        return
    comma = "," in row[columns.most]
    possible = filling.number(row[columns.most]) or 0.0
    row[columns.grade] = filling.scaled(grade.points, results.max_points, possible, comma)
    if columns.comments is not None:
        row[columns.comments] = _comment(grade)
    if possible != results.max_points:
        most = words.points(results.max_points)
        theirs = words.points(possible)
        yield f"{entry.student.id}: scaled, {most} points of the rubric are {theirs} in Moodle"
    if grade.needs_review:
        yield f"{entry.student.id}: filled in, and a person should look at it"


def _comment(grade: r.Grade) -> str:
    """HTML, for that is what Moodle takes comments for."""
    from markupsafe import Markup

    given = marks.of(for_student(clean(grade)))
    rows = [Markup("{}: {}, {} of {}").format(
        line(v.title), words.OUTCOME[v.outcome], words.points(v.points), words.points(v.max_points)
    ) for v in given.verdicts]  # fmt: skip
    return str(Markup("<p>{}</p>").format(Markup("<br>").join([*rows, *given.remarks])))


def _feedback(results: r.ClassResults, context: Context) -> Iterator[tuple[str, str]]:
    """In folders named like the downloaded ones, or files that begin like the downloaded ones."""
    for entry in results.entries:
        name = entry.handed_in.keys.get("name", "") if entry.handed_in else ""
        if entry.grade is None or not name:
            continue
        flat = re.match(r"^(.*_assignsubmission_file_).+$", name)
        place = f"{flat[1]}feedback.html" if flat else f"{name}/feedback.html"
        yield place, html.render(for_student(clean(entry.grade)), context)
