"""Checks for a written explanation: a number of words of prose."""

from __future__ import annotations

import io
import re
import tokenize
from typing import Annotated, Literal

from pydantic import Field

from grader import records as r
from grader.judge.checks.interface import BaseCriterion, Finding, Subject


class Explanation(BaseCriterion):
    """Words in Markdown cells; in a script, which has none, words in comments and docstrings."""

    kind: Literal["explanation"] = "explanation"
    min_words: Annotated[int, Field(ge=1)]


def check(criterion: Explanation, subject: Subject) -> Finding:
    """Count words of two letters or more, and compare the count with ``min_words``."""
    prose = [cell.source for cell in subject.cells if cell.kind == "markdown"]
    where = "Markdown"
    if not prose:
        prose, where = [_commentary(cell.source) for cell in subject.cells], "comments"
    words = sum(len(re.findall(r"[^\W\d_]{2,}", text)) for text in prose)
    message = f"{words} words of {where}; {criterion.min_words} required"
    evidence = (r.Evidence(text=f"{len(prose)} passages"),)
    if words >= criterion.min_words:
        return Finding("pass", message, evidence=evidence)
    return Finding("fail", message, "Say in your own words what you built and why.", evidence)


def _commentary(source: str) -> str:
    """Return the comments and string statements of a script."""
    found, row = [], 0
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.COMMENT or (
                token.type == tokenize.STRING
                and token.start[0] != row
                and token.string.startswith(("'''", '"""'))
            ):
                found.append(token.string)
            if token.type not in (tokenize.INDENT, tokenize.DEDENT):
                row = token.end[0]
    except (tokenize.TokenError, SyntaxError):
        pass  # the tokens read so far count
    return "\n".join(found)
