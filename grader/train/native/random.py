"""Makes random bits for Dropout: a hash of a counter, so that both directions draw the same bits."""

from __future__ import annotations

from typing import Any

import numpy as np

from grader.train.native.compiled import inlined


@inlined
def bits(counter: Any, a: Any, b: Any) -> Any:
    """Return 32 random bits for this counter under the two numbers ``a`` and ``b``.

    Multiplications and shifts as in Wellons, "Prospecting for hash functions" (2018).
    """
    x = np.uint32(np.uint32(counter) + np.uint32(a))
    x = np.uint32(np.uint32(x ^ np.uint32(x >> np.uint32(16))) * np.uint32(0x7FEB352D))
    x = np.uint32(np.uint32(x ^ np.uint32(x >> np.uint32(15))) ^ np.uint32(b))
    x = np.uint32(x * np.uint32(0x846CA68B))
    return np.uint32(x ^ np.uint32(x >> np.uint32(16)))


@inlined
def threshold(rate: Any) -> Any:
    """Return the bound below which bits drop an element: the rate to 2**-32."""
    return np.uint32(min(np.float64(rate) * 4294967296.0, 4294967295.0))
