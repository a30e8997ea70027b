"""Which images of the training split a recipe names."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from grader import records as r


def chosen(rows: r.Rows, images: int) -> npt.NDArray[Any]:
    """Ranges of rows -> positions among so many images; all of them where there are no ranges.

    Raises `ValueError` for a row that is not there.
    """
    if not rows:
        return np.arange(images)
    if any(last > images or first >= last for first, last in rows) or len(rows) > images:
        raise ValueError(f"the recipe names rows beyond the {images:,} images of the training split")
    found = np.concatenate([np.arange(first, last) for first, last in rows])
    if len(found) > images:
        raise ValueError(f"the recipe names {len(found):,} rows of {images:,} images")
    return found
