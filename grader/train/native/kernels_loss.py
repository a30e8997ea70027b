"""The kernel of the loss: cross-entropy of a softmax over logits, as Keras computes it, and its gradient."""

from __future__ import annotations

import numpy as np

from grader.train.native import fields as f
from grader.train.native.blocks import LANES
from grader.train.native.compiled import compiled
from grader.train.native.fields import Array
from grader.train.native.tile import Tile


@compiled
def loss(tile: Tile, row: Array, real: Array) -> None:
    """Compute probabilities DST from logits SRC, the gradient OTHER of the mean loss (if not -1), and sums.

    Sums of the tile: cross-entropy, and images whose largest output is their label's. With KIND 1 the largest
    logit counts, else the largest probability. RATE is label smoothing.
    """
    classes = row[f.CHANNELS]
    spread = np.float32(real[f.RATE]) / np.float32(classes)
    own = np.float32(1.0) - np.float32(real[f.RATE]) + spread
    entropy, hits = 0.0, 0.0
    for lane in range(LANES):
        x, y = tile.values[row[f.SRC] + lane :], tile.values[row[f.DST] + lane :]
        valid = tile.mask[lane] > 0
        largest = x[0]
        for c in range(classes):
            largest = max(largest, x[c * LANES])
        total = np.float32(0.0)
        for c in range(classes):
            y[c * LANES] = np.exp(x[c * LANES] - largest)
            total += y[c * LANES]
        log_total, label = np.log(total), tile.labels[tile.chosen[lane]] if valid else 0
        best = 0
        for c in range(classes):
            wanted = own if c == label else spread
            if valid and wanted != 0:
                entropy -= wanted * (x[c * LANES] - largest - log_total)
            y[c * LANES] /= total
            first, second = (
                (x[c * LANES], x[best * LANES]) if row[f.KIND] else (y[c * LANES], y[best * LANES])
            )
            if first > second:
                best = c
        if valid and best == label:
            hits += 1.0
        if row[f.OTHER] >= 0:
            for c in range(classes):
                wanted = own if c == label else spread
                at = row[f.OTHER] + c * LANES + lane
                tile.values[at] = (
                    (y[c * LANES] - wanted) * np.float32(tile.share) if valid else np.float32(0.0)
                )
    tile.sums[row[f.SUMS]] = entropy
    tile.sums[row[f.SUMS] + 1] = hits
