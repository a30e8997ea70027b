"""Flat tables for one's own analysis: CSV (a row per student), JSON Lines and Parquet (a row per verdict).

A CSV cell never starts a formula: a spreadsheet shows `'=1+1` where a submission says `=1+1`.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

from grader import records as r
from grader.errors import InstructorError
from grader.report import words
from grader.report.interface import CleanResults, Context, line, plain

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%", "＝", "＋", "－", "＠")


def cell(value: Any) -> Any:
    """A value that no spreadsheet runs; numbers stay numbers, nothing is empty."""
    if value is None:
        return ""
    if not isinstance(value, str):
        return value
    text = line(value, 2_000)
    return f"'{text}" if text.lstrip(" '\"").startswith(_FORMULA) else text


def render_csv(results: CleanResults, context: Context) -> str:
    """A row per student: who, status, points, and outcome and points of each criterion."""
    names = _criteria(results)
    rows = [_wide(entry, names) for entry in results.entries]
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(map(cell, rows[0] if rows else _wide_columns(names)))
    writer.writerows(map(cell, row.values()) for row in rows)
    return stream.getvalue()


def _criteria(results: r.ClassResults) -> list[str]:
    grades = (entry.grade for entry in results.entries if entry.grade)
    return list(dict.fromkeys(v.criterion for grade in grades for v in grade.verdicts))


def _wide_columns(names: list[str]) -> dict[str, Any]:
    empty = r.Entry(student=r.Student(id="-", name=""))
    return _wide(empty, names)


def _wide(entry: r.Entry, names: list[str]) -> dict[str, Any]:
    grade = entry.grade
    verdicts = {v.criterion: v for v in grade.verdicts} if grade else {}
    row = _who(entry) | _result(grade)
    for name in names:
        verdict = verdicts.get(name)
        row[f"{name}_outcome"] = verdict.outcome if verdict else None
        row[f"{name}_points"] = words.points(verdict.points) if verdict else None
    return row | _measured(grade)


def _who(entry: r.Entry) -> dict[str, Any]:
    handed_in = entry.handed_in
    return {
        "student": entry.student.id,
        "name": entry.student.name,
        "email": entry.student.email,
        "path": handed_in.path if handed_in else None,
        "submitted_at": handed_in.submitted_at if handed_in else None,
        "late": int(handed_in.late) if handed_in else None,
    }


def _result(grade: r.Grade | None) -> dict[str, Any]:
    return {
        "status": grade.status if grade else "not_graded",
        "points": words.points(grade.points) if grade else None,
        "max_points": words.points(grade.max_points) if grade else None,
        "needs_review": int(grade.needs_review) if grade else None,
        "problem": grade.problem.kind if grade and grade.problem else None,
        "isolated": int(grade.provenance.isolated) if grade else None,
    }


def _measured(grade: r.Grade | None) -> dict[str, Any]:
    model = grade.model if grade else None
    bests = [run.best for run in grade.runs if run.best] if grade else []
    best = max(bests, key=lambda e: e.correct, default=None)
    return {
        "total_parameters": model.total_parameters if model else None,
        "trainable_parameters": model.trainable_parameters if model else None,
        "layers": len(model.layers) if model else None,
        "attempts": len(grade.runs) if grade else None,
        "best_correct": best.correct if best else None,
        "images": best.images if best else None,
        "submission_digest": grade.provenance.submission_digest if grade else None,
    }


def long(results: r.ClassResults) -> Iterator[dict[str, Any]]:
    """One flat record for each student and criterion; a student without a grade has one without."""
    for entry in results.entries:
        grade = entry.grade
        shared = _who(entry) | _result(grade) | _measured(grade)
        for key in ("points", "max_points"):
            shared[key] = float(shared[key]) if shared[key] is not None else None
        for verdict in grade.verdicts if grade and grade.verdicts else (None,):
            yield {key: _text(value) for key, value in (shared | _verdict(verdict)).items()}


def _text(value: Any) -> Any:
    return plain(value) if isinstance(value, str) else value


def _verdict(verdict: r.Verdict | None) -> dict[str, Any]:
    return {
        "criterion": verdict.criterion if verdict else None,
        "kind": verdict.kind if verdict else None,
        "outcome": verdict.outcome if verdict else None,
        "criterion_points": float(words.exact(verdict.points)) if verdict else None,
        "criterion_max_points": float(words.exact(verdict.max_points)) if verdict else None,
        "required": int(verdict.required) if verdict else None,
        "hidden": int(verdict.hidden) if verdict else None,
        "message": verdict.message if verdict else None,
    }


def render_jsonl(results: CleanResults, context: Context) -> str:
    """`pandas.read_json(path, lines=True)` reads it."""
    return "".join(json.dumps(row) + "\n" for row in long(results))


def render_parquet(results: CleanResults, context: Context) -> bytes:
    """The rows of JSON Lines, typed. Raises `InstructorError` where pyarrow is not installed."""
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError:
        raise InstructorError(
            "Parquet needs pyarrow, which is not installed",
            "pip install 'grader[parquet]', or use -f jsonl, which holds the same rows.",
        ) from None
    columns = list(next(long(_sample()), {}))
    schema = arrow.schema([(name, _arrow_type(arrow, name)) for name in columns])
    stream = io.BytesIO()
    parquet.write_table(arrow.Table.from_pylist(list(long(results)), schema=schema), stream)
    return stream.getvalue()


def _sample() -> r.ClassResults:
    entry = r.Entry(student=r.Student(id="-", name=""))
    return r.ClassResults(rubric="-", max_points=0, entries=(entry,))


_COUNTS = ("late", "needs_review", "total_parameters", "trainable_parameters", "layers", "attempts",
           "best_correct", "images", "required", "hidden", "isolated")  # fmt: skip


def _arrow_type(arrow: Any, name: str) -> Any:
    if name.endswith("points"):
        return arrow.float64()
    return arrow.int64() if name in _COUNTS else arrow.string()
