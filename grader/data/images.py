"""Formulas for what submissions do to images before a network sees them: geometry first, then scaling.

Pure NumPy. With these formulas the describing child recognises a submission's arrays, and the training child
makes the same arrays again; both work on uint8 images (n, rows, columns, channels).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from grader.records import Geometry, InputScaling, Resize

Array = npt.NDArray[Any]


def prepared(images: Array, scaling: InputScaling, geometry: Geometry) -> Array:
    """Turn uint8 images into float32 inputs (n, rows, columns, channels), as the submission prepared them."""
    return scaled(shaped(images, geometry), scaling)


# --- geometry -----------------------------------------------------------------------------------


def shaped(images: Array, geometry: Geometry) -> Array:
    """Resize, pad and repeat images along channels, as far as ``geometry`` asks for it.

    Returns the same array where nothing is to be done.
    """
    if geometry.resized is not None:
        images = resized(images, geometry.resized, geometry.method)
    if any(map(any, geometry.padding)):
        dtype = images.dtype if float(geometry.padded_with).is_integer() else np.float32
        images = np.pad(
            images.astype(dtype, copy=False),
            ((0, 0), *geometry.padding, (0, 0)),
            constant_values=geometry.padded_with,
        )
    return np.repeat(images, geometry.channels, axis=-1) if geometry.channels > 1 else images


def resized(images: Array, size: tuple[int, int], method: Resize) -> Array:
    """Resize both axes of images (n, rows, columns, channels), one after the other; returns float32."""
    down = matrix(images.shape[1], size[0], method).astype(np.float32)
    across = matrix(images.shape[2], size[1], method).astype(np.float32)
    return np.einsum("ri,niwc,sw->nrsc", down, images.astype(np.float32), across, optimize=True)


@cache
def matrix(given: int, wanted: int, method: Resize) -> Array:
    """Return the (wanted, given) matrix that resizes one axis; each of its rows sums to 1.

    "nearest", "bilinear" and "bicubic" take pixels as squares whose centres are half a pixel in, as
    TensorFlow 2 and Pillow do; "…_corner" as points from the corner on, as TensorFlow 1 and OpenCV's nearest
    do; "…_aligned" with both corners kept. Bicubic is Keys, "Cubic convolution interpolation" (1981) with
    a = -0.5 over the pixels that there are; in OpenCV a = -0.75, and the edge is repeated. "area" is the mean
    over what a new pixel covers.
    """
    if method == "area":
        return _area(given, wanted)
    place = np.arange(wanted)
    step = given / wanted
    if method.endswith("_corner"):
        centre = place * step
    elif method.endswith("_aligned"):
        centre = place * ((given - 1) / max(1, wanted - 1))
    else:
        centre = (place + 0.5) * step - 0.5
    if method.startswith("nearest"):
        centre = np.floor(centre + (0.0 if method.endswith("_corner") else 0.5))
    kernel, reach = _KERNELS[method if method == "bicubic_cv" else method.split("_")[0]]
    return _weighted(centre, given, kernel, reach, repeat_edge=method != "bicubic")


def _weighted(
    centre: Array, given: int, kernel: Callable[[Array], Array], reach: int, repeat_edge: bool
) -> Array:
    """Return a matrix whose rows are weighted means of the old pixels near each ``centre``."""
    weights = np.zeros((len(centre), given))
    base = np.floor(centre).astype(int)
    for shift in range(1 - reach, reach + 1):
        place = base + shift
        amount = kernel(np.abs(centre - place))
        if not repeat_edge:
            amount = np.where((place >= 0) & (place < given), amount, 0.0)
        np.add.at(weights, (np.arange(len(centre)), place.clip(0, given - 1)), amount)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _cubic(a: float) -> Callable[[Array], Array]:
    def kernel(x: Array) -> Array:
        near = (a + 2) * x**3 - (a + 3) * x**2 + 1
        far = a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a
        return np.where(x <= 1, near, np.where(x < 2, far, 0.0))

    return kernel


_KERNELS: dict[str, tuple[Callable[[Array], Array], int]] = {
    "nearest": (lambda x: (x < 0.5).astype(float), 1),
    "bilinear": (lambda x: np.maximum(0.0, 1.0 - x), 1),
    "bicubic": (_cubic(-0.5), 2),
    "bicubic_cv": (_cubic(-0.75), 2),
}


def _area(given: int, wanted: int) -> Array:
    edges = np.arange(wanted + 1) * given / wanted
    left, right = edges[:-1, None], edges[1:, None]
    pixel = np.arange(given)[None, :]
    covered = np.minimum(right, pixel + 1) - np.maximum(left, pixel)
    weights = np.maximum(covered, 0.0)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


# --- scaling ------------------------------------------------------------------------------------


def scaled(images: Array, scaling: InputScaling) -> Array:
    """Turn pixels of any type into float32 values, image by image or by one formula for all."""
    pixels = images.astype(np.float32)
    if scaling.per_image:
        return PER_IMAGE[scaling.per_image](pixels).astype(np.float32)
    if scaling.pixel_scale:
        shape = images.shape[1:]
        scale = np.asarray(scaling.pixel_scale, np.float32).reshape(shape)
        return pixels * scale + np.asarray(scaling.pixel_offset, np.float32).reshape(shape)
    return pixels * np.float32(scaling.scale) + np.float32(scaling.offset)


def _unit(axes: tuple[int, ...]) -> Callable[[Array], Array]:
    """Return a function that divides by the Euclidean norm along ``axes``, like `keras.utils.normalize`."""

    def normalise(x: Array) -> Array:
        norm = np.sqrt(np.square(x, dtype=np.float64).sum(axis=axes, keepdims=True))
        return x / np.where(norm == 0, 1.0, norm)

    return normalise


def _standardised(x: Array) -> Array:
    """Standardise each image to mean 0 and deviation 1; a deviation below 1/√N counts as 1/√N.

    Source: `tf.image.per_image_standardization`.
    """
    axes = tuple(range(1, x.ndim))
    floor = 1.0 / np.sqrt(x[0].size)
    mean = x.mean(axis=axes, keepdims=True, dtype=np.float64)
    return (x - mean) / np.maximum(x.std(axis=axes, keepdims=True, dtype=np.float64), floor)


def _unit_range(x: Array) -> Array:
    largest = x.max(axis=tuple(range(1, x.ndim)), keepdims=True)
    return x / np.where(largest == 0, 1.0, largest)


PER_IMAGE: dict[str, Callable[[Array], Array]] = {
    "standardized": _standardised,
    "unit_columns": _unit((1,)),
    "unit_rows": _unit((2,)),
    "unit_image": _unit((1, 2, 3)),
    "unit_range": _unit_range,
}
