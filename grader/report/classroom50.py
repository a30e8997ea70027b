"""Classroom 50's `result.json`, of schema `classroom50/result/v1`.

Scores are integers there: where points have fractions, all are given in hundredths. `datetime` is
the commit's, so that a regrade does not turn work that was in time into late work. It comes from the
environment, or from the push that GitHub describes in a file of its own: the checkout is a student's, and
neither git nor anything else is run or read there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from grader import records as r
from grader.errors import BrokenError, InstructorError
from grader.report import marks, words
from grader.report.interface import Context, View, line
from grader.safe import strict_json

_WANTED = {
    "classroom": "CLASSROOM",
    "assignment": "ASSIGNMENT",
    "submission": "SUBMISSION_TAG",
    "commit": "COMMIT_URL",
    "release": "RELEASE_URL",
}
COMMIT_TIME = "COMMIT_DATETIME"
EVENT_BYTES = 30_000_000  # GitHub's own limit is 25 MB


class _Commit(BaseModel):
    id: str
    timestamp: str


class _Push(BaseModel):
    """What is read of the event that started a workflow; it holds much besides."""

    head_commit: _Commit


def render(view: View, context: Context) -> str:
    """Raises `InstructorError` outside a runner of Classroom 50, `BrokenError` where there is no mark."""
    env = context.environment
    committed = env.get(COMMIT_TIME) or pushed(env)
    missing = [name for name in _WANTED.values() if not env.get(name)] + [COMMIT_TIME] * (not committed)
    if missing:
        raise InstructorError(
            f"the environment lacks {', '.join(missing)}, which Classroom 50's runner sets",
            f"Run it there. {COMMIT_TIME} is when the commit was made; a push on GitHub tells it.",
        )
    given = marks.of(view)
    if given.failed:
        raise BrokenError(given.failed, "Nothing is written, so that the runner shows a failed job.")
    tests = _tests(given.verdicts)
    identity = {name: env[variable] for name, variable in _WANTED.items()}
    result = {
        "schema": "classroom50/result/v1",
        **identity,
        "review": env.get("REVIEW_URL") or env["COMMIT_URL"],
        "datetime": _utc(committed),
        "score": sum(test["score"] for test in tests),
        "max-score": sum(test["max-score"] for test in tests),
        "tests": tests,
    }
    return json.dumps(result, indent=2)


def pushed(environment: Mapping[str, str]) -> str:
    """When the commit that is graded was made, by the push that started this workflow; empty if unknown."""
    try:
        with Path(environment["GITHUB_EVENT_PATH"]).open("rb") as event:
            commit = strict_json.parse(event.read(EVENT_BYTES + 1), _Push, EVENT_BYTES).head_commit
    except (KeyError, OSError, ValueError):
        return ""
    return commit.timestamp if commit.id == environment.get("GITHUB_SHA") else ""


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
