"""Which images of the training split a recipe names, and in which order they are trained on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from grader import records as r


def chosen(rows: r.Rows, images: int) -> npt.NDArray[Any]:
    """Return the positions, among ``images`` of a split, that ranges of rows name; all where there are none.

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


def steps(recipe: r.TrainingRecipe, images: int) -> int:
    """Return the batches in an epoch of a recipe, of a training split of ``images``."""
    rows = sum(last - first for first, last in recipe.rows) or images
    return recipe.steps_per_epoch or -(-rows // recipe.batch_size)


def shuffling(seed: int, fit: int) -> np.random.Generator:
    """Return what draws the order of the images in fit ``fit`` of a job (from 0), in every engine."""
    return np.random.Generator(np.random.PCG64([seed, 1, fit]))


def batches(
    images: int, size: int, shuffle: bool, random: np.random.Generator
) -> Iterator[npt.NDArray[np.int64]]:
    """Yield batches of positions without end, pass after pass; each pass has an order of its own if shuffled.

    The last batch of a pass may be smaller.
    """
    while True:
        order = random.permutation(images) if shuffle else np.arange(images)
        for start in range(0, images, size):
            yield order[start : start + size]
