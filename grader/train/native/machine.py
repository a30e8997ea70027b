"""Runs a program on a mini-batch: instructions tile by tile on all cores, and those for the whole batch.

Which core takes a tile changes nothing: each part of the batch adds up its gradients by itself, and parts are
joined in their order. So a result does not depend on the number of threads.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from grader.train.native import fields as f
from grader.train.native import kernels_convolution as convolution
from grader.train.native import kernels_loss as losses
from grader.train.native import kernels_normalisation as normalisation
from grader.train.native import kernels_pointwise as pointwise
from grader.train.native import kernels_windows as windows
from grader.train.native.blocks import GATHERED, LANES
from grader.train.native.compiled import addresses, call, compiled
from grader.train.native.fields import Array
from grader.train.native.team import add, give_way
from grader.train.native.tile import Batch, Tile

# Pieces of a run: parts of the batch, none, or blocks of a product.
_TILES, _ONCE, _BLOCKS = 0, 1, 2
PARTS = 16  # of a batch, at most: each has gradients of its own and is done by one thread


def parts(images: int) -> int:
    """Into how many pieces a batch is cut."""
    return min(PARTS, -(-images // LANES))


class Program(NamedTuple):
    """Instructions, their floats, and the runs that they form."""

    rows: Array  # int64 (instructions, WIDTH)
    reals: Array  # float32 (instructions, FLOATS)
    runs: Array  # int64 (runs, 3): first instruction, first one after, and what its pieces are
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
    joints: Array  # int64 (ranges, 2): parameters whose gradients each part has its own sum of


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
    f.DENSE_INPUTS: convolution.dense_inputs,
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
    """Instructions -> runs: of those for tiles as many as follow each other, of the others each by itself."""
    runs: list[tuple[int, int, int]] = []
    for n, (row, _) in enumerate(instructions):
        kind = _BLOCKS if row[f.CODE] == f.DENSE_SLOPES else _ONCE if row[f.CODE] in _ON_BATCH else _TILES
        if runs and kind == _TILES == runs[-1][2]:
            runs[-1] = (runs[-1][0], n + 1, kind)
        else:
            runs.append((n, n + 1, kind))
    codes = {int(row[f.CODE]) for row, _ in instructions}
    used = [{code: kernels[code] for code in codes & set(kernels)} for kernels in (_ON_TILE, _ON_BATCH)]
    return Program(
        np.array([row for row, _ in instructions], np.int64).reshape(-1, f.WIDTH),
        np.array([real for _, real in instructions], np.float32).reshape(-1, f.FLOATS),
        np.array(runs, np.int64).reshape(-1, 3),
        addresses(*used),
    )


class Step(NamedTuple):
    """One mini-batch for a program: which images, and what has been claimed and done of each run."""

    images: Array
    labels: Array
    chosen: Array
    seeds: Array  # uint32 (tiles, numbers)
    counters: Array  # int64: for each run, pieces claimed and pieces done


@compiled
def work(memory: Memory, program: Program, step: Step) -> None:
    """Do what is to be done of a step, with other threads that do the same; ends when all is done."""
    tiles = (step.chosen.size + LANES - 1) // LANES
    for run in range(program.runs.shape[0]):
        first, last, kind = program.runs[run]
        pieces = _pieces(program.rows[first], kind, tiles)
        piece = add(step.counters, 2 * run, 1)
        while piece < pieces:
            if kind == _TILES:
                _tiles(memory, program, step, piece, first, last)
            elif kind == _ONCE:
                _once(memory, program, tiles, first)
            else:
                _block(memory, program, step, piece, first)
            add(step.counters, 2 * run + 1, 1)
            piece = add(step.counters, 2 * run, 1)
        while add(step.counters, 2 * run + 1, 0) < pieces:
            give_way()


@compiled
def _pieces(row: Array, kind: int, tiles: int) -> int:
    if kind == _TILES:
        return min(PARTS, tiles)
    if kind == _ONCE:
        return 1
    return (row[f.SIZE] // row[f.CHANNELS] + GATHERED - 1) // GATHERED


@compiled
def _tiles(memory: Memory, program: Program, step: Step, part: int, first: int, last: int) -> None:
    """A run of instructions on every tile of one part of the batch."""
    tiles = (step.chosen.size + LANES - 1) // LANES
    mask = np.zeros(LANES, np.float32)
    for t in range(part, tiles, min(PARTS, tiles)):
        own = step.chosen[t * LANES : (t + 1) * LANES]
        mask[:] = 0.0
        mask[: own.size] = 1.0
        tile = Tile(
            memory.values[t], memory.parameters, memory.turned, memory.slopes[part], memory.sums[t],
            memory.norms, memory.scratch[part], memory.taps, step.images, step.labels, own, mask,
            1.0 / step.chosen.size, step.seeds[t],
        )  # fmt: skip
        for n in range(first, last):
            row = program.rows[n]
            call(program.kernels[row[f.CODE]], tile, row, program.reals[n])


@compiled
def _once(memory: Memory, program: Program, tiles: int, number: int) -> None:
    """An instruction for the whole batch."""
    batch = Batch(memory.parameters, memory.slopes, memory.sums[:tiles], memory.norms, memory.moving)
    row = program.rows[number]
    call(program.kernels[row[f.CODE]], batch, row, program.reals[number])


@compiled
def _block(memory: Memory, program: Program, step: Step, block: int, number: int) -> None:
    """A matrix product over all tiles, for one block of `GATHERED` rows of the weights."""
    tiles = (step.chosen.size + LANES - 1) // LANES
    row = program.rows[number].copy()
    row[f.OTHER] = block * GATHERED
    taps = np.repeat(np.arange(tiles) * memory.values.shape[1], 2)
    tile = Tile(
        memory.values.reshape(-1), memory.parameters, memory.turned, memory.slopes[0], memory.sums[0],
        memory.norms, np.empty(GATHERED * LANES, np.float32), taps, step.images, step.labels, step.chosen,
        memory.norms, 0.0, step.seeds[0],
    )  # fmt: skip
    call(program.kernels[row[f.CODE]], tile, row, program.reals[number])


@compiled
def turn(memory: Memory) -> None:
    """Exchange input and output channels of every kernel, for the way back."""
    for k in range(memory.turns.shape[0]):
        start, elements, ins, outs = memory.turns[k]
        for e in range(elements):
            at = start + e * ins * outs
            for first in range(0, ins, LANES):
                for o in range(outs):
                    for i in range(first, min(first + LANES, ins)):
                        memory.turned[at + o * ins + i] = memory.parameters[at + i * outs + o]


@compiled
def clear(slopes: Array, parts: int, joints: Array) -> None:
    """Fill the gradients of joints with zeros, in each of the parts."""
    for part in range(parts):
        for first, last in joints:
            slopes[part, first:last] = 0.0


@compiled
def joined(slopes: Array, parts: int, joints: Array) -> Array:
    """The gradient of the mean loss: the parts in their order."""
    total = slopes[0].copy()
    for first, last in joints:
        for part in range(1, parts):
            for n in range(first, last):
                total[n] += slopes[part, n]
    return total
