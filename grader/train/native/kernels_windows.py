"""Pooling and depthwise convolutions: windows in which each channel stays by itself.

Forward by the table of taps, as for convolutions; pooling's way back scatters to where it came from.
"""

from __future__ import annotations

import numpy as np

from grader.train.native import fields as f
from grader.train.native.blocks import LANES
from grader.train.native.compiled import compiled, either, inlined
from grader.train.native.fields import Array
from grader.train.native.kernels_convolution import add_lanes
from grader.train.native.tile import Tile


@inlined
def _taps(table: Array, row: Array, y: int, x: int) -> tuple[int, int, int]:
    """Of one pixel: the base in what is read, and its first and last tap in the table."""
    rows, columns = row[f.ROWS], row[f.COLUMNS]
    pair = 2 * (rows + columns + table[rows + columns + y] + table[2 * rows + columns + x])
    return table[y] * row[f.SRC_COLUMNS] + table[rows + x], table[pair], table[pair + 1]


@compiled
def max_pool(tile: Tile, row: Array, real: Array) -> None:
    """Each output DST is the largest element of its window of the input SRC, per channel."""
    width, table = row[f.CHANNELS] * LANES, tile.taps[row[f.GEOMETRY] :]
    for y in range(row[f.ROWS]):
        for x in range(row[f.COLUMNS]):
            base, first, last = _taps(table, row, y, x)
            at = row[f.DST] + (y * row[f.COLUMNS] + x) * width
            out = tile.values[at : at + width]
            for tap in range(first, last, 2):
                start = row[f.SRC] + base * width + table[tap]
                source = tile.values[start : start + width]
                if tap == first:
                    out[:] = source
                else:
                    for n in range(width):
                        out[n] = out[n] if source[n] <= out[n] else source[n]


@compiled
def max_pool_back(tile: Tile, row: Array, real: Array) -> None:
    """The gradient OTHER of the output DST goes to the first largest element; SRC is the input.

    What was read lies ``SHIFT`` floats before the gradient that is written.
    """
    width, table = row[f.CHANNELS] * LANES, tile.taps[row[f.GEOMETRY] :]
    rest = tile.scratch[:width]
    for y in range(row[f.ROWS]):
        for x in range(row[f.COLUMNS]):
            base, first, last = _taps(table, row, y, x)
            at = (y * row[f.COLUMNS] + x) * width
            out = tile.values[row[f.DST] + at : row[f.DST] + at + width]
            g = tile.values[row[f.OTHER] + at : row[f.OTHER] + at + width]
            rest[:] = g
            for tap in range(first, last, 2):
                start = row[f.SRC] + base * width + table[tap]
                source = tile.values[start : start + width]
                slopes = tile.values[start + row[f.SHIFT] : start + row[f.SHIFT] + width]
                for n in range(width):
                    taken = either(source[n] == out[n], rest[n], np.float32(0.0))
                    slopes[n] += taken
                    rest[n] -= taken


@compiled
def mean_pool(tile: Tile, row: Array, real: Array) -> None:
    """The mean over the elements that are there: padding does not count."""
    width, table = row[f.CHANNELS] * LANES, tile.taps[row[f.GEOMETRY] :]
    for y in range(row[f.ROWS]):
        for x in range(row[f.COLUMNS]):
            base, first, last = _taps(table, row, y, x)
            at = row[f.DST] + (y * row[f.COLUMNS] + x) * width
            out = tile.values[at : at + width]
            share = np.float32(2.0) / np.float32(last - first)
            out[:] = 0.0
            for tap in range(first, last, 2):
                start = row[f.SRC] + base * width + table[tap]
                source = tile.values[start : start + width]
                for n in range(width):
                    out[n] += source[n]
            for n in range(width):
                out[n] *= share


@compiled
def mean_pool_back(tile: Tile, row: Array, real: Array) -> None:
    """The gradient OTHER of the output is shared out to the gradient DST of the input."""
    width, table = row[f.CHANNELS] * LANES, tile.taps[row[f.GEOMETRY] :]
    for y in range(row[f.ROWS]):
        for x in range(row[f.COLUMNS]):
            base, first, last = _taps(table, row, y, x)
            at = row[f.OTHER] + (y * row[f.COLUMNS] + x) * width
            g = tile.values[at : at + width]
            share = np.float32(2.0) / np.float32(last - first)
            for tap in range(first, last, 2):
                start = row[f.DST] + base * width + table[tap]
                slopes = tile.values[start : start + width]
                for n in range(width):
                    slopes[n] += g[n] * share


@compiled
def _weights_of_taps(tile: Tile, row: Array, count: int) -> Array:
    """Each weight in all lanes: what a tap multiplies a pixel's channels with."""
    spread = tile.scratch[count * LANES : 2 * count * LANES]
    for n in range(count):
        weight = tile.parameters[row[f.WEIGHTS] + n]
        for lane in range(LANES):
            spread[n * LANES + lane] = weight
    return spread


@compiled
def _repeated(source: Array, many: int, out: Array) -> None:
    """Each channel's vector ``many`` times, as depthwise outputs are ordered."""
    for c in range(source.size // LANES):
        for k in range(many):
            for lane in range(LANES):
                out[(c * many + k) * LANES + lane] = source[c * LANES + lane]


@compiled
def _added_up(source: Array, many: int, out: Array) -> None:
    """The opposite of `_repeated`: the sum over each channel's outputs is added to it."""
    for c in range(out.size // LANES):
        for k in range(many):
            for lane in range(LANES):
                out[c * LANES + lane] += source[(c * many + k) * LANES + lane]


@compiled
def depthwise(tile: Tile, row: Array, real: Array) -> None:
    """Each input channel c gives ``KIND`` output channels: c * KIND, c * KIND + 1, ..."""
    many, table = row[f.KIND], tile.taps[row[f.GEOMETRY] :]
    narrow, width = row[f.SRC_CHANNELS] * LANES, row[f.CHANNELS] * LANES
    count = row[f.KERNEL_ROWS] * row[f.KERNEL_COLUMNS] * row[f.CHANNELS]
    weights, wide = _weights_of_taps(tile, row, count), tile.scratch[:width]
    begin = np.zeros(width, np.float32)
    if row[f.BIAS] >= 0:
        for n in range(width):
            begin[n] = tile.parameters[row[f.BIAS] + n // LANES]
    for y in range(row[f.ROWS]):
        for x in range(row[f.COLUMNS]):
            base, first, last = _taps(table, row, y, x)
            at = row[f.DST] + (y * row[f.COLUMNS] + x) * width
            out = tile.values[at : at + width]
            out[:] = begin
            for tap in range(first, last, 2):
                start = row[f.SRC] + base * narrow + table[tap]
                source = tile.values[start : start + narrow]
                if many > 1:
                    _repeated(source, many, wide)
                    source = wide
                weight = weights[table[tap + 1] * LANES : table[tap + 1] * LANES + width]
                for n in range(width):
                    out[n] += source[n] * weight[n]


@compiled
def depthwise_back(tile: Tile, row: Array, real: Array) -> None:
    """Gradients of the weights and, unless SIZE is 0, of the input: it lies SHIFT floats behind it."""
    many, table = row[f.KIND], tile.taps[row[f.GEOMETRY] :]
    narrow, width = row[f.SRC_CHANNELS] * LANES, row[f.CHANNELS] * LANES
    count = row[f.KERNEL_ROWS] * row[f.KERNEL_COLUMNS] * row[f.CHANNELS]
    weights, sums = _weights_of_taps(tile, row, count), tile.scratch[: count * LANES]
    wide, products = np.empty(width, np.float32), np.empty(width, np.float32)
    sums[:] = 0.0
    for y in range(row[f.ROWS]):
        for x in range(row[f.COLUMNS]):
            base, first, last = _taps(table, row, y, x)
            at = row[f.OTHER] + (y * row[f.COLUMNS] + x) * width
            g = tile.values[at : at + width]
            for tap in range(first, last, 2):
                start, element = row[f.SRC] + base * narrow + table[tap], table[tap + 1] * LANES
                source = tile.values[start : start + narrow]
                if many > 1:
                    _repeated(source, many, wide)
                    source = wide
                total, weight = sums[element : element + width], weights[element : element + width]
                for n in range(width):
                    total[n] += source[n] * g[n]
                if row[f.SIZE]:
                    slopes = tile.values[start + row[f.SHIFT] : start + row[f.SHIFT] + narrow]
                    if many > 1:
                        for n in range(width):
                            products[n] = g[n] * weight[n]
                        _added_up(products, many, slopes)
                    else:
                        for n in range(width):
                            slopes[n] += g[n] * weight[n]
    add_lanes(sums, tile.slopes[row[f.WEIGHTS] :], count)
