"""Runs the cells of a submission, one after another, as a notebook would.

Magics go through IPython's own transformer; shell lines are skipped and noted. A cell that
raises ends there and the next one runs, because what fails is often a plot or a download; the
failures are reported, and they are the verdict when no model came of it.
"""

from __future__ import annotations

import ast
import linecache
import re
import traceback
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from IPython.core.inputtransformer2 import TransformerManager

from grader.describe.world import causes
from grader.records import Cell, CellFailure

Note = Callable[[str], None]

_RUN_BODY = {"time", "timeit", "capture", "prun", "notify", "memit", "debug"}


class Ends(BaseException):
    """Raised by grader itself within a cell: the run ends here, or the cell does (`CellEnds`)."""


class CellEnds(Ends):
    """Nothing more is to be learned from this cell; it has not failed."""


class Shell:
    """What `get_ipython()` returns: runs the code inside timing magics, skips everything else."""

    def __init__(self, namespace: dict[str, Any], note: Note) -> None:
        self.user_ns, self._note = namespace, note

    def run_line_magic(self, name: str, line: str, *args: Any, **kwargs: Any) -> Any:
        if name in ("time", "timeit", "prun") and line.strip():
            exec(compile(line.strip(), "<magic>", "exec"), self.user_ns)
        elif name in ("run", "load", "cd", "tensorflow_version"):
            self._note(f"the magic %{name} {line} is not run by grader"[:300])

    def run_cell_magic(self, name: str, line: str, body: str, *args: Any, **kwargs: Any) -> Any:
        if name in ("writefile", "file"):
            self._write(line, body)
        elif name in _RUN_BODY or name not in _FOREIGN:
            run_source(body, self.user_ns, "<cell magic>")
        else:
            self._note(f"the cell magic %%{name} is skipped: grader runs Python cells only")

    def _write(self, line: str, body: str) -> None:
        """A module that the notebook writes, to import it later."""
        *options, path = line.split() or [""]
        try:
            with open(path, "a" if "-a" in options else "w", encoding="utf-8") as file:
                file.write(body)
        except OSError as error:
            self._note(f"the file {path!r} is not written: {error}"[:300])

    def system(self, command: str, *args: Any, **kwargs: Any) -> None:
        self._note(f"shell line skipped: !{command}"[:300])

    def getoutput(self, command: str, *args: Any, **kwargs: Any) -> list[str]:
        self.system(command)
        return []

    getsystem = magic = system
    events = display_formatter = None

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **kwargs: None


_FOREIGN = {
    "bash",
    "sh",
    "script",
    "html",
    "HTML",
    "javascript",
    "js",
    "latex",
    "markdown",
    "perl",
    "ruby",
    "svg",
    "SVG",
    "cmd",
    "R",
    "sql",
    "shell",
}


def run_source(source: str, namespace: dict[str, Any], filename: str) -> None:
    """Transform and execute; raises what the code raises, `SyntaxError` included."""
    transformed = TransformerManager().transform_cell(source)  # type: ignore[no-untyped-call]
    linecache.cache[filename] = (len(transformed), None, transformed.splitlines(True), filename)
    tree = ast.parse(transformed, filename)
    exec(compile(tree, filename, "exec", dont_inherit=True), namespace)


def run(
    cells: tuple[Cell, ...], namespace: dict[str, Any], enter: Callable[[int], None], note: Note
) -> Iterator[CellFailure | None]:
    """Run every code cell; yields after each one its failure, or None.

    ``enter`` is told the number of the cell (code cells count from 1) before it runs.
    """
    namespace.setdefault("__name__", "__main__")
    shell = Shell(namespace, note)
    namespace["get_ipython"] = lambda: shell
    namespace["display"] = lambda *args, **kwargs: None
    _as_main(namespace)
    code = [cell for cell in cells if cell.kind == "code"]
    for number, cell in enumerate(code, 1):
        enter(number)
        yield _run_cell(number, cell.source, namespace)


def _as_main(namespace: dict[str, Any]) -> None:
    """Classes of the submission belong to a module `__main__` of their own."""
    import sys

    module = ModuleType("__main__")
    module.__dict__.update(namespace)
    sys.modules["__main__"] = module


def _run_cell(number: int, source: str, namespace: dict[str, Any]) -> CellFailure | None:
    filename = f"<cell {number}>"
    try:
        run_source(source, namespace, filename)
    except CellEnds:
        return None
    except Ends:
        raise
    except BaseException as error:  # sys.exit() and KeyboardInterrupt are the student's as well
        cause = causes.of(error)
        if isinstance(error, RecursionError | MemoryError):
            kind = RecursionError if isinstance(error, RecursionError) else MemoryError
            error = kind(str(error) or "out of memory or too deep a recursion")
        return _failure(number, source, filename, error).model_copy(update={"cause": cause})
    return None


def _failure(number: int, source: str, filename: str, error: BaseException) -> CellFailure:
    line = _line(filename, error)
    lines = source.split("\n")
    excerpt = lines[line - 1].strip() if line and line <= len(lines) else ""
    return CellFailure(cell=number, line=line, error=_message(error)[:1_000], excerpt=excerpt[:300])


def _message(error: BaseException) -> str:
    """`KeyError: 'x'`: the kind of error and the first line of what it says."""
    said = error.msg if isinstance(error, SyntaxError) else _said(error)
    first = next((line.strip() for line in _plain(said or "").split("\n") if line.strip()), "")
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def _said(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # an exception class of the student's may raise in __str__
        return ""


def _line(filename: str, error: BaseException) -> int | None:
    """The deepest line of this cell in the traceback."""
    if isinstance(error, SyntaxError):
        return error.lineno
    found = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == filename]
    return found[-1] if found else None


def _plain(text: str) -> str:
    """Keras colours its messages with terminal sequences."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)
