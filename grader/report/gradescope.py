"""Gradescope's `/autograder/results/results.json`.

A hidden criterion becomes a hidden test, which makes Gradescope hide the student's total as well.
Where grading failed there is no score in it: Gradescope then shows the autograder as failed.
"""

from __future__ import annotations

import json
from typing import Any

from grader import records as r
from grader.report import marks, words
from grader.report.interface import Context, Whole, for_student, line


def render(whole: Whole, context: Context) -> str:
    """Return the text of `results.json`."""
    return json.dumps(results(whole), indent=2)


def results(whole: Whole) -> dict[str, Any]:
    """Return what `results.json` holds."""
    grade, given = whole.grade, marks.of(whole)
    # What students read says nothing of hidden criteria; Gradescope itself hides the total.
    said = [marks.problem(grade), *(x for x in marks.of(for_student(grade)).remarks if x != marks.HIDDEN)]
    shared: dict[str, Any] = {
        "output": "\n\n".join(x for x in said if x) or line(grade.rubric),
        "output_format": "text",
        "test_output_format": "text",
        "test_name_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "extra_data": _extra(grade),
    }
    if given.failed:
        return shared | {"output": given.failed, "tests": []}
    tests = [_test(number, verdict) for number, verdict in enumerate(given.verdicts, 1)]
    score = {"score": words.number(given.points), "execution_time": _seconds(grade)}
    return score | shared | {"tests": tests, "leaderboard": _leaderboard(grade)}


def _test(number: int, verdict: r.Verdict) -> dict[str, Any]:
    test = {
        "score": words.number(verdict.points),
        "max_score": words.number(verdict.max_points),
        "name": line(verdict.title) + ("" if verdict.required else " (optional)"),
        "number": str(number),
        "output": marks.told(verdict),
        "visibility": "hidden" if verdict.hidden else "visible",
        "extra_data": {"criterion": verdict.criterion, "outcome": verdict.outcome},
    }
    if verdict.needs_review and verdict.outcome in ("not_reached", "broken"):
        return test | {"tags": ["needs review"]}  # neither passed nor failed
    return test | {"status": "passed" if marks.passed(verdict) else "failed"}


def _seconds(grade: r.Grade) -> int:
    return round(sum(epoch.seconds for run in grade.runs for epoch in run.epochs))


def _extra(grade: r.Grade) -> dict[str, Any]:
    p = grade.provenance
    return {
        "status": grade.status,
        "needs_review": grade.needs_review,
        "isolated": p.isolated,
        "submission_digest": p.submission_digest,
        "rubric_digest": p.rubric_digest,
        "grader_version": p.grader_version,
    }


def _leaderboard(grade: r.Grade) -> list[dict[str, Any]]:
    """Small networks first; nothing of it where a criterion is hidden."""
    if grade.model is None or any(v.hidden for v in grade.verdicts):
        return []
    rows = []
    if grade.model.total_parameters is not None:
        rows.append({"name": "parameters", "value": grade.model.total_parameters, "order": "asc"})
    bests = [run.best for run in grade.runs if run.best]
    if bests:
        best = max(bests, key=lambda e: e.correct)
        rows.append({"name": "accuracy", "value": round(best.correct / best.images, 4), "order": "desc"})
    return rows
