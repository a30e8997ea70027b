"""Supplies names that a notebook uses and nowhere defines, because its author's kernel still had them.

In a fresh kernel such a notebook stops at the first such name. Well-known names are supplied, each with a
note; any other name remains the error that it is.
"""

from __future__ import annotations

import ast
import builtins
import importlib
from collections.abc import Callable, Iterable
from typing import Any

from IPython.core.inputtransformer2 import TransformerManager

from grader.errors import StudentsCode
from grader.records import Cell

# Modules under the names that everybody gives them, and modules whose public names everybody knows.
_MODULES = {
    "np": "numpy",
    "pd": "pandas",
    "plt": "matplotlib.pyplot",
    "tf": "tensorflow",
    "keras": "keras",
    "K": "keras.backend",
    "np_utils": "keras.utils",
    "mnist": "keras.datasets.mnist",
    "math": "math",
    "os": "os",
    "time": "time",
}
_SHARED = (
    "keras.layers", "keras.models", "keras.optimizers", "keras.callbacks", "keras.utils",
    "keras.regularizers", "keras.preprocessing.image",
)  # fmt: skip


def supply(cells: Iterable[Cell], namespace: dict[str, Any], note: Callable[[str], None]) -> None:
    """Put the well-known among the undefined names into the namespace, and note each."""
    used, bound = _names(cells)
    for name in sorted(used - bound - set(dir(builtins)) - set(namespace)):
        found = _well_known(name)
        if found is not None:
            namespace[name], origin = found
            note(
                f"nothing in the submission defines {name!r}: it was taken from {origin}; "
                "a fresh kernel would stop there"
            )


def _names(cells: Iterable[Cell]) -> tuple[set[str], set[str]]:
    """Return names that are read, and names that are bound somewhere, in whatever scope."""
    used: set[str] = set()
    bound: set[str] = set()
    for cell in cells:
        if cell.kind != "code":
            continue
        try:
            tree = ast.parse(TransformerManager().transform_cell(cell.source))  # type: ignore[no-untyped-call]
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        for node in ast.walk(tree):
            _take(node, used, bound)
    return used, bound


def _take(node: ast.AST, used: set[str], bound: set[str]) -> None:
    match node:
        case ast.Name(id=name, ctx=ast.Load()):
            used.add(name)
        case ast.Name(id=name):
            bound.add(name)
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            bound.add(name)
        case ast.arg(arg=name):
            bound.add(name)
        case ast.ImportFrom(module=module, names=names) if any(a.name == "*" for a in names):
            bound.update(_public(module or ""))
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            bound.update((a.asname or a.name).split(".")[0] for a in names)
        case ast.ExceptHandler(name=str(name)):
            bound.add(name)


def _public(module: str) -> list[str]:
    """Return the names that a star import brings."""
    with StudentsCode():  # if it fails, the cell itself will fail
        found = importlib.import_module(module)
        return [name for name in dir(found) if not name.startswith("_")]
    return []


def _well_known(name: str) -> tuple[Any, str] | None:
    if name in _MODULES:
        return importlib.import_module(_MODULES[name]), _MODULES[name]
    for module in _SHARED:
        found = getattr(importlib.import_module(module), name, None)
        if found is not None and callable(found):
            return found, module
    return None
