"""The arrays that compiled code sees of a mini-batch: `LANES` images at a time, the innermost axis.

An image's numbers lie in Keras's order (row, column, channel), each of them a vector over the images: so
Flatten and Reshape cost nothing.
"""

from __future__ import annotations

from typing import NamedTuple

from grader.train.native.fields import Array


class Tile(NamedTuple):
    """One tile with all arrays that its instructions read and write."""

    values: Array  # float32: activations and their gradients
    parameters: Array  # float32: all weights of the network
    turned: Array  # float32: kernels with the axes of input and output channels exchanged
    slopes: Array  # float32: this tile's part of the gradients of the weights
    sums: Array  # float64: this tile's part of sums over the batch
    norms: Array  # float32: factors and summands of normalisations
    scratch: Array  # float32: room for one instruction
    taps: Array  # int64: geometry of windows
    images: Array  # uint8: the data set, a row for each image
    labels: Array  # int64
    chosen: Array  # int64: the rows of this tile's images in the data set
    mask: Array  # float32: 1 for each lane that holds an image, else 0
    share: float  # the weight of one image in the mean over the batch
    seeds: Array  # uint32: two random numbers for this step and tile


class Batch(NamedTuple):
    """The whole mini-batch, for instructions between those of the tiles."""

    parameters: Array
    slopes: Array  # float32 (parts, parameters); the first part takes gradients that belong to no tile
    sums: Array  # float64 (tiles, sums)
    norms: Array
    moving: Array  # float32: moving averages
