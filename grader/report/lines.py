"""Where in a student's file a cell lies, so that an annotation stands at the line that it speaks of."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAX_BYTES = 20_000_000


@dataclass(frozen=True)
class Source:
    """A notebook or script: its path as annotations name it, and the lines on which code cells start."""

    path: str
    text: str
    cells: tuple[int, ...] = ()

    def line(self, cell: int | None, excerpt: str = "") -> int:
        """The line (from 1) of this text in this code cell (from 1); else of the cell; else the first."""
        start = self.cells[cell - 1] if cell and cell <= len(self.cells) else 1
        wanted = [x.strip() for x in excerpt.splitlines() if x.strip()]
        if not wanted:
            return start
        quoted = {wanted[-1], json.dumps(wanted[-1])[1:-1], json.dumps(wanted[-1], ensure_ascii=False)[1:-1]}
        end = self.cells[cell] - 1 if cell and cell < len(self.cells) else None
        for number, text in enumerate(self.text.split("\n")[start - 1 : end], start):
            if any(x in text for x in quoted):
                return number
        return start


def source(submission: Path | None, root: Path) -> Source | None:
    """The one notebook or script of a submission, named from ``root``; None where it is not clear."""
    file = _file(submission) if submission else None
    if file is None:
        return None
    try:
        if file.stat().st_size > MAX_BYTES:
            return None
        text = file.read_text(encoding="utf-8-sig", errors="replace")
    except OSError:
        return None
    resolved, base = file.resolve(), root.resolve()
    inside = resolved.is_relative_to(base)
    name = resolved.relative_to(base).as_posix() if inside else file.as_posix()
    return Source(name, text, tuple(_starts(text)) if file.suffix == ".ipynb" else ())


def _file(submission: Path) -> Path | None:
    if submission.is_file():
        return submission
    for pattern in ("*.ipynb", "*.py"):
        found = [p for p in sorted(submission.glob(pattern)) if p.is_file()]
        if found:
            return found[0] if len(found) == 1 else None
    return None


def _starts(text: str) -> list[int]:
    """For each code cell the line of its source's first line, found in the order of the cells."""
    try:
        notebook = json.loads(text)
        cells = notebook.get("cells") or notebook["worksheets"][0]["cells"]
        sources = [_first(cell) for cell in cells if cell.get("cell_type") == "code"]
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        return []
    starts, at = [], 0
    for first in sources:
        forms = (json.dumps(first)[:-1], json.dumps(first, ensure_ascii=False)[:-1])
        places = [p for p in (text.find(form, at) for form in forms) if first and p >= 0]
        if places:
            at = min(places)
        starts.append(text.count("\n", 0, at) + 1)
        at += len(first) if places else 0
    return starts


def _first(cell: dict[str, Any]) -> str:
    said = cell.get("source", cell.get("input", ""))
    lines = said.split("\n") if isinstance(said, str) else [str(x) for x in said]
    return next((x.rstrip("\n") for x in lines if x.strip()), "")
