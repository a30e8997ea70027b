"""Reads accuracies that stand alone: returned by `evaluate`, printed, or written in the text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice

from grader.records import SavedScore

MAX_SCORES = 1_000  # of one cell
_LONGEST = 2_000  # characters of a line that can hold a score

_NUMBER = r"(\d{1,3}(?:\.\d{1,20})?|\.\d{1,20})"
# Spaces, but no line feeds: across lines the time would grow with the square of the number of spaces.
_LIST = re.compile(
    r"[^\S\n]*\[[^\S\n]*(?:\d{1,9}(?:\.\d{0,20})?|\.\d{1,20})(?:e-?\d{1,4})?[^\S\n]*,"
    r"[^\S\n]*(\d?\.\d{1,20})[^\S\n]*\][^\S\n]*$"
)
_PRINTED = re.compile(
    r"(?:\b(?:test|testing|validation|valid|val|final|best|evaluation)[ _-](?:set |data )?"
    r"(?:acc|accuracy)|^\W{0,4}accuracy)\b(?: score)?(?: is| of)?(?:\s{0,3}[:=]\s{0,3}|\s)[{(\[]?"
    + _NUMBER + r"(?![\d.])[})\]]?\s?(%?)",
    re.IGNORECASE,
)  # fmt: skip
_IN_A_LOG = re.compile(r"\bloss: .{0,200}\bacc(?:uracy)?: |\bacc(?:uracy)?: .{0,200}\bloss: ")
_PROSE = re.compile(r"(?<![\d.])(?:0?\.(99\d{1,3}|98\d{1,3}|97\d{1,3})|(9[5-9]\.\d{1,3})\s?%?)(?!\.?\d)")
_GOAL = re.compile(
    r"\b(?:goals?|targets?|aim|objective|requires?d?|requirements?|at least|must|should|need|threshold"
    r"|minimum|to (?:get|reach|achieve))\b|≥|>",
    re.IGNORECASE,
)


def printed(lines: Sequence[str], cell: int) -> tuple[SavedScore, ...]:
    """Read `[loss, accuracy]` on a line of its own, and lines like `Test accuracy: 99.34 %`."""
    found: list[SavedScore] = []
    for line in lines:
        if len(line) > _LONGEST or len(found) >= MAX_SCORES:
            continue
        if (scored := _LIST.match(line)) is not None and float(scored[1]) <= 1.0:
            found.append(SavedScore(cell=cell, accuracy=float(scored[1]), source="evaluate"))
        elif not _IN_A_LOG.search(line):
            for number, percent in _PRINTED.findall(line):
                if (accuracy := _fraction(number, percent)) is not None:
                    found.append(SavedScore(cell=cell, accuracy=accuracy, source="printed score"))
    return tuple(found)


def _fraction(number: str, percent: str) -> float | None:
    value = float(number)
    if percent or value > 1.0:
        value = round(value / 100, 10)
    return value if 0.0 < value <= 1.0 else None


def written(prose: str, cell: int) -> tuple[SavedScore, ...]:
    """Read numbers of the text that look like a result. A sentence that states a goal is no claim."""
    found = islice(_percentages(prose), MAX_SCORES)
    return tuple(SavedScore(cell=cell, accuracy=x, source="text") for x in found)


def _percentages(prose: str) -> Iterator[float]:
    sentences = re.split(r"(?<=[.!?])\s|\n", prose)
    results = [s for s in sentences if not _GOAL.search(s)]
    for fraction, percent in _PROSE.findall("\n".join(results)):
        yield float(f"0.{fraction}") if fraction else round(float(percent) / 100, 6)
