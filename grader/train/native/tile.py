"""What compiled code sees of a mini-batch: `LANES` images at a time, the innermost axis of every array.

An image's numbers lie in Keras's order (row, column, channel), each of them a vector over the images:
so Flatten and Reshape are no work at all.
"""

from __future__ import annotations

from typing import NamedTuple

from grader.train.native.fields import Array


class Tile(NamedTuple):
    """One tile with all that its instructions read and write."""

    values: Array  # float32: activations and their gradients
    parameters: Array  # float32: all weights of the network
    turned: Array  # float32: kernels with the axes of input and output channels exchanged
    slopes: Array  # float32: this tile's part of the gradients of the weights
    sums: Array  # float64: this tile's part of sums over the batch
    norms: Array  # float32: what normalisation multiplies with and adds
    scratch: Array  # float32: room for one instruction
    taps: Array  # int64: geometry of windows
    images: Array  # uint8: the data set, a row for each image
    labels: Array  # int64
    chosen: Array  # int64: which images these are
    mask: Array  # float32: 1 for each lane that holds an image, else 0
    share: float  # what one image counts in the mean over the batch
    seeds: Array  # uint32: two random numbers for this step and tile


class Batch(NamedTuple):
    """The whole mini-batch, for instructions between those of the tiles."""

    parameters: Array
    slopes: Array  # float32 (parts, parameters); the first part takes what belongs to no tile
    sums: Array  # float64 (tiles, sums)
    norms: Array
    moving: Array  # float32: moving averages
