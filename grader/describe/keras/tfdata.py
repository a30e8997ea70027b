"""Reads a `tf.data.Dataset` as arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

MOST_IMAGES, FEWER_IMAGES, LARGE = 200_000, 80_000, 6_000  # of a data set; bytes of an image


def one_pass(dataset: Any) -> tuple[Any, Any, Any, bool]:
    """Return images, labels and weights of one pass of a batched data set, and whether that is all."""
    found: list[tuple[Any, ...]] = []
    count = 0
    for batch in dataset:
        if count >= (MOST_IMAGES if found[:1] and found[0][0][0].nbytes < LARGE else FEWER_IMAGES):
            return *_joined(found), False
        found.append(tuple(part.numpy() for part in batch[:3]))
        count += len(found[-1][0])
    return *_joined(found), True


def _joined(batches: list[tuple[Any, ...]]) -> tuple[Any, Any, Any]:
    parts = [np.concatenate(part) for part in zip(*batches, strict=True)]
    x, y, weights = (*parts, None, None, None)[:3]
    return x, y, weights


def batch_of(dataset: Any) -> int | None:
    """Return how many images the first batch has; None if there is none."""
    for batch in dataset.take(1):
        return int(batch[0].shape[0])
    return None
