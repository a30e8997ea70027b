"""What treats every number of a tile by itself: activations, Dropout, copies and sums, and the input."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from grader.train.native import fields as f
from grader.train.native.blocks import LANES
from grader.train.native.compiled import compiled, either, inlined
from grader.train.native.fields import Array
from grader.train.native.random import bits, threshold
from grader.train.native.tile import Tile


@compiled
def load(tile: Tile, row: Array, real: Array) -> None:
    """Pixels of the chosen images as the network is fed them: ``pixel * factor + offset``."""
    for lane in range(LANES):
        if tile.mask[lane] > 0:
            image = tile.images[tile.chosen[lane]]
            for n in range(row[f.SIZE]):
                tile.values[row[f.DST] + n * LANES + lane] = (
                    np.float32(image[n]) * real[f.FACTOR] + real[f.OFFSET]
                )
        else:
            for n in range(row[f.SIZE]):
                tile.values[row[f.DST] + n * LANES + lane] = 0.0


@compiled
def clear(tile: Tile, row: Array, real: Array) -> None:
    """Fill SIZE numbers from DST on with zeros."""
    tile.values[row[f.DST] : row[f.DST] + row[f.SIZE]] = 0.0


@compiled
def place(tile: Tile, row: Array, real: Array) -> None:
    """Copy a window of rows, columns and channels, times a factor, to a window elsewhere."""
    factor, width = real[f.FACTOR], row[f.CHANNELS] * LANES
    for y in range(row[f.ROWS]):
        for x in range(row[f.COLUMNS]):
            at = row[f.SRC] + row[f.SRC_SHIFT] + (y * row[f.STRIDE_COLUMNS] + x) * row[f.SRC_CHANNELS] * LANES
            to = row[f.DST] + row[f.SHIFT] + (y * row[f.STRIDE_ROWS] + x) * row[f.KERNEL_COLUMNS] * LANES
            source, out = tile.values[at : at + width], tile.values[to : to + width]
            if row[f.ADD]:
                for n in range(width):
                    out[n] += source[n] * factor
            else:
                for n in range(width):
                    out[n] = source[n] * factor + real[f.OFFSET]


@compiled
def dropout(tile: Tile, row: Array, real: Array) -> None:
    """Each number, or each channel of an image (KIND 1), is dropped or made larger; either direction."""
    least, more = threshold(real[f.RATE]), np.float32(1.0) / (np.float32(1.0) - real[f.RATE])
    a, b = tile.seeds[2 * row[f.KEY]], tile.seeds[2 * row[f.KEY] + 1]
    width = row[f.CHANNELS] * LANES
    for pixel in range(row[f.ROWS] * row[f.COLUMNS]):
        start = pixel * width
        first = 0 if row[f.KIND] else start
        source = tile.values[row[f.SRC] + start : row[f.SRC] + start + width]
        out = tile.values[row[f.DST] + start : row[f.DST] + start + width]
        if row[f.ADD]:
            for n in range(width):
                out[n] += source[n] * (more if bits(first + n, a, b) >= least else np.float32(0.0))
        else:
            for n in range(width):
                out[n] = source[n] * (more if bits(first + n, a, b) >= least else np.float32(0.0))


# --- activations --------------------------------------------------------------------------------


@intrinsic
def _as_float(typing, number):  # type: ignore[no-untyped-def]
    """The float32 with these bits."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        bits = builder.trunc(arguments[0], ir.IntType(32))
        return builder.bitcast(bits, ir.FloatType())

    return types.float32(types.int64), generate


@inlined
def exp(x: Any) -> Any:
    """e**x to about 2e-7, by splitting off a power of two; vectorises, as a call would not."""
    bounded = min(max(x, np.float32(-87.0)), np.float32(88.0))
    whole = np.floor(bounded * np.float32(1.4426950408889634) + np.float32(0.5))
    rest = bounded - whole * np.float32(0.693359375) + whole * np.float32(2.12194440e-4)
    series = np.float32(1.9875691500e-4)
    series = series * rest + np.float32(1.3981999507e-3)
    series = series * rest + np.float32(8.3334519073e-3)
    series = series * rest + np.float32(4.1665795894e-2)
    series = series * rest + np.float32(1.6666665459e-1)
    series = series * rest + np.float32(5.0000001201e-1)
    series = series * rest * rest + rest + np.float32(1.0)
    result = series * _as_float(np.int64((np.int32(whole) + np.int32(127)) << np.int32(23)))
    return result if x == x else x


@inlined
def _sigmoid(x: Any) -> Any:
    return np.float32(1.0) / (np.float32(1.0) + exp(-x))


@inlined
def _tanh(x: Any) -> Any:
    small = x * (np.float32(1.0) - x * x * np.float32(1 / 3))
    large = np.float32(1.0) - np.float32(2.0) / (exp(x + x) + np.float32(1.0))
    return small if abs(x) < np.float32(0.02) else large


@compiled
def activate(tile: Tile, row: Array, real: Array) -> None:
    """Apply the activation KIND to SIZE numbers."""
    x = tile.values[row[f.SRC] : row[f.SRC] + row[f.SIZE]]
    y = tile.values[row[f.DST] : row[f.DST] + row[f.SIZE]]
    kind, one, zero = row[f.KIND], np.float32(1.0), np.float32(0.0)
    alpha, scale, limit = real[f.ALPHA], real[f.CEILING], real[f.THRESHOLD]
    if kind == f.RELU:  # slope below, ceiling, threshold
        for n in range(x.size):
            y[n] = min(x[n], scale) if x[n] > limit else alpha * (x[n] - limit)
    elif kind == f.ELU:
        for n in range(x.size):
            y[n] = scale * (x[n] if x[n] > zero else alpha * (exp(x[n]) - one))
    elif kind == f.SIGMOID:
        for n in range(x.size):
            y[n] = _sigmoid(x[n])
    elif kind == f.TANH:
        for n in range(x.size):
            y[n] = _tanh(x[n])
    elif kind == f.SILU:
        for n in range(x.size):
            y[n] = x[n] * _sigmoid(x[n])
    elif kind == f.SOFTPLUS:
        for n in range(x.size):
            y[n] = max(x[n], zero) + np.log1p(exp(-abs(x[n])))
    elif kind == f.EXPONENTIAL:
        for n in range(x.size):
            y[n] = exp(x[n])
    elif kind == f.SOFTSIGN:
        for n in range(x.size):
            y[n] = x[n] / (one + abs(x[n]))
    elif kind == f.HARD_SIGMOID:
        for n in range(x.size):
            y[n] = min(max(x[n] / np.float32(6.0) + np.float32(0.5), zero), one)


@compiled
def activate_back(tile: Tile, row: Array, real: Array) -> None:
    """The gradient of the output (OTHER) times the slope at the input (SRC)."""
    x = tile.values[row[f.SRC] : row[f.SRC] + row[f.SIZE]]
    g = tile.values[row[f.OTHER] : row[f.OTHER] + row[f.SIZE]]
    out = tile.values[row[f.DST] : row[f.DST] + row[f.SIZE]]
    slope = tile.scratch[: row[f.SIZE]]
    kind, one, zero = row[f.KIND], np.float32(1.0), np.float32(0.0)
    alpha, scale, limit = real[f.ALPHA], real[f.CEILING], real[f.THRESHOLD]
    if kind == f.RELU:
        for n in range(x.size):
            slope[n] = (one if x[n] < scale else zero) if x[n] > limit else alpha
    elif kind == f.ELU:
        for n in range(x.size):
            slope[n] = scale * (one if x[n] > zero else alpha * exp(x[n]))
    elif kind == f.SIGMOID:
        for n in range(x.size):
            y = _sigmoid(x[n])
            slope[n] = y * (one - y)
    elif kind == f.TANH:
        for n in range(x.size):
            y = _tanh(x[n])
            slope[n] = one - y * y
    elif kind == f.SILU:
        for n in range(x.size):
            y = _sigmoid(x[n])
            slope[n] = y * (one + x[n] * (one - y))
    elif kind == f.SOFTPLUS:
        for n in range(x.size):
            slope[n] = _sigmoid(x[n])
    elif kind == f.EXPONENTIAL:
        for n in range(x.size):
            slope[n] = exp(x[n])
    elif kind == f.SOFTSIGN:
        for n in range(x.size):
            part = one + abs(x[n])
            slope[n] = one / (part * part)
    elif kind == f.HARD_SIGMOID:
        for n in range(x.size):
            slope[n] = np.float32(1 / 6) if abs(x[n]) < np.float32(3.0) else zero
    if row[f.ADD]:
        for n in range(x.size):
            out[n] += g[n] * slope[n]
    else:
        for n in range(x.size):
            out[n] = g[n] * slope[n]


@compiled
def relu_back(tile: Tile, row: Array, real: Array) -> None:
    """The gradient DST of a fused ReLU's output SRC becomes that of its input, in place."""
    y = tile.values[row[f.SRC] : row[f.SRC] + row[f.SIZE]]
    g = tile.values[row[f.DST] : row[f.DST] + row[f.SIZE]]
    for n in range(y.size):
        g[n] = either(y[n] > 0, g[n], np.float32(0.0))
