"""PrairieLearn's `/grade/results/results.json`.

`gradable: false` costs the student no attempt: it says that grading failed, never that the
submission did. PrairieLearn cannot hide a test, so hidden criteria are in neither list nor score.
"""

from __future__ import annotations

import json
from typing import Any

from grader import records as r
from grader.report import marks, words
from grader.report.interface import Context, View, line

MOST = 900_000  # bytes; the platform refuses 1 MB


def render(view: View, context: Context) -> str:
    """Return the text of `results.json`, without the output of tests where it is too long."""
    shown = json.dumps(_results(view), indent=2)
    if len(shown) <= MOST:
        return shown
    short = _results(view)
    return json.dumps(short | {"tests": [test | {"output": ""} for test in short["tests"]]}, indent=2)


def _results(view: View) -> dict[str, Any]:
    given = marks.of(view)
    if given.failed:
        return {"gradable": False, "message": given.failed, "format_errors": [given.failed]}
    said = [marks.problem(view.grade), *given.remarks]
    return {
        "gradable": True,
        "score": round(given.share, 6),
        "message": f"{words.points(given.points)} of {words.points(given.max_points)} points",
        "output": "\n\n".join(x for x in said if x),
        "tests": [_test(verdict) for verdict in given.verdicts],
    }


def _test(verdict: r.Verdict) -> dict[str, Any]:
    return {
        "name": line(verdict.title),
        "description": "" if verdict.required else "optional",
        "points": words.number(verdict.points),
        "max_points": words.number(verdict.max_points),
        "message": words.OUTCOME[verdict.outcome],
        "output": marks.told(verdict),
    }
