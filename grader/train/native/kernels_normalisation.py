"""Kernels of BatchNormalization over the whole mini-batch: sums by tile, what follows from them, two passes.

As in Keras: biased variance, moving averages updated in training. A tile's mean and squared deviations are
counted around one of its own values, and tiles are joined in double precision (Chan, Golub and LeVeque,
"Algorithms for computing the sample variance", 1983), so that a large mean costs no digits.
"""

from __future__ import annotations

import numpy as np

from grader.train.native import fields as f
from grader.train.native.blocks import LANES
from grader.train.native.compiled import compiled
from grader.train.native.fields import Array
from grader.train.native.random import bits, threshold
from grader.train.native.tile import Batch, Tile


@compiled
def statistics(tile: Tile, row: Array, real: Array) -> None:
    """Compute each channel's mean and summed squared deviation over this tile's images, and their number."""
    channels, pixels = row[f.CHANNELS], row[f.ROWS] * row[f.COLUMNS]
    width = channels * LANES
    origin, sums, squares = tile.scratch[:width], tile.scratch[width : 2 * width], tile.scratch[2 * width :]
    for n in range(width):
        origin[n] = tile.values[row[f.SRC] + n // LANES * LANES]
        sums[n] = 0.0
        squares[n] = 0.0
    for pixel in range(pixels):
        values = tile.values[row[f.SRC] + pixel * width : row[f.SRC] + (pixel + 1) * width]
        for n in range(width):
            distance = values[n] - origin[n]
            sums[n] += distance
            squares[n] += distance * distance
    lanes = 0.0
    for lane in range(LANES):
        lanes += tile.mask[lane]
    count = lanes * pixels
    for channel in range(channels):
        total, square = 0.0, 0.0
        for lane in range(LANES):
            if tile.mask[lane] > 0:
                total += sums[channel * LANES + lane]
                square += squares[channel * LANES + lane]
        tile.sums[row[f.SUMS] + channel] = origin[channel * LANES] + total / count
        tile.sums[row[f.SUMS] + channels + channel] = square - total * total / count
    tile.sums[row[f.SUMS] + 2 * channels] = count


@compiled
def finish_statistics(batch: Batch, row: Array, real: Array) -> None:
    """Join the tiles' statistics, update the moving averages, and set factor and summand of each channel."""
    channels, at = row[f.CHANNELS], row[f.SUMS]
    tiles = batch.sums.shape[0]
    for c in range(channels):
        count, mean, square = 0.0, 0.0, 0.0
        for t in range(tiles):
            more = batch.sums[t, at + 2 * channels]
            distance = batch.sums[t, at + c] - mean
            square += batch.sums[t, at + channels + c] + distance * distance * count * more / (count + more)
            mean += distance * more / (count + more)
            count += more
        variance = square / count
        keep = np.float32(real[f.FACTOR])
        rest = np.float32(real[f.OFFSET])
        state = row[f.STATE] + c
        batch.moving[state] = batch.moving[state] * keep + np.float32(mean) * rest
        state += channels
        batch.moving[state] = batch.moving[state] * keep + np.float32(variance) * rest
        _set_norm(batch, row, real, c, np.float32(mean), np.float32(variance))
        batch.norms[row[f.NORMS] + 6 * channels] = count


@compiled
def moving_statistics(batch: Batch, row: Array, real: Array) -> None:
    """Set factor and summand of each channel by the moving averages."""
    for c in range(row[f.CHANNELS]):
        mean = batch.moving[row[f.STATE] + c]
        variance = batch.moving[row[f.STATE] + row[f.CHANNELS] + c]
        _set_norm(batch, row, real, c, mean, variance)


@compiled
def _set_norm(batch: Batch, row: Array, real: Array, c: int, mean: float, variance: float) -> None:
    """Set the norms of channel ``c``: factor, summand, mean, 1 / deviation (and two for the way back)."""
    channels, at = row[f.CHANNELS], row[f.NORMS] + c
    inverse = np.float32(1.0) / np.sqrt(variance + np.float32(real[f.EPSILON]))
    factor = inverse
    if row[f.WEIGHTS] >= 0:
        factor = inverse * batch.parameters[row[f.WEIGHTS] + c]
    summand = -mean * factor
    if row[f.BIAS] >= 0:
        summand += batch.parameters[row[f.BIAS] + c]
    batch.norms[at] = factor
    batch.norms[at + channels] = summand
    batch.norms[at + 2 * channels] = mean
    batch.norms[at + 3 * channels] = inverse


@compiled
def _spread(norms: Array, start: int, channels: int, out: Array) -> None:
    for n in range(channels * LANES):
        out[n] = norms[start + n // LANES]


@compiled
def normalise(tile: Tile, row: Array, real: Array) -> None:
    """Compute ``x * factor + summand``, and Dropout in the same pass where one follows."""
    channels, width = row[f.CHANNELS], row[f.CHANNELS] * LANES
    factor, summand = tile.scratch[:width], tile.scratch[width : 2 * width]
    _spread(tile.norms, row[f.NORMS], channels, factor)
    _spread(tile.norms, row[f.NORMS] + channels, channels, summand)
    rate = real[f.RATE]
    least, more = threshold(rate), np.float32(1.0) / (np.float32(1.0) - rate)
    a, b = tile.seeds[2 * row[f.KEY]], tile.seeds[2 * row[f.KEY] + 1]
    for pixel in range(row[f.ROWS] * row[f.COLUMNS]):
        start = pixel * width
        x = tile.values[row[f.SRC] + start : row[f.SRC] + start + width]
        y = tile.values[row[f.DST] + start : row[f.DST] + start + width]
        if rate > 0:
            for n in range(width):
                kept = more if bits(start + n, a, b) >= least else np.float32(0.0)
                y[n] = (x[n] * factor[n] + summand[n]) * kept
        else:
            for n in range(width):
                y[n] = x[n] * factor[n] + summand[n]


@compiled
def norm_sums(tile: Tile, row: Array, real: Array) -> None:
    """Sum the output's gradient, plain and times the normalised input; Dropout's zeros are set first."""
    channels, width = row[f.CHANNELS], row[f.CHANNELS] * LANES
    mean, plain, product = tile.scratch[:width], tile.scratch[width : 2 * width], tile.scratch[2 * width :]
    _spread(tile.norms, row[f.NORMS] + 2 * channels, channels, mean)
    plain[:] = 0.0
    product[:width] = 0.0
    rate = real[f.RATE]
    least, more = threshold(rate), np.float32(1.0) / (np.float32(1.0) - rate)
    a, b = tile.seeds[2 * row[f.KEY]], tile.seeds[2 * row[f.KEY] + 1]
    for pixel in range(row[f.ROWS] * row[f.COLUMNS]):
        start = pixel * width
        x = tile.values[row[f.SRC] + start : row[f.SRC] + start + width]
        g = tile.values[row[f.DST] + start : row[f.DST] + start + width]
        if rate > 0:
            for n in range(width):
                g[n] *= more if bits(start + n, a, b) >= least else np.float32(0.0)
        for n in range(width):
            plain[n] += g[n]
            product[n] += g[n] * (x[n] - mean[n])
    for channel in range(channels):
        total, weighted = 0.0, 0.0
        for lane in range(LANES):
            total += plain[channel * LANES + lane]
            weighted += product[channel * LANES + lane]
        tile.sums[row[f.SUMS] + channel] = total
        tile.sums[row[f.SUMS] + channels + channel] = weighted


@compiled
def finish_norm_sums(batch: Batch, row: Array, real: Array) -> None:
    """Join the tiles' sums: gradients of scale and centre, and the terms that the way back subtracts."""
    channels, at, norms = row[f.CHANNELS], row[f.SUMS], row[f.NORMS]
    count = batch.norms[norms + 6 * channels]
    for c in range(channels):
        plain, product = 0.0, 0.0
        for t in range(batch.sums.shape[0]):
            plain += batch.sums[t, at + c]
            product += batch.sums[t, at + channels + c]
        inverse = batch.norms[norms + 3 * channels + c]
        if row[f.WEIGHTS] >= 0:
            batch.slopes[0, row[f.WEIGHTS] + c] += product * inverse
        if row[f.BIAS] >= 0:
            batch.slopes[0, row[f.BIAS] + c] += plain
        batch.norms[norms + 4 * channels + c] = plain / count
        batch.norms[norms + 5 * channels + c] = product * inverse * inverse / count


@compiled
def norm_back(tile: Tile, row: Array, real: Array) -> None:
    """Compute the gradient of the input; where a ReLU precedes, that of the ReLU's input."""
    channels, width = row[f.CHANNELS], row[f.CHANNELS] * LANES
    factor, mean = tile.scratch[:width], tile.scratch[width : 2 * width]
    plain, product = tile.scratch[2 * width : 3 * width], tile.scratch[3 * width : 4 * width]
    _spread(tile.norms, row[f.NORMS], channels, factor)
    _spread(tile.norms, row[f.NORMS] + 2 * channels, channels, mean)
    _spread(tile.norms, row[f.NORMS] + 4 * channels, channels, plain)
    _spread(tile.norms, row[f.NORMS] + 5 * channels, channels, product)
    for n in range(width):
        factor[n] *= tile.mask[n % LANES]
    lowest = np.float32(0.0) if row[f.FLOOR] else np.float32(-np.inf)
    for pixel in range(row[f.ROWS] * row[f.COLUMNS]):
        start = pixel * width
        x = tile.values[row[f.SRC] + start : row[f.SRC] + start + width]
        g = tile.values[row[f.OTHER] + start : row[f.OTHER] + start + width]
        out = tile.values[row[f.DST] + start : row[f.DST] + start + width]
        if row[f.ADD]:
            for n in range(width):
                out[n] += factor[n] * (g[n] - plain[n] - (x[n] - mean[n]) * product[n])
        else:
            for n in range(width):
                slope = factor[n] * (g[n] - plain[n] - (x[n] - mean[n]) * product[n])
                out[n] = slope if x[n] > lowest else np.float32(0.0)
