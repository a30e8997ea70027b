"""Runs a program on a mini-batch: instructions tile by tile on all cores, and those between tiles.

Which core takes a tile changes nothing: each part of the batch adds up its gradients by itself, and parts are
joined in their order. So a result does not depend on the number of threads.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit, prange

from grader.train.native import fields as f
from grader.train.native import kernels_convolution as convolution
from grader.train.native import kernels_loss as losses
from grader.train.native import kernels_normalisation as normalisation
from grader.train.native import kernels_pointwise as pointwise
from grader.train.native import kernels_windows as windows
from grader.train.native.blocks import LANES
from grader.train.native.compiled import addresses, call, compiled
from grader.train.native.fields import Array
from grader.train.native.tile import Batch, Tile

PARTS = 16  # of a batch, at most: each has gradients of its own and is done by one thread


class Program(NamedTuple):
    """Instructions, their floats, and where a tile's run of instructions begins and ends."""

    rows: Array  # int64 (instructions, WIDTH)
    reals: Array  # float32 (instructions, FLOATS)
    runs: Array  # int64 (runs, 3): first and last instruction, and one for the whole batch or -1
    kernels: Array  # int64: addresses by code


class Memory(NamedTuple):
    """Arrays that all programs of a network share."""

    values: Array  # float32 (tiles, floats)
    parameters: Array
    turned: Array
    slopes: Array  # float32 (parts, parameters)
    sums: Array  # float64 (tiles, sums)
    norms: Array
    moving: Array
    scratch: Array  # float32 (parts, floats)
    taps: Array
    turns: Array  # int64 (kernels, 4): offset, elements, input channels, output channels


_ON_TILE = {
    f.LOAD: pointwise.load,
    f.CLEAR: pointwise.clear,
    f.ACTIVATE: pointwise.activate,
    f.ACTIVATE_BACK: pointwise.activate_back,
    f.RELU_BACK: pointwise.relu_back,
    f.DROPOUT: pointwise.dropout,
    f.PLACE: pointwise.place,
    f.GATHER: convolution.gather_pixels,
    f.WEIGHT_SLOPES: convolution.weight_slopes,
    f.DENSE_SLOPES: convolution.dense_slopes,
    f.BIAS_SLOPES: convolution.bias_slopes,
    f.STATISTICS: normalisation.statistics,
    f.NORMALISE: normalisation.normalise,
    f.NORM_SUMS: normalisation.norm_sums,
    f.NORM_BACK: normalisation.norm_back,
    f.MAX_POOL: windows.max_pool,
    f.MAX_POOL_BACK: windows.max_pool_back,
    f.MEAN_POOL: windows.mean_pool,
    f.MEAN_POOL_BACK: windows.mean_pool_back,
    f.DEPTHWISE: windows.depthwise,
    f.DEPTHWISE_BACK: windows.depthwise_back,
    f.LOSS: losses.loss,
}
_ON_BATCH = {
    f.FINISH_STATISTICS: normalisation.finish_statistics,
    f.FINISH_NORM_SUMS: normalisation.finish_norm_sums,
    f.MOVING_STATISTICS: normalisation.moving_statistics,
}


def assemble(instructions: list[tuple[Array, Array]]) -> Program:
    """Instructions -> runs of those for tiles, each ending with one for the whole batch or with the last."""
    runs, first = [], 0
    for n, (row, _) in enumerate(instructions):
        if row[f.CODE] in _ON_BATCH:
            runs.append((first, n, n))
            first = n + 1
    runs.append((first, len(instructions), -1))
    codes = {int(row[f.CODE]) for row, _ in instructions}
    used = [{code: kernels[code] for code in codes & set(kernels)} for kernels in (_ON_TILE, _ON_BATCH)]
    return Program(
        np.array([row for row, _ in instructions], np.int64).reshape(-1, f.WIDTH),
        np.array([real for _, real in instructions], np.float32).reshape(-1, f.FLOATS),
        np.array(runs, np.int64),
        addresses(*used),
    )


@compiled
def _part(
    part: int, parts: int, memory: Memory, program: Program, run: int,
    images: Array, labels: Array, chosen: Array, seeds: Array,
) -> None:  # fmt: skip
    """One run of instructions on every tile of one part of the batch."""
    tiles = (chosen.size + LANES - 1) // LANES
    mask = np.zeros(LANES, np.float32)
    for t in range(part, tiles, parts):
        own = chosen[t * LANES : (t + 1) * LANES]
        mask[:] = 0.0
        mask[: own.size] = 1.0
        tile = Tile(
            memory.values[t], memory.parameters, memory.turned, memory.slopes[part], memory.sums[t],
            memory.norms, memory.scratch[part], memory.taps, images, labels, own, mask,
            1.0 / chosen.size, seeds[t],
        )  # fmt: skip
        for n in range(program.runs[run, 0], program.runs[run, 1]):
            row = program.rows[n]
            call(program.kernels[row[f.CODE]], tile, row, program.reals[n])


@njit(nogil=True, cache=True, error_model="numpy", parallel=True)
def _run_parts(
    memory: Memory, program: Program, run: int, images: Array, labels: Array, chosen: Array, seeds: Array
) -> None:
    parts = min(PARTS, (chosen.size + LANES - 1) // LANES)
    for part in prange(parts):
        _part(part, parts, memory, program, run, images, labels, chosen, seeds)


@compiled
def execute(
    memory: Memory, program: Program, images: Array, labels: Array, chosen: Array, seeds: Array
) -> tuple[float, float]:
    """Run a program on the images ``chosen``; summed cross-entropy, and images that it got right."""
    tiles = (chosen.size + LANES - 1) // LANES
    batch = Batch(memory.parameters, memory.slopes, memory.sums[:tiles], memory.norms, memory.moving)
    for run in range(program.runs.shape[0]):
        if program.runs[run, 0] < program.runs[run, 1]:
            _run_parts(memory, program, run, images, labels, chosen, seeds)
        between = program.runs[run, 2]
        if between >= 0:
            row = program.rows[between]
            call(program.kernels[row[f.CODE]], batch, row, program.reals[between])
    entropy, hits = 0.0, 0.0
    for t in range(tiles):
        entropy += memory.sums[t, 0]
        hits += memory.sums[t, 1]
    return entropy, hits


@compiled
def turn(memory: Memory) -> None:
    """Exchange input and output channels of every kernel, for the way back."""
    for k in range(memory.turns.shape[0]):
        start, elements, ins, outs = memory.turns[k]
        for e in range(elements):
            for i in range(ins):
                for o in range(outs):
                    at = start + e * ins * outs
                    memory.turned[at + o * ins + i] = memory.parameters[at + i * outs + o]


@compiled
def joined(slopes: Array, parts: int) -> Array:
    """The gradient of the mean loss: the parts in their order."""
    total = slopes[0].copy()
    for part in range(1, parts):
        for n in range(total.size):
            total[n] += slopes[part, n]
    return total
