"""A CSV with the columns of `nbgrader export`: one row per student and the whole assignment."""

from __future__ import annotations

import csv
import io

from grader import records as r
from grader.report import marks, words
from grader.report.interface import CleanResults, Context
from grader.report.table import cell

COLUMNS = ("assignment", "duedate", "timestamp", "student_id", "last_name", "first_name", "email",
           "raw_score", "late_submission_penalty", "score", "max_score")  # fmt: skip


def render_class(results: CleanResults, context: Context) -> str:
    """A grade that is not settled has an empty score, never a zero."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_row(results, entry) for entry in results.entries)
    return stream.getvalue()


def _row(results: r.ClassResults, entry: r.Entry) -> dict[str, str]:
    handed_in, grade = entry.handed_in, entry.grade
    keys = handed_in.keys if handed_in else {}
    last, _, first = _name(entry.student.name)
    settled = grade is not None and not marks.unsettled(grade)
    score = words.points(grade.points) if grade is not None and settled else ""
    row = dict.fromkeys(COLUMNS, "") | {
        "assignment": keys.get("assignment", results.rubric),
        "timestamp": handed_in.submitted_at if handed_in else "",
        "student_id": keys.get("student_id", entry.student.id),
        "last_name": last,
        "first_name": first,
        "email": entry.student.email,
        "raw_score": score,
        "late_submission_penalty": "0" if settled else "",
        "score": score,
        "max_score": words.points(results.max_points),
    }
    return {key: cell(value) for key, value in row.items()}


def _name(full: str) -> tuple[str, str, str]:
    """`Doe, Jane` or `Jane Doe`; nothing where there is only an id."""
    if "," in full:
        return full.partition(",")[0].strip(), ",", full.partition(",")[2].strip()
    first, space, last = full.rpartition(" ")
    return (last, space, first) if space else ("", "", "")
