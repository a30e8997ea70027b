"""Checks whether a scaling by pixel is the standardisation that the data set's own numbers give."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from grader import records as r
from grader.data.datasets import Dataset

LARGEST = 10.0  # deviations that a pixel's mean lies from 0, where pixels hardly vary


def standardises(fit: r.TrainingRecipe, dataset: Dataset) -> bool:
    """Whether a scaling by pixel subtracts each pixel's mean, divides by its deviation, or both.

    Mean and deviation may be of the images trained on, of the training split, or of all images; a number may
    be added that is the same for all pixels.
    """
    scale = np.asarray(fit.scaling.pixel_scale).reshape(dataset.image_shape)
    offset = np.asarray(fit.scaling.pixel_offset).reshape(dataset.image_shape)
    parts = [dataset.x_train[first:last] for first, last in fit.rows]
    used = np.concatenate(parts) if parts else dataset.x_train
    for some in ([used], [dataset.x_train], [dataset.x_train, dataset.x_test]):
        count = sum(map(len, some))
        mean = sum(x.sum(axis=0, dtype=np.float64) for x in some) / count
        squares = sum(np.einsum("n...,n...->...", x.astype(np.float32), x, dtype=np.float64) for x in some)
        deviation = np.sqrt(np.maximum(squares / count - mean**2, 0.0))
        varies = deviation > 1  # of 255; the scale of a pixel that hardly varies may be anything
        factor = (scale * deviation)[varies]
        alike = np.ptp(scale[varies]) <= 1e-3 * np.abs(scale[varies]).max() if varies.any() else True
        divided = np.ptp(factor) <= 0.02 * np.abs(factor).max() if varies.any() else True
        centred = any(_alike(offset + m * scale, m * scale) for m in (mean, np.zeros_like(mean)))
        if centred and (alike or divided):
            return True
    return False


def _alike(numbers: npt.NDArray[Any], taken_off: npt.NDArray[Any]) -> bool:
    """Whether the number added to each pixel is the same, but for the rounding of what was ``taken_off``.

    The tolerance is bounded by `LARGEST`: a larger one would leave room for numbers that differ on purpose.
    """
    tolerance = 0.005 + 0.001 * np.minimum(np.abs(taken_off), LARGEST)
    return bool((np.abs(numbers - np.median(numbers)) <= tolerance).all())
