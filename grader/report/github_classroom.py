"""GitHub Classroom (legacy): the step output `result`, which its reporter reads.

Base64 of JSON. Every test has a score and a line number: a missing score was shown as NaN.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from grader import records as r
from grader.report import marks, words
from grader.report.interface import Context, View, line
from grader.report.lines import Source, source


def render(view: View, context: Context) -> str:
    """The line for `$GITHUB_OUTPUT`."""
    root = Path(context.environment.get("GITHUB_WORKSPACE", "."))
    encoded = base64.b64encode(json.dumps(_result(view, source(context.submission, root))).encode())
    return f"result={encoded.decode()}\n"


def _result(view: View, where: Source | None) -> dict[str, Any]:
    given = marks.of(view)
    if given.failed:
        broken = _test("grading", "error", 0, given.failed, where, 1)
        return {
            "version": 1,
            "status": "error",
            "max_score": words.number(given.max_points),
            "tests": [broken],
        }
    tests = [_of(verdict, where) for verdict in given.verdicts]
    passed = all(test["status"] == "pass" for test in tests) and view.grade.problem is None
    return {
        "version": 1,
        "status": "pass" if passed else "fail",
        "max_score": words.number(given.max_points),
        "tests": tests,
    }


def _of(verdict: r.Verdict, where: Source | None) -> dict[str, Any]:
    cell = next((e.cell for e in verdict.evidence if e.cell), None)
    number = where.line(cell) if where else 1
    status = "pass" if marks.passed(verdict) else "error" if verdict.outcome == "broken" else "fail"
    return _test(line(verdict.title), status, verdict.points, marks.told(verdict), where, number)


def _test(
    name: str, status: str, points: float, message: str, where: Source | None, number: int
) -> dict[str, Any]:
    return {
        "name": name,
        "status": status,
        "score": words.number(points),
        "message": message,
        "test_code": "",
        "filename": where.path if where else "",
        "line_no": number,
        "duration": 0,
    }
