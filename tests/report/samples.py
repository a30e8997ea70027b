"""What the tests of reports are made of: words, hostile text, verdicts."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

from grader import records as r

STATUSES = {
    "passed": "PASSED",
    "not_passed": "NOT PASSED",
    "structure_only": "STRUCTURE PASSES (not retrained)",
    "needs_person": "NEEDS A PERSON",
    "interrupted": "INTERRUPTED",
}
OUTCOMES = {
    "pass": "pass",
    "fail": "FAIL",
    "borderline": "borderline",
    "not_reached": "not reached",
    "broken": "broken",
}
ENDED = {
    "finished": "all epochs",
    "threshold_reached": "threshold reached",
    "early_stopping": "early stopping",
    "diverged": "the loss was no number",
    "interrupted": "interrupted",
}


PROBLEMS = {
    "student": "The submission cannot be graded:",
    "unsupported": "grader cannot judge this:",
    "broken": "grader failed; this costs the student nothing:",
    "interrupted": "Interrupted:",
}


def verdict(outcome: str, **changes: Any) -> r.Verdict:
    given = {
        "criterion": outcome, "title": f"the {outcome} one", "kind": "required_layer", "outcome": outcome,
        "points": 2.5, "max_points": 10, "required": True, "message": f"said of {outcome}",
    }  # fmt: skip
    return r.Verdict(**(given | changes))


HOSTILE = [
    "\x1b[31mred",
    "\x1b]0;title\x07",
    "\x1b]8;;http://evil\x1b\\click\x1b]8;;\x1b\\",
    "\x9b2J",
    "\x90q\x9c",
    "back\x08\x08\x08",
    "over\rwritten",
    "\u202egnp.exe",
    "\u2066isolate\u2069",
    "zero\u200bwidth\u200d\ufeff",
    "half \ud800 a character",
    "nul\x00nul",
    "line\u2028separator\u2029\x85\x0b\x0c",
    "\ue000private\U000e0041tag",
    "<script>alert(1)</script>",
    "x" * 5_000,
    "fine\nPASSED, 100 of 100 points",
    "</script><img src=x onerror=alert(1)>",
    "</style></title><svg onload=alert(1)>",
    "\"><a href='javascript:alert(1)'>x</a>",
    "]]></failure><testcase name='x'/>&amp;&#0;",
    "{{ 7 * 7 }}{% raw %}",
    '=HYPERLINK("http://evil","x")',
    "+1+1",
    "-2+3",
    "@SUM(1,1)",
    "\t=1+1",
    "＝1+1",
    "|cmd' /C calc'!A0",
    "../../etc/passwd",
    "..\\..\\windows",
    "/etc/passwd",
    "CON",
    "~root",
    "[click](http://evil) ![x](http://evil/x.png)",
    "# heading\n\n- list\n\n```\ncode",
    "```\n````\n</pre>",
    "a | b | c",
    "http://evil.example/ www.evil.example @everyone",
    "::error file=x::forged",
    "%0A::warning::forged",
    '{"scores": {"accuracy": 100}}',
    "a,b;c\td\"e'f",
    "\ufffe\uffff",
]


def unsafe(text: str) -> set[str]:
    bad = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
    return {c for c in text if unicodedata.category(c) in bad} - {"\n", "\t"}


def class_of(grades: Sequence[r.Grade | None], **changes: Any) -> r.ClassResults:
    """Students s1, s2, … with these grades; a student without one is on the roster only."""
    entries = tuple(
        r.Entry(
            student=r.Student(id=f"s{n}", name=f"Student, {n}", email=f"s{n}@example.edu"),
            handed_in=r.HandedIn(layout="plain", path=f"s{n}/work.ipynb") if grade else None,
            grade=grade,
        )
        for n, grade in enumerate(grades, 1)
    )
    return r.ClassResults(**({"rubric": "Assignment 4", "max_points": 100, "entries": entries} | changes))
