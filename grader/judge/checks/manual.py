"""Leaves a criterion to a person."""

from __future__ import annotations

from typing import Literal

from grader.judge.checks.interface import BaseCriterion, Finding, Subject


class Manual(BaseCriterion):
    """``question`` is put to a person. No points until a person has answered."""

    kind: Literal["manual"] = "manual"
    question: str
    required: bool = False


def check(criterion: Manual, subject: Subject) -> Finding:
    """Pass the question on; no verdict comes from this check."""
    return Finding("manual", criterion.question)
