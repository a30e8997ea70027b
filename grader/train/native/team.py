"""All cores on one step: every thread walks through the same program and claims what is still to be done.

No thread waits for one that has not begun: on a machine that is busy otherwise, the others do its share.
There is only a wait for a claimed piece of work, at the end of each run of instructions.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

_INT = ir.IntType(64)


@intrinsic
def add(typing, counters, index, number):  # type: ignore[no-untyped-def]
    """Add to a counter that threads share, and give what it was before; in one order for all threads."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        place = builder.gep(array.data, [arguments[1]])
        return builder.atomic_rmw("add", place, arguments[2], "seq_cst")

    return types.int64(counters, types.int64, types.int64), generate


@intrinsic
def give_way(typing):  # type: ignore[no-untyped-def]
    """Let another thread have the core, if one waits for it (POSIX's sched_yield)."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        kind = ir.FunctionType(ir.IntType(32), [])
        name = "sched_yield" if os.name == "posix" else "SwitchToThread"
        function = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
        builder.call(function, [])
        return context.get_dummy_value()

    return types.void(), generate


class Team:
    """Threads that run a function of the caller's, without Python's lock, at the same time as it."""

    def __init__(self, size: int | None = None) -> None:
        self.size = size or cores()
        self._given = [queue.SimpleQueue[Any]() for _ in range(self.size - 1)]
        for given in self._given:
            threading.Thread(target=_serve, args=(given,), daemon=True).start()

    def run(self, function: Callable[..., None], *arguments: Any) -> None:
        """Come back when the caller's own call does: that says that all work is done."""
        for given in self._given:
            given.put((function, arguments))
        function(*arguments)

    def close(self) -> None:
        """End the threads once they have done what they were given."""
        for given in self._given:
            given.put(None)


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _serve(given: queue.SimpleQueue[Any]) -> None:
    while (task := given.get()) is not None:
        function, arguments = task
        function(*arguments)
