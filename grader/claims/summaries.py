"""Reads `model.summary()` as every Keras printed it.

Keras 1 and 2 cut names to their column, tf.keras wraps them since 2.6, Keras 3 draws boxes. All patterns are
anchored and bounded, so that reading takes time in proportion to the text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from grader.records import SavedSummary, SummaryRow

MAX_SUMMARIES, MAX_ROWS = 1_000, 1_000  # of one cell, of one summary
_LONGEST = 600  # characters of a line that can be part of a table

_COUNT = re.compile(r"\W{0,8}(Total|Trainable|Optimizer) params:[^\S\n]{0,40}(\d[\d,_.]{0,19})(?!\d)")
_HEAD = re.compile(r"[\s│┃|]{0,8}Layer \(type\)")
_SHAPE = r"\([^()]{0,120}\)|\[[^\[\]]{0,120}\]|multiple|\?"
_ROW = re.compile(
    rf"\s{{0,3}}([\w/.:-]{{1,200}})(?: \(([\w.]{{0,80}})\)?)?\s{{1,80}}({_SHAPE})"
    r"\s{1,80}(\d[\d,]{0,20})\b"
)
_TYPED = re.compile(r"([^\s(]{1,200})\s*(?:\(([\w.]{0,80}))?")


def read(lines: Sequence[str], cell: int) -> tuple[SavedSummary, ...]:
    """Read the summaries in the output of one cell."""
    found: list[SavedSummary] = []
    table = _Table()
    for line in lines:
        if (count := _COUNT.match(line)) is not None:
            _note(found, table, count[1], count[2], cell)
        elif _HEAD.match(line):
            table = _Table()
        elif len(line) <= _LONGEST:
            table.take(line)
    return tuple(found)


def _note(found: list[SavedSummary], table: _Table, kind: str, digits: str, cell: int) -> None:
    number = int(re.sub(r"[,_.]", "", digits))
    if kind == "Total":
        if len(found) < MAX_SUMMARIES:
            found.append(SavedSummary(cell=cell, total=number, rows=table.rows()))
        table.clear()
    elif found and kind == "Trainable":
        found[-1] = found[-1].model_copy(update={"trainable": number})
    elif found and number < found[-1].total:
        found[-1] = found[-1].model_copy(update={"total": found[-1].total - number})


class _Table:
    """Collects the rows of one table, line by line."""

    def __init__(self) -> None:
        self._rows: list[SummaryRow] = []
        self._columns: list[str] = []  # of a boxed row, which may go over several lines

    def take(self, line: str) -> None:
        """Read a line, which may be a row, part of a boxed row, or neither."""
        start = line.lstrip()[:1]
        if start == "│":
            cells = [part.strip() for part in line.split("│")[1:-1]]
            held = self._columns or [""] * len(cells)
            self._columns = [(a + b)[:_LONGEST] for a, b in zip(held, cells, strict=False)]
        elif start in "├└┡┏╇" and start:
            self._close()
        elif (row := _ROW.match(line)) is not None:
            self._add(row[1], row[2] or "", row[3], row[4])

    def _close(self) -> None:
        columns, self._columns = self._columns, []
        if len(columns) >= 3 and (named := _TYPED.match(columns[0])) is not None:
            self._add(named[1], named[2] or "", columns[1], columns[2])

    def _add(self, name: str, kind: str, shape: str, parameters: str) -> None:
        if len(self._rows) < MAX_ROWS:
            self._rows.append(
                SummaryRow(name=name, kind=kind, shape=_shape(shape), parameters=_number(parameters))
            )

    def rows(self) -> tuple[SummaryRow, ...]:
        """Finish the last row and return all of them."""
        self._close()
        return tuple(self._rows)

    def clear(self) -> None:
        """Forget the rows, for the next table."""
        self._rows, self._columns = [], []


def _shape(text: str) -> tuple[int | None, ...] | None:
    """Read a shape without its batch axis; None for `multiple` or several shapes."""
    if text.count("(") != 1:
        return None
    sizes = re.findall(r"None|\d{1,12}", text)
    return tuple(None if size == "None" else int(size) for size in sizes[1:])


def _number(text: str) -> int | None:
    digits = re.match(r"\d[\d,]{0,20}", text)
    return int(digits[0].replace(",", "")) if digits else None
