"""Reads text of a notebook, a script or a write-up -> cells of source with their saved output."""

from __future__ import annotations

import html
import json
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from grader.errors import StudentError, Unsupported
from grader.records import Cell

MAX_OUTPUT = 1_000_000  # characters of saved output kept per cell
MAX_CELLS = 5_000
MAX_BRACKETS, MAX_COMMAS = 2_000_000, 10_000_000  # of a notebook's JSON
# Colours and cursor movements (CSI); titles and links (OSC).
_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")
_TAG = re.compile(r"<[^<>]*>")
Read = tuple[list[Cell], dict[str, Any]]


def notebook(text: str, path: Path) -> Read:
    """Read a notebook of any nbformat; nbformat itself brings versions 1 to 3 to version 4.

    Raises `StudentError` for what is no notebook, `Unsupported` for what exceeds grader's bounds.
    """
    try:
        document = _newest(_json(text, path.name), text, path.name)
        raw = document.get("cells")
        if not isinstance(raw, list):
            raise ValueError("it has no list of cells")
        if len(raw) > MAX_CELLS:
            raise _too_much(path.name, f"has {len(raw):,} cells; at most {MAX_CELLS:,}")
        cells = [c for c in map(_notebook_cell, raw) if c is not None]
    except (ValueError, RecursionError) as error:
        raise StudentError(
            f"{path.name} is not a readable notebook: {error or 'it is nested too deeply'}"[:300],
            "Open it in Jupyter, save it again, and check that it is the .ipynb file itself.",
        ) from None
    language = _dict(_dict(document.get("metadata")).get("language_info"))
    python = language.get("version")
    return cells, {"python": str(python)[:40] if python else None}


def _too_much(name: str, limit: str) -> Unsupported:
    """Return the error for a limit of grader's, which is no mistake of a student's."""
    return Unsupported(
        f"{name} {limit} are read",
        "A person should look at the submission. Without its outputs, it may be read.",
    )


def _json(text: str, name: str) -> dict[str, Any]:
    """Parse a JSON object of bounded cost: memory grows with the number of values, not of bytes."""
    if text.count("{") + text.count("[") > MAX_BRACKETS or text.count(",") > MAX_COMMAS:
        raise _too_much(name, f"holds too many values: at most {MAX_BRACKETS:,} lists and objects")
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("it is not a JSON object")
    return value


def _newest(raw: dict[str, Any], text: str, name: str) -> dict[str, Any]:
    """Return the notebook in the form of nbformat 4."""
    if isinstance(version := raw.get("nbformat", 1), int) and version >= 4:
        return raw
    sheets = raw.get("worksheets")
    parts = [raw, *map(_dict, sheets if isinstance(sheets, list) else ())]
    if sum(len(c) for part in parts if isinstance(c := part.get("cells"), list)) > MAX_CELLS:
        raise _too_much(name, f"has too many cells: at most {MAX_CELLS:,}")
    import nbformat

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # missing cell ids and the like do no harm
            return dict(nbformat.convert(nbformat.reader.reads(text), 4))  # type: ignore[no-untyped-call]
    except Exception as error:  # nbformat raises errors of any kind for a file of the wrong shape
        raise ValueError(f"nbformat {raw.get('nbformat')!r}: {type(error).__name__}: {error}"[:200]) from None


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _notebook_cell(raw: Any) -> Cell | None:
    if not isinstance(raw, dict):
        raise ValueError(f"a cell of it is {raw!r}"[:100])
    cell: dict[str, Any] = raw
    source = _joined(cell.get("source"))
    if cell.get("cell_type") == "code":
        outputs = [_dict(o) for o in listed] if isinstance(listed := cell.get("outputs"), list) else []
        return Cell(
            kind="code",
            source=source,
            output=_clean("\n".join(map(_output_text, outputs))),
            execution_count=_count(cell.get("execution_count")),
            raised=next(filter(None, map(_error, outputs)), ""),
        )
    if cell.get("cell_type") == "markdown":
        return Cell(kind="markdown", source=source)
    return None


def _count(value: Any) -> int | None:
    """Return the number of `In [31]`, if a person could reach that number."""
    return value if isinstance(value, int) and 0 < value < 10**9 else None


def _error(output: dict[str, Any]) -> str:
    """Return the last line of a saved traceback, such as `KeyError: 'conv2d_14'`."""
    if output.get("output_type") != "error":
        return ""
    name, value = (_clean(_joined(output.get(key))[:200]) for key in ("ename", "evalue"))
    # Colab writes "ignored" in place of a long message.
    return name if value in ("", "ignored") else f"{name}: {value}"


def _output_text(output: dict[str, Any]) -> str:
    """Return printed text; where a rich display (such as a Keras 3 summary) has none, its HTML's text."""
    data = _dict(output.get("data"))
    text = _joined(output.get("text") or data.get("text/plain"))
    markup = _joined(data.get("text/html"))
    in_markup = "aram" not in text and ("params:" in markup or "Param #" in markup)
    return f"{text}\n{html.unescape(_TAG.sub('', markup))}" if in_markup else text


def _joined(text: Any) -> str:
    return "".join(map(str, text)) if isinstance(text, list) else str(text or "")


def _clean(output: str) -> str:
    """Strip colours and the backspaces of progress bars from saved output."""
    if len(output) > MAX_OUTPUT:  # keep both ends: a summary comes first, results come last
        output = output[: MAX_OUTPUT // 2] + "\n" + output[-MAX_OUTPUT // 2 :]
    return _ANSI.sub("", output).replace("\x08", "")


def script(text: str, path: Path) -> Read:
    """Read a script as one cell, unless `# %%` lines divide it."""
    parts = re.split(r"(?m)^(?=#[^\S\n]*%%)", text, maxsplit=MAX_CELLS + 1)
    return [Cell(kind="code", source=part) for part in parts if part.strip()], {}


_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_PYTHON = {"python", "py", "python3", "ipython", "ipython3", "{.python}", "{python}"}


def markdown(text: str, path: Path) -> Read:
    """Read a write-up: fenced blocks of Python are cells, blocks of text behind one are its output.

    Fences as in CommonMark (https://spec.commonmark.org/0.31.2/#fenced-code-blocks).
    """
    cells: list[Cell] = []
    prose: list[str] = []
    printed: dict[int, list[str]] = {}  # index of a cell of code -> the blocks of text behind it
    code = -1  # index of the last cell of code
    lines = iter(text.split("\n"))
    for line in lines:
        if len(cells) > MAX_CELLS:
            break  # the caller raises `Unsupported`
        opening = _FENCE.match(line)
        info = line[opening.end() :] if opening else ""
        if opening is None or "`" in info:
            prose.append(line)
            continue
        body = "\n".join(_until_closed(lines, opening[1]))
        language = next(iter(info.split()), "").lower()
        text_above = "\n".join(prose).strip()
        if language in _PYTHON:
            if text_above:
                cells.append(Cell(kind="markdown", source=text_above))
            cells.append(Cell(kind="code", source=body))
            code, prose = len(cells) - 1, []
        elif language in ("", "text", "txt", "output", "console", "plain", "plaintext") and code >= 0:
            printed.setdefault(code, []).append(body)
    if text_below := "\n".join(prose).strip():
        cells.append(Cell(kind="markdown", source=text_below))
    for index, blocks in printed.items():
        cells[index] = cells[index].model_copy(update={"output": _clean("\n".join(blocks).strip())})
    return cells, {}


def _until_closed(lines: Iterator[str], fence: str) -> Iterator[str]:
    """Yield the lines before the closing fence.

    That is a line of nothing but at least as many of the same mark, indented by up to three spaces.
    """
    for line in lines:
        closing = line.strip()
        if len(closing) >= len(fence) and not closing.strip(fence[0]) and line.find(fence[0]) <= 3:
            return
        yield line
