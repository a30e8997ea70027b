"""Reads a submission's cells -> the claims in their saved outputs and text. Nothing is compared here."""

from __future__ import annotations

import re
from collections.abc import Iterator

from grader.claims import logs, scores, summaries
from grader.records import Cell, Claims, Program

MAX_CLAIMS = 1_000  # of each kind; a notebook has a handful

Numbered = Iterator[tuple[int, Cell]]


def numbered(program: Program) -> Numbered:
    """Yield cells with their number among the code cells; a text cell has the number of the code above it."""
    number = 0
    for cell in program.cells:
        number += cell.kind == "code"
        yield number, cell


def read(program: Program) -> Claims:
    """Collect every summary, training log and printed score. Takes time in proportion to the text."""
    found = Claims()
    for number, cell in numbered(program):
        if cell.kind == "code":
            lines = [line for line in re.split(r"[\r\n]", cell.output) if len(line) > 3]
            own = Claims(
                summaries=summaries.read(lines, number),
                logs=logs.read(lines, number),
                scores=scores.printed(lines, number),
            )
        else:
            own = Claims(scores=scores.written(cell.source, number))
        found = _joined(found, own)
    return found


def _joined(a: Claims, b: Claims) -> Claims:
    return Claims(
        summaries=(*a.summaries, *b.summaries)[:MAX_CLAIMS],
        logs=(*a.logs, *b.logs)[:MAX_CLAIMS],
        scores=(*a.scores, *b.scores)[:MAX_CLAIMS],
    )
