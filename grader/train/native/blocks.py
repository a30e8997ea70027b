"""The two inner loops of all convolutions and dense layers, as vector instructions.

All arrays hold vectors of `LANES` numbers: one number for each image of a tile. `gather` keeps a block of
output channels in registers while it walks over taps and input channels; `correlate` keeps a block of (input
channel, output channel) sums while it walks over pixels. LLVM splits the vectors into the machine's
registers: one of AVX-512, two of AVX, four of NEON or SSE.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 16

_FLOAT, _INT = ir.FloatType(), ir.IntType(64)
_VECTOR = ir.VectorType(_FLOAT, LANES)
_ZERO = ir.Constant(_VECTOR, [0.0] * LANES)


def _has_wide_registers() -> bool:
    return bool(llvm.get_host_cpu_features().get("avx512f"))


# Block sizes that fit into 32 registers of 16 numbers, or into 16 of 8 (and into 32 of 4).
GATHERED = 16 if _has_wide_registers() else 6
CORRELATED = (4, 5) if _has_wide_registers() else (2, 2)


def _data(context: Any, builder: Any, array_type: Any, array: Any) -> Any:
    return context.make_array(array_type)(context, builder, array).data


def _number(value: int) -> Any:
    return ir.Constant(_INT, value)


def _load(builder: Any, data: Any, index: Any) -> Any:
    return builder.load(builder.bitcast(builder.gep(data, [index]), _VECTOR.as_pointer()), align=4)


def _store(builder: Any, vector: Any, data: Any, index: Any) -> None:
    builder.store(vector, builder.bitcast(builder.gep(data, [index]), _VECTOR.as_pointer()), align=4)


def _spread(builder: Any, scalar: Any) -> Any:
    undefined = ir.Constant(_VECTOR, ir.Undefined)
    one = builder.insert_element(undefined, scalar, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(
        one, undefined, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    )


def _fma(builder: Any, a: Any, b: Any, c: Any) -> Any:
    kind = ir.FunctionType(_VECTOR, [_VECTOR] * 3)
    return builder.call(
        cgutils.get_or_insert_function(builder.module, kind, f"llvm.fmuladd.v{LANES}f32"), [a, b, c]
    )


def _cases(builder: Any, value: Any, sizes: Iterable[int], body: Callable[[int], None]) -> None:
    """Emit a switch over block sizes, each with code of its own."""
    end = builder.append_basic_block("end")
    switch = builder.switch(value, end)
    for size in sizes:
        block = builder.append_basic_block(f"block{size}")
        switch.add_case(_number(size), block)
        builder.position_at_end(block)
        body(size)
        builder.branch(end)
    builder.position_at_end(end)


def _start(builder: Any, total: Any, out: Any, at: Any, bias: Any, b: Any) -> None:
    """Begin a sum with its bias if there is one (``b`` >= 0), with the present output (-2), or with zero."""
    with builder.if_then(builder.icmp_signed(">=", b, _number(0))):
        builder.store(_spread(builder, builder.load(builder.gep(bias, [b]))), total)
    with builder.if_then(builder.icmp_signed("==", b, _number(-2))):
        builder.store(_load(builder, out, at), total)


@intrinsic
def gather(  # type: ignore[no-untyped-def]
    typing, size, x, x0, taps, first, last, channels, w, w0, step, out, o0, apart, bias, b0, lowest
):
    """Compute ``out[o0 + m * apart] = sum of x[x0 + offset + 16 k] * w[w0 + weight + step * k + m]``.

    For every m < ``size``. The sum goes over taps (pairs of offset and weight in ``taps[first:last]``) and
    ``channels`` k. The sum begins with ``bias[b0 + m]``; where ``b0`` is -1 with zero, where it is -2 with
    the present ``out``. The result is at least ``lowest``; NaN stays NaN.
    """
    given = (size, x, x0, taps, first, last, channels, w, w0, step, out, o0, apart, bias, b0, lowest)

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        size, x, x0, taps, first, last, channels, w, w0, step, out, o0, apart, bias, b0, lowest = arguments
        x, taps, w, out, bias = (
            _data(context, builder, signature.args[n], arguments[n]) for n in (1, 3, 7, 10, 13)
        )
        floor = _spread(builder, lowest)

        def block(size: int) -> None:
            at = [builder.add(o0, builder.mul(apart, _number(m))) for m in range(size)]
            sums = [cgutils.alloca_once(builder, _VECTOR) for _ in range(size)]
            biased = builder.icmp_signed(">=", b0, _number(0))
            for m, total in enumerate(sums):
                builder.store(_ZERO, total)
                own = builder.select(biased, builder.add(b0, _number(m)), b0)
                _start(builder, total, out, at[m], bias, own)
            with cgutils.for_range_slice(builder, first, last, _number(2)) as (tap, _):
                source = builder.add(x0, builder.load(builder.gep(taps, [tap])))
                weight = builder.load(builder.gep(taps, [builder.add(tap, _number(1))]))
                weight = builder.add(w0, weight)
                with cgutils.for_range(builder, channels) as loop:
                    vector = _load(builder, x, builder.add(source, builder.mul(loop.index, _number(LANES))))
                    row = builder.add(weight, builder.mul(loop.index, step))
                    for m, total in enumerate(sums):
                        scalar = builder.load(builder.gep(w, [builder.add(row, _number(m))]))
                        more = _fma(builder, vector, _spread(builder, scalar), builder.load(total))
                        builder.store(more, total)
            for total, index in zip(sums, at, strict=True):
                result = builder.load(total)
                low = builder.fcmp_ordered("<", result, floor)
                _store(builder, builder.select(low, floor, result), out, index)

        _cases(builder, size, range(1, GATHERED + 1), block)
        return context.get_dummy_value()

    return types.void(*given), generate


@intrinsic
def correlate(  # type: ignore[no-untyped-def]
    typing, outs, ins, dy, d0, dline, dstep, x, x0, xline, xstep, lines, count, sums, s0, apart
):
    """Add ``x[x0 + at(l, n) + 16 i] * dy[d0 + at(l, n) + 16 o]`` to ``sums[s0 + i * apart + 16 o]``.

    For every i < ``ins`` and o < ``outs``, summed over l < ``lines`` and n < ``count``; ``at(l, n)`` is ``l *
    line + n * step`` with the ``line`` and ``step`` of each array.
    """
    given = (outs, ins, dy, d0, dline, dstep, x, x0, xline, xstep, lines, count, sums, s0, apart)

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        outs, ins, dy, d0, dline, dstep, x, x0, xline, xstep, lines, count, sums, s0, apart = arguments
        dy, x, sums = (_data(context, builder, signature.args[n], arguments[n]) for n in (2, 6, 12))

        def block(number: int) -> None:
            rows, columns = range(number // 100), range(number % 100)
            held: dict[tuple[int, int], Any] = {}
            at: dict[tuple[int, int], Any] = {}
            for i in rows:
                start = builder.add(s0, builder.mul(apart, _number(i)))
                for o in columns:
                    at[i, o] = builder.add(start, _number(LANES * o))
                    held[i, o] = cgutils.alloca_once(builder, _VECTOR)
                    builder.store(_load(builder, sums, at[i, o]), held[i, o])
            with cgutils.for_range(builder, lines) as line:
                d1 = builder.add(d0, builder.mul(line.index, dline))
                x1 = builder.add(x0, builder.mul(line.index, xline))
                with cgutils.for_range(builder, count) as loop:
                    wanted = builder.add(d1, builder.mul(loop.index, dstep))
                    source = builder.add(x1, builder.mul(loop.index, xstep))
                    slopes = [_load(builder, dy, builder.add(wanted, _number(LANES * o))) for o in columns]
                    for i in rows:
                        vector = _load(builder, x, builder.add(source, _number(LANES * i)))
                        for o in columns:
                            total = _fma(builder, vector, slopes[o], builder.load(held[i, o]))
                            builder.store(total, held[i, o])
            for key, index in at.items():
                _store(builder, builder.load(held[key]), sums, index)

        sizes = [i * 100 + o for i in range(1, CORRELATED[0] + 1) for o in range(1, CORRELATED[1] + 1)]
        _cases(builder, builder.add(builder.mul(ins, _number(100)), outs), sizes, block)
        return context.get_dummy_value()

    return types.void(*given), generate
