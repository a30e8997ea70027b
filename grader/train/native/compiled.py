"""Compiles kernels, each by itself, and calls them through their addresses.

Numba would otherwise optimise a kernel again with every function that leads to it. Through addresses, only
the kernels that a network needs are compiled, once, and kept on disk.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from grader.train.native.fields import Array
from grader.train.native.tile import Batch, Tile

# Division by zero gives infinity or NaN, as in NumPy: a check would keep loops from being vectorised.
compiled = njit(nogil=True, cache=True, error_model="numpy")
inlined = njit(nogil=True, cache=True, error_model="numpy", inline="always")

_FLOATS, _INTS, _DOUBLES = types.float32[::1], types.int64[::1], types.float64[::1]
_TILE = types.NamedTuple(
    (
        _FLOATS, _FLOATS, _FLOATS, _FLOATS, _DOUBLES, _FLOATS, _FLOATS, _INTS, types.uint8[:, ::1], _INTS,
        _INTS, _FLOATS, types.float64, types.uint32[::1],
    ),
    Tile,
)  # fmt: skip
_BATCH = types.NamedTuple((_FLOATS, types.float32[:, ::1], types.float64[:, ::1], _FLOATS, _FLOATS), Batch)
_ON_TILE = types.void(_TILE, _INTS, _FLOATS)
_ON_BATCH = types.void(_BATCH, _INTS, _FLOATS)


def addresses(on_tile: dict[int, Callable[..., None]], on_batch: dict[int, Callable[..., None]]) -> Array:
    """Compile kernels, or load them from the disk; return their addresses by code, 0 for other codes."""
    table = np.zeros(max(*on_tile, *on_batch, 0) + 1, np.int64)
    for kernels, signature in ((on_tile, _ON_TILE), (on_batch, _ON_BATCH)):
        for code, kernel in kernels.items():
            table[code] = _address(kernel, signature)
    return table


def _address(kernel: Any, signature: Any) -> int:
    kernel.compile(signature)
    result = kernel.overloads[signature.args]
    return int(result.library.get_pointer_to_function(result.fndesc.llvm_func_name))


@intrinsic
def call(typing, address, target, row, real):  # type: ignore[no-untyped-def]
    """Call the kernel at ``address`` with a tile or batch, and with an instruction."""
    kinds = (target, row, real)

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        function = context.call_conv.get_function_type(types.none, kinds)
        pointer = builder.inttoptr(arguments[0], ir.PointerType(function))
        context.call_conv.call_function(builder, pointer, types.none, kinds, arguments[1:])
        return context.get_dummy_value()

    return types.void(address, *kinds), generate


@intrinsic
def either(typing, condition, yes, no):  # type: ignore[no-untyped-def]
    """Return ``yes if condition else no`` without a jump: both numbers are computed already."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.select(*arguments)

    return yes(types.boolean, yes, yes), generate
