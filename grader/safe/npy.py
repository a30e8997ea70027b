"""Reads one .npy array without trusting its header.

The format is NumPy's own (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html). The header
is checked before anything is allocated: a plain type of fixed size, a shape of at most eight axes, and behind
the header exactly as many bytes as type and shape need. Objects are refused, so nothing is ever unpickled.
"""

from __future__ import annotations

import math
import tokenize
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy

MAX_AXES = 8
KINDS = "biuf"  # truth values, integers with and without sign, floating-point numbers
_READERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def read(data: bytes) -> npt.NDArray[Any]:
    """Return the array in ``data``. Raises `ValueError` with a short reason."""
    stream = BytesIO(data)
    try:
        version = npy.read_magic(stream)
        if version not in _READERS:
            raise ValueError(f"its format version is {version}")
        shape, fortran_order, dtype = _READERS[version](stream, max_header_size=10_000)
    except (ValueError, SyntaxError, TypeError, tokenize.TokenError, RecursionError, MemoryError) as error:
        raise ValueError(f"its header is not one of an array: {error}"[:200]) from None
    if dtype.hasobject or dtype.kind not in KINDS or dtype.subdtype is not None:
        raise ValueError(f"it holds {dtype}"[:100])
    if len(shape) > MAX_AXES or any(size < 0 for size in shape):
        raise ValueError(f"its shape is {shape}"[:100])
    size = math.prod(shape) * dtype.itemsize
    if size != len(data) - stream.tell():
        raise ValueError(f"{len(data) - stream.tell():,} bytes do not make an array of {shape} {dtype}"[:200])
    array = np.frombuffer(data, dtype, offset=stream.tell())
    return array.reshape(shape[::-1]).T if fortran_order else array.reshape(shape)
