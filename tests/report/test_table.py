"""Flat tables, read back with pandas as their readers would."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
from samples import class_of, verdict

from grader import records as r
from grader.errors import InstructorError
from grader.report import FORMATS
from grader.report.interface import Context
from grader.report.table import cell, long


def test_csv_has_a_row_per_student(klass: r.ClassResults) -> None:
    """Who, what and how many points; a student without a grade has a row and no points."""
    shown = FORMATS["csv"].many(klass, Context())
    table = pd.read_csv(io.StringIO(shown))  # type: ignore[arg-type]
    assert list(table["student"]) == [entry.student.id for entry in klass.entries]
    assert table["points"][0] == 97.5
    assert table["status"].iloc[-1] == "not_graded"
    assert pd.isna(table["points"].iloc[-1])
    assert table["fail_outcome"][0] == "fail"
    assert table["fail_points"][0] == 2.5
    assert table["best_correct"][0] == 9_942
    assert table["total_parameters"][0] == 13_880


def test_long_tables_are_the_same(klass: r.ClassResults) -> None:
    """JSON Lines and Parquet hold the same rows: one per student and criterion."""
    lines = FORMATS["jsonl"].many(klass, Context())
    parquet = FORMATS["parquet"].many(klass, Context())
    first = pd.read_json(io.StringIO(lines), lines=True)  # type: ignore[arg-type]
    second = pd.read_parquet(io.BytesIO(parquet))  # type: ignore[arg-type]
    assert len(first) == len(second) == 5 + 5 * 2 + 1
    assert list(first.columns) == list(second.columns)
    assert list(first["criterion_points"].fillna(-1)) == list(second["criterion_points"].fillna(-1))
    assert str(second["max_points"].dtype) == "float64"
    assert second[second.criterion == "fail"].criterion_max_points.mean() == 10


def test_an_empty_class() -> None:
    """A class without students is a table with its columns."""
    for name in ("csv", "jsonl", "parquet", "html", "json", "junit", "nbgrader"):
        assert FORMATS[name].many(class_of([]), Context()) is not None
    assert FORMATS["csv"].many(class_of([]), Context()).startswith("student,name,email")


def test_parquet_without_pyarrow(klass: r.ClassResults, monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is named, and the format that needs none."""
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(InstructorError, match="needs pyarrow") as caught:
        FORMATS["parquet"].many(klass, Context())
    assert "grader[parquet]" in caught.value.hint


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("=1+1", "'=1+1"),
        ("  -2", "'-2"),
        ("'=x", "''=x"),
        ("1-vanilla", "1-vanilla"),
        (-2.5, -2.5),
        (None, ""),
        ("a\nb", "a b"),
    ],
)
def test_cells(value: Any, shown: Any) -> None:
    """A formula is quoted, a number stays one, a line end does not break the row."""
    assert cell(value) == shown


def test_points_in_long_tables(make: Callable[..., r.Grade]) -> None:
    """Fractions are those of every other format."""
    rows = list(long(class_of([make(points=0.1 + 0.2, verdicts=(verdict("pass", points=1 / 3),))])))
    assert (rows[0]["points"], rows[0]["criterion_points"]) == (0.3, 0.33)
