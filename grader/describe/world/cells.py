"""Runs the cells of a submission, one after another, as a notebook would.

Magics go through IPython's own transformer; shell lines are skipped and noted. A cell that raises ends there
and the next one runs, because a failing cell is often a plot or a download; the failures are reported, and
they are the verdict when no model was built.
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
from grader.errors import text_of
from grader.records import Cell, CellFailure

Note = Callable[[str], None]
_SYNTAX = (SyntaxError, IndentationError, TabError)  # by Python, not by a class of the student's

_RUN_BODY = {"time", "timeit", "capture", "prun", "notify", "memit", "debug"}


class Ends(BaseException):
    """Raised by grader itself within a cell: the run ends there, or the cell does (`CellEnds`)."""


class CellEnds(Ends):
    """The cell ends because nothing more can be learned from it; the cell has not failed."""


class Shell:
    """The object that `get_ipython()` returns: runs the code inside timing magics, skips everything else."""

    def __init__(self, namespace: dict[str, Any], note: Note) -> None:
        self.user_ns, self._note = namespace, note

    def run_line_magic(self, name: str, line: str, *args: Any, **kwargs: Any) -> Any:
        """Run the code of a timing magic; note magics that would have loaded something."""
        if name in ("time", "timeit", "prun") and line.strip():
            exec(compile(line.strip(), "<magic>", "exec"), self.user_ns)
        elif name in ("run", "load", "cd", "tensorflow_version"):
            self._note(f"the magic %{name} {line} is not run by grader"[:300])

    def run_cell_magic(self, name: str, line: str, body: str, *args: Any, **kwargs: Any) -> Any:
        """Write the file of `%%writefile`, run Python bodies, and note other languages."""
        if name in ("writefile", "file"):
            self._write(line, body)
        elif name in _RUN_BODY or name not in _FOREIGN:
            run_source(body, self.user_ns, "<cell magic>")
        else:
            self._note(f"the cell magic %%{name} is skipped: grader runs Python cells only")

    def _write(self, line: str, body: str) -> None:
        """Write a module that the notebook will import later."""
        *options, path = line.split() or [""]
        try:
            with open(path, "a" if "-a" in options else "w", encoding="utf-8") as file:
                file.write(body)
        except OSError as error:
            self._note(f"the file {path!r} is not written: {error}"[:300])

    def system(self, command: str, *args: Any, **kwargs: Any) -> None:
        """Note a shell line, which is not run."""
        self._note(f"shell line skipped: !{command}"[:300])

    def getoutput(self, command: str, *args: Any, **kwargs: Any) -> list[str]:
        """Note a shell line, which has no output here."""
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
    """Transform and execute a cell; raises what the code raises, `SyntaxError` included."""
    transformed = TransformerManager().transform_cell(source)  # type: ignore[no-untyped-call]
    linecache.cache[filename] = (len(transformed), None, transformed.splitlines(True), filename)
    tree = ast.parse(transformed, filename)
    exec(compile(tree, filename, "exec", dont_inherit=True), namespace)


def run(
    cells: tuple[Cell, ...], namespace: dict[str, Any], enter: Callable[[int], None], note: Note
) -> Iterator[CellFailure | None]:
    """Run every code cell; yield its failure, or None, after each one.

    ``enter`` is called with the number of the cell (code cells count from 1) before the cell runs.
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
    """Make the namespace a module `__main__`, to which the submission's classes belong."""
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
        if causes.is_a(error, (RecursionError, MemoryError)):
            kind = RecursionError if causes.is_a(error, RecursionError) else MemoryError
            error = kind(text_of(error) or "out of memory or too deep a recursion")
        return _failure(number, source, filename, error).model_copy(update={"cause": cause})
    return None


def _failure(number: int, source: str, filename: str, error: BaseException) -> CellFailure:
    line = _line(filename, error)
    lines = source.split("\n")
    excerpt = lines[line - 1].strip() if line and line <= len(lines) else ""
    return CellFailure(cell=number, line=line, error=_message(error)[:1_000], excerpt=excerpt[:300])


def _message(error: BaseException) -> str:
    """Return `KeyError: 'x'`: the kind of error and the first line of its message."""
    message = error.msg if type(error) in _SYNTAX and isinstance(error, SyntaxError) else text_of(error)
    first = next((line.strip() for line in _plain(message or "").split("\n") if line.strip()), "")
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def _line(filename: str, error: BaseException) -> int | None:
    """Return the deepest line of this cell in the traceback."""
    if type(error) in _SYNTAX and isinstance(error, SyntaxError):
        return error.lineno
    found = [f.lineno for f in traceback.extract_tb(causes.trace_of(error)) if f.filename == filename]
    return found[-1] if found else None


def _plain(text: str) -> str:
    """Remove the terminal sequences with which Keras colours its messages."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)
