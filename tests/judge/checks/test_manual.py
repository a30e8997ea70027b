"""A criterion left to a person asks its question, whatever was handed in."""

from __future__ import annotations

from collections.abc import Callable

from grader import records as r
from grader.judge.checks.interface import Subject
from grader.judge.checks.manual import Manual, check


def test_question(subject: Callable[..., Subject], unsupported: r.UnsupportedLayer) -> None:
    """The question is the message; nothing is decided, and nothing required by itself."""
    criterion = Manual(id="x", question="Is the architecture explained?")
    finding = check(criterion, subject(unsupported))
    assert (finding.result, finding.message) == ("manual", "Is the architecture explained?")
    assert criterion.required is False
