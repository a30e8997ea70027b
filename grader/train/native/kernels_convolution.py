"""Convolutions and dense layers on a tile: forward, gradient of the input, gradients of the weights.

Forward and the gradient of the input are one kernel: each pixel gathers what its taps reach, from the
input with the weights or from the output's gradient with the transposed weights.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from grader.train.native import fields as f
from grader.train.native.blocks import CORRELATED, GATHERED, LANES, correlate, gather
from grader.train.native.compiled import compiled
from grader.train.native.fields import Array
from grader.train.native.tile import Tile

_OUTS, _INS = CORRELATED[1], CORRELATED[0]


@compiled
def gather_pixels(tile: Tile, row: Array, real: Array) -> None:
    """Each output pixel DST is the sum over its taps of input SRC times weights, and a bias."""
    rows, columns, channels = row[f.ROWS], row[f.COLUMNS], row[f.CHANNELS]
    source_channels = row[f.SRC_CHANNELS]
    weights = tile.turned if row[f.TURNED] else tile.parameters
    lowest = np.float32(0.0) if row[f.FLOOR] else np.float32(-np.inf)
    table = tile.taps[row[f.GEOMETRY] :]
    spans = table[2 * (rows + columns) :]
    blocks = (channels + GATHERED - 1) // GATHERED
    for y in range(rows):
        for x in range(columns):
            pair = 2 * (table[rows + columns + y] + table[2 * rows + columns + x])
            base = table[y] * row[f.SRC_COLUMNS] + table[rows + x]
            at = row[f.DST] + (y * columns + x) * channels * LANES
            m = 0
            for block in range(blocks):
                size = (channels - m) // (blocks - block)
                bias = row[f.BIAS] + m if row[f.BIAS] >= 0 else -1 - row[f.ADD]
                gather(
                    size, tile.values, row[f.SRC] + base * source_channels * LANES,
                    table, spans[pair], spans[pair + 1], source_channels,
                    weights, row[f.WEIGHTS] + m, channels,
                    tile.values, at + m * LANES, LANES, tile.parameters, bias, lowest,
                )  # fmt: skip
                m += size


@compiled
def _range(before: int, after: int, stride: int, start: int) -> tuple[int, int]:
    """The elements n after for which ``n * stride + start`` is an element before."""
    first = max(0, (stride - 1 - start) // stride)
    last = (before - 1 - start) // stride + 1
    return first, max(first, min(after, last))


@compiled
def weight_slopes(tile: Tile, row: Array, real: Array) -> None:
    """Sums over pixels in blocks of channels; a vector per weight, added up at the end."""
    outs, ins = row[f.CHANNELS], row[f.SRC_CHANNELS]
    tile.scratch[: row[f.SIZE] * LANES] = 0.0
    out_blocks, in_blocks = (outs + _OUTS - 1) // _OUTS, (ins + _INS - 1) // _INS
    # So many rows at a time that the sums are not moved more often than the pixels.
    together = max(1, row[f.SIZE] // (row[f.COLUMNS] * (outs + ins)))
    for top in range(0, row[f.ROWS], together):
        o = 0
        for out_block in range(out_blocks):
            out_size = (outs - o) // (out_blocks - out_block)
            i = 0
            for in_block in range(in_blocks):
                in_size = (ins - i) // (in_blocks - in_block)
                _slopes_of_block(tile, row, top, min(top + together, row[f.ROWS]), o, out_size, i, in_size)
                i += in_size
            o += out_size
    add_lanes(tile.scratch, tile.slopes[row[f.WEIGHTS] :], row[f.SIZE])


@compiled
def _slopes_of_block(
    tile: Tile, row: Array, top: int, bottom: int, o: int, out_size: int, i: int, in_size: int
) -> None:
    outs, ins, width = row[f.CHANNELS], row[f.SRC_CHANNELS], row[f.SRC_COLUMNS]
    for ky in range(row[f.KERNEL_ROWS]):
        down = ky * row[f.DILATION_ROWS] - row[f.PAD_ROWS]
        first, last = _range(row[f.SRC_ROWS], row[f.ROWS], row[f.STRIDE_ROWS], down)
        for kx in range(row[f.KERNEL_COLUMNS]):
            along = kx * row[f.DILATION_COLUMNS] - row[f.PAD_COLUMNS]
            left, right = _range(width, row[f.COLUMNS], row[f.STRIDE_COLUMNS], along)
            weight = ((ky * row[f.KERNEL_COLUMNS] + kx) * ins + i) * outs + o
            y = max(top, first)
            pixel = (y * row[f.STRIDE_ROWS] + down) * width + left * row[f.STRIDE_COLUMNS] + along
            correlate(
                out_size, in_size,
                tile.values, row[f.DST] + ((y * row[f.COLUMNS] + left) * outs + o) * LANES,
                row[f.COLUMNS] * outs * LANES, outs * LANES,
                tile.values, row[f.SRC] + (pixel * ins + i) * LANES,
                row[f.STRIDE_ROWS] * width * ins * LANES, row[f.STRIDE_COLUMNS] * ins * LANES,
                max(0, min(bottom, last) - y), right - left,
                tile.scratch, weight * LANES, outs * LANES,
            )  # fmt: skip


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"reassoc"})
def add_lanes(vectors: Array, totals: Array, count: int) -> None:
    """Add the lanes of each vector, pairwise as the machine likes; NaN stays NaN."""
    for n in range(count):
        total = np.float32(0.0)
        for lane in range(LANES):
            total += vectors[n * LANES + lane]
        totals[n] += total


@compiled
def bias_slopes(tile: Tile, row: Array, real: Array) -> None:
    """Add the sums of the gradient DST over pixels and images to that of the bias, per channel."""
    width = row[f.CHANNELS] * LANES
    sums = tile.scratch[:width]
    sums[:] = 0.0
    for pixel in range(row[f.ROWS] * row[f.COLUMNS]):
        start = row[f.DST] + pixel * width
        slopes = tile.values[start : start + width]
        for n in range(width):
            sums[n] += slopes[n]
    add_lanes(sums, tile.slopes[row[f.BIAS] :], row[f.CHANNELS])


@compiled
def dense_inputs(tile: Tile, row: Array, real: Array) -> None:
    """Where a weight meets one pixel only, its gradient is a matrix product over the whole batch.

    This lays out a tile's part of the factors: at ``SHIFT``, of 16 outputs at a time, a vector for each
    image; at ``SRC_SHIFT`` the inputs of each image.
    """
    outs, ins = row[f.CHANNELS], row[f.SIZE] // row[f.CHANNELS]
    width = (outs + LANES - 1) // LANES * LANES
    slopes = tile.values[row[f.SHIFT] : row[f.SHIFT] + LANES * width]
    inputs = tile.values[row[f.SRC_SHIFT] : row[f.SRC_SHIFT] + LANES * ins]
    slopes[:] = 0.0
    for o in range(outs):
        start = o // LANES * LANES * LANES + o % LANES
        for lane in range(LANES):
            slopes[start + lane * LANES] = tile.values[row[f.DST] + o * LANES + lane]
    for i in range(ins):
        for lane in range(LANES):
            inputs[lane * ins + i] = tile.values[row[f.SRC] + i * LANES + lane]


@compiled
def dense_slopes(tile: Tile, row: Array, real: Array) -> None:
    """The product for up to `GATHERED` inputs from ``OTHER`` on; here a tile's values are all tiles'.

    Taps are tiles: how far each lies behind the first one.
    """
    outs, ins = row[f.CHANNELS], row[f.SIZE] // row[f.CHANNELS]
    i = row[f.OTHER]
    size = min(GATHERED, ins - i)
    for o in range(0, outs, LANES):
        gather(
            size, tile.values, row[f.SHIFT] + o * LANES, tile.taps, 0, tile.taps.size, LANES,
            tile.values, row[f.SRC_SHIFT] + i, ins,
            tile.scratch, 0, LANES, tile.parameters, -1, np.float32(-np.inf),
        )  # fmt: skip
        for m in range(size):
            at = row[f.WEIGHTS] + (i + m) * outs + o
            for n in range(min(LANES, outs - o)):
                tile.slopes[at + n] = tile.scratch[m * LANES + n]
