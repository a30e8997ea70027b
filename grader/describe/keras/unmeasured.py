"""Numbers that training would have measured: none is known here, and decisions by them are noticed.

They are NaN, and print and add as NaN. Where a submission compares them, or looks for the largest of them,
its code does not show what it would have done next, and so not how a later fit would train.
"""

from __future__ import annotations

import ast
import dis
import linecache
import sys
from collections.abc import Callable, Iterator
from functools import lru_cache
from types import FrameType
from typing import Any

from grader.records import Reason, because

_TRAINS = ("fit", "train", "compile")


class Decisions:
    """What a submission decided by results that were not measured: on the last fit, or on a later one."""

    before_the_next: Reason | None = None

    def __init__(self, now: Callable[[Reason], None]) -> None:
        """``now`` is called with a decision on whether to train on."""
        self.now = now

    def number(self) -> Number:
        """Return NaN in place of one result."""
        made = Number("nan")
        made.decisions = self
        return made

    def numbers(self, count: int) -> Results:
        """Return NaN in place of ``count`` results, as a History holds them."""
        made = Results(self.number() for _ in range(count))
        made.decisions = self
        return made

    def looked_at(self, frame: FrameType | None, compared: bool, equal: bool = False) -> None:
        """Judge a use of a number by code in ``frame``: ``compared``, for equality or not, or otherwise."""
        if frame is None or not frame.f_code.co_filename.startswith("<cell"):
            return
        reason = because("measured_results")
        if not compared or not _compares(frame):
            # `max` compares a list to report the best value; with a key or place, to choose something by it.
            # Of tuples it first compares which are equal.
            chooses = not compared or equal or _chooses(frame.f_code.co_filename, frame.f_lineno)
            found = "later" if chooses else ""
        else:
            found = _decided(frame.f_code.co_filename, frame.f_lineno)
        if found == "now":
            self.now(reason)
        if found:
            self.before_the_next = reason


class Number(float):
    """NaN that reports when it is compared."""

    decisions: Decisions

    def __hash__(self) -> int:
        return id(self)

    def __int__(self) -> int:
        self.decisions.looked_at(sys._getframe(1), False)
        return 0

    def __float__(self) -> float:
        """Report a search for the best place: NumPy asks for the value, in whatever function it is."""
        asking, names = _beyond_numpy(sys._getframe(1))
        line = asking is not None and _chooses(asking.f_code.co_filename, asking.f_lineno)
        if line or names & {"argmax", "argmin", "argsort"}:
            self.decisions.looked_at(asking, False)
        return float.__add__(self, 0.0)

    def __reduce__(self) -> Any:
        return float, ("nan",)

    def __round__(self, digits: Any = None) -> Any:
        return self


def _comparing(name: str) -> Callable[[Number, Any], Any]:
    def compare(self: Number, other: Any) -> Any:
        self.decisions.looked_at(sys._getframe(1), True, name in ("__eq__", "__ne__"))
        return getattr(float, name)(self, other)

    return compare


def _computing(name: str) -> Callable[..., Any]:
    def compute(self: Number, *others: Any) -> Any:
        found = getattr(float, name)(self, *others)
        return self if isinstance(found, float) else found

    return compute


for _name in ("lt", "le", "gt", "ge", "eq", "ne"):
    setattr(Number, f"__{_name}__", _comparing(f"__{_name}__"))
for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow"):
    setattr(Number, f"__{_name}__", _computing(f"__{_name}__"))
    setattr(Number, f"__r{_name}__", _computing(f"__r{_name}__"))
for _name in ("neg", "pos", "abs"):
    setattr(Number, f"__{_name}__", _computing(f"__{_name}__"))


class Results(list[Any]):
    """What a History holds of one quantity; reports when its best place is looked for."""

    decisions: Decisions

    def argmax(self, *args: Any, **kwargs: Any) -> int:
        """Report that a place is looked for: NumPy's function of this name calls this method first."""
        self.decisions.looked_at(_beyond_numpy(sys._getframe(1))[0], False)
        return 0

    argmin = index = argmax

    def __reduce_ex__(self, protocol: Any) -> Any:
        return list, ([float("nan")] * len(self),)


def _beyond_numpy(frame: FrameType | None) -> tuple[FrameType | None, set[str]]:
    """Return the frame that has called NumPy, and the functions of NumPy's on the way."""
    names = set()
    while frame is not None and "numpy" in frame.f_code.co_filename:
        names.add(frame.f_code.co_name)
        frame = frame.f_back
    return frame, names


# --- what a comparison is for --------------------------------------------------------------------


def _compares(frame: FrameType) -> bool:
    """Whether the code itself compares at this place, rather than calling what does."""
    here = frame.f_lasti
    return any(i.offset == here and i.opname == "COMPARE_OP" for i in dis.get_instructions(frame.f_code))


def _decided(filename: str, line: int) -> str:
    """Return what depends on a comparison in this line: "now" whether to train on, "later" anything else."""
    tests = [
        node for node in _conditions(filename) if node.test.lineno <= line <= (node.test.end_lineno or 0)
    ]
    if not tests:
        return "later"  # the result is kept, or passed on
    inner = tests[-1]
    if isinstance(inner, ast.While):
        return "now"
    if isinstance(inner, ast.IfExp):
        return "later"
    inside = [node for statement in (*inner.body, *inner.orelse) for node in ast.walk(statement)]
    if any(isinstance(node, ast.Break) or _trains(node) for node in inside):
        return "now"
    return (
        "later" if any(isinstance(node, ast.Assign | ast.AugAssign | ast.Return) for node in inside) else ""
    )


def _trains(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    return any(word in name for word in _TRAINS)


_PLACES = {"argmax", "argmin", "argsort", "index", "sort"}


def _chooses(filename: str, line: int) -> bool:
    """Whether this line calls something, `max` or `sorted`, with a key, or looks for a place."""
    return any(
        isinstance(node, ast.Call)
        and node.lineno <= line <= (node.end_lineno or 0)
        and (
            any(argument.arg == "key" for argument in node.keywords)
            or getattr(node.func, "attr", "") in _PLACES
        )
        for node in _outer_first(filename)
    )


def _conditions(filename: str) -> tuple[Any, ...]:
    return tuple(x for x in _outer_first(filename) if isinstance(x, ast.If | ast.While | ast.IfExp))


@lru_cache(maxsize=100)
def _outer_first(filename: str) -> tuple[ast.AST, ...]:
    """Return all nodes of a cell's syntax tree, outer nodes first; none where it cannot be parsed."""
    try:
        return tuple(_within(ast.parse("".join(linecache.getlines(filename)))))
    except SyntaxError:
        return ()


def _within(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for child in ast.iter_child_nodes(node):
        yield from _within(child)
