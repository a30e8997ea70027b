"""Numbers the fields of an instruction.

A program is a table of instructions: one row of integers and one of floats each, so that compiled code can
run any network without being compiled for it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

# Integers. Offsets of images and gradients count floats from the start of a tile.
CODE = 0
SRC, DST, OTHER = 1, 2, 3  # offsets of the array read, of the array written, of a third one
ROWS, COLUMNS, CHANNELS = 4, 5, 6  # of the array written
SRC_ROWS, SRC_COLUMNS, SRC_CHANNELS = 7, 8, 9
WEIGHTS, BIAS = 10, 11  # offsets into the parameters; BIAS is -1 for none
GEOMETRY = 12  # offset into the table of taps
ADD = 13  # 1: add to the present values
FLOOR = 14  # 1: with a ReLU
SUMS, NORMS, STATE = 15, 16, 17  # offsets into statistics of a tile, of the batch, moving averages
KEY = 18  # number of a layer that draws random numbers
KERNEL_ROWS, KERNEL_COLUMNS = 19, 20
STRIDE_ROWS, STRIDE_COLUMNS = 21, 22
PAD_ROWS, PAD_COLUMNS = 23, 24
DILATION_ROWS, DILATION_COLUMNS = 25, 26
TURNED = 27  # 1: the weights are the transposed ones
KIND = 28  # number of an activation; 1 for a dropout of whole channels
SIZE = 29  # weights of a kernel; floats to clear
SHIFT, SRC_SHIFT = 30, 31  # start of a window in the array written, read; factors of a product
WIDTH = 32

# Floats.
RATE, EPSILON, FACTOR, OFFSET = 0, 1, 2, 3
ALPHA, CEILING, THRESHOLD = 0, 1, 2  # of activations
FLOATS = 4

# Codes of instructions for a tile.
LOAD, CLEAR, GATHER, WEIGHT_SLOPES, DENSE_INPUTS, BIAS_SLOPES = 0, 1, 2, 3, 4, 5
ACTIVATE, ACTIVATE_BACK, RELU_BACK = 6, 7, 8
STATISTICS, NORMALISE, NORM_SUMS, NORM_BACK = 9, 10, 11, 12
DROPOUT, PLACE, MAX_POOL, MAX_POOL_BACK, MEAN_POOL, MEAN_POOL_BACK = 13, 14, 15, 16, 17, 18
DEPTHWISE, DEPTHWISE_BACK, LOSS = 19, 20, 21
# Codes of instructions for the whole batch, between tiles.
FINISH_STATISTICS, FINISH_NORM_SUMS, MOVING_STATISTICS = 100, 101, 102
DENSE_SLOPES = 103  # in blocks of inputs, on all cores

# Kinds of activations.
RELU, ELU, SIGMOID, TANH, SILU, SOFTPLUS, EXPONENTIAL, SOFTSIGN, HARD_SIGMOID = range(9)


def instruction(code: int, integers: dict[int, int], floats: dict[int, float]) -> tuple[Array, Array]:
    """Make an instruction: a row of `WIDTH` int64 and one of `FLOATS` float32, zero for fields not given."""
    row, real = np.zeros(WIDTH, np.int64), np.zeros(FLOATS, np.float32)
    row[CODE] = code
    for field, value in integers.items():
        row[field] = value
    for field, number in floats.items():
        real[field] = number
    return row, real
