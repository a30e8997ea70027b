"""Classroom 50's `result.json`, of schema `classroom50/result/v1`.

Scores are integers there: where points have fractions, all are given in hundredths. `datetime` is
the commit's, so that a regrade does not turn work that was in time into late work.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from grader import records as r
from grader.errors import BrokenError, InstructorError
from grader.report import marks, words
from grader.report.interface import CleanGrade, Context, line

_WANTED = {
    "classroom": "CLASSROOM",
    "assignment": "ASSIGNMENT",
    "submission": "SUBMISSION_TAG",
    "commit": "COMMIT_URL",
    "release": "RELEASE_URL",
}
COMMIT_TIME = "COMMIT_DATETIME"


def render(grade: CleanGrade, context: Context) -> str:
    """Raises `InstructorError` outside a runner of Classroom 50, `BrokenError` where there is no mark."""
    env = context.environment
    missing = [name for name in (*_WANTED.values(), COMMIT_TIME) if not env.get(name)]
    if missing:
        raise InstructorError(
            f"the environment lacks {', '.join(missing)}, which Classroom 50's runner sets",
            f"Run it there; {COMMIT_TIME} is `git show -s --format=%cI`.",
        )
    given = marks.of(grade)
    if given.failed:
        raise BrokenError(given.failed, "Nothing is written, so that the runner shows a failed job.")
    tests = _tests(given.verdicts)
    identity = {name: env[variable] for name, variable in _WANTED.items()}
    result = {
        "schema": "classroom50/result/v1",
        **identity,
        "review": env.get("REVIEW_URL") or env["COMMIT_URL"],
        "datetime": _utc(env[COMMIT_TIME]),
        "score": sum(test["score"] for test in tests),
        "max-score": sum(test["max-score"] for test in tests),
        "tests": tests,
    }
    return json.dumps(result, indent=2)


def _utc(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InstructorError(f"{COMMIT_TIME}={text!r:.60} is no time", "Use ISO 8601.") from None
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def scale(verdicts: Sequence[r.Verdict]) -> int:
    """1 where all points are integers, else 100: two decimals are all that points have."""
    values = [x for v in verdicts for x in (v.points, v.max_points)]
    return 1 if all(words.exact(x) == int(words.exact(x)) for x in values) else 100


def _tests(verdicts: Sequence[r.Verdict]) -> list[dict[str, Any]]:
    factor, names = scale(verdicts), [line(v.title, 120) for v in verdicts]
    return [
        {
            "test-name": name if names.count(name) == 1 else f"{name} ({v.criterion})",
            "passed": marks.passed(v),
            "score": int(words.exact(v.points) * factor),
            "max-score": int(words.exact(v.max_points) * factor),
        }
        for name, v in zip(names, verdicts, strict=True)
    ]
