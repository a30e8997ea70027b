"""A criterion left to a person."""

from __future__ import annotations

from typing import Literal

from grader.judge.checks.interface import BaseCriterion, Finding, Subject


class Manual(BaseCriterion):
    """``question`` is what the person is asked. No points until one has answered."""

    kind: Literal["manual"] = "manual"
    question: str
    required: bool = False


def check(criterion: Manual, subject: Subject) -> Finding:
    return Finding("manual", criterion.question)
