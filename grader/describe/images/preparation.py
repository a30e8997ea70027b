"""Finds the known formulas (`grader.data.images`) that turned raw images into the array passed to `fit`.

Padding and repeated channels are found in the array and undone; the other formulas are tried on images whose
place in the data set is known. An array that no formula explains is not described.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from grader.data import images
from grader.records import Geometry, InputScaling, Resize

Array = npt.NDArray[Any]

_PROBE = 64  # images that a formula is tried on, from all over the array
_MOST_PADDING = 64
_ROUNDING = 0.75  # of a pixel value: libraries that resize bytes round to the next one
_USUAL = ((1 / 255, 0.0), (1.0, 0.0), (1 / 127.5, -1.0), (1 / 256, 0.0), (1 / 255, -0.5))


# --- found in the array -------------------------------------------------------------------------


def undone(array: Array, shape: tuple[int, ...]) -> Iterator[tuple[Geometry, Array]]:
    """Yield ways in which the array may be images of ``shape``, padded or with their channel repeated.

    Each way comes with the images without padding and copies. ``padded_with`` is the value found in the
    array.
    """
    rows, columns, channels = shape
    single, repeated = _one_channel(array, channels)
    if single.ndim == 3:
        single = single[..., None]
    if single.ndim != 4 or single.shape[3] != channels:
        return
    if repeated > 1 and single.shape[1:3] == (rows, columns):
        yield Geometry(channels=repeated), single
    more = (single.shape[1] - rows, single.shape[2] - columns)
    if min(more) >= 0 and 0 < max(more) <= _MOST_PADDING:
        yield from _unpadded(single, (rows, columns), more, repeated)


def _one_channel(array: Array, channels: int) -> tuple[Array, int]:
    """Return the array without copies of a single channel, and the number of channels."""
    if channels != 1 or array.ndim != 4 or not 1 < array.shape[3] <= 4:
        return array, 1
    probe = array[spread(len(array))]
    same = all(np.array_equal(probe[..., 0], probe[..., c]) for c in range(1, array.shape[3]))
    return (array[..., :1], array.shape[3]) if same else (array, 1)


def _unpadded(
    array: Array, size: tuple[int, int], more: tuple[int, int], channels: int
) -> Iterator[tuple[Geometry, Array]]:
    """Yield every place that the images may have within a border of one value; the middle first."""
    border = float(array[0, 0, 0, 0])
    busy = (array[spread(len(array))] != border).any(axis=(0, 3))
    places = [(top, left) for top in range(more[0] + 1) for left in range(more[1] + 1)]
    middle = (more[0] // 2, more[1] // 2)
    for top, left in sorted(places, key=lambda p: abs(p[0] - middle[0]) + abs(p[1] - middle[1])):
        inner = busy[top : top + size[0], left : left + size[1]]
        if inner.sum() < busy.sum():
            continue
        padding = ((top, more[0] - top), (left, more[1] - left))
        yield (
            Geometry(padding=padding, padded_with=_bounded(border), channels=channels),
            array[:, top : top + size[0], left : left + size[1]],
        )


def unscaled(geometry: Geometry, scaling: InputScaling) -> Geometry:
    """Return the same padding, with the raw pixel value that ``scaling`` turns into the one found."""
    if not any(map(any, geometry.padding)):
        return geometry
    value = round((geometry.padded_with - scaling.offset) / scaling.scale, 3) if scaling.scale else 0.0
    return geometry.model_copy(update={"padded_with": _bounded(value)})


def _bounded(value: float) -> float:
    return min(max(value, -1e6), 1e6) if np.isfinite(value) else 0.0


# --- found by trying ----------------------------------------------------------------------------


def find(array: Array, raw: Array) -> tuple[InputScaling, Geometry] | None:
    """Return formulas that make ``array`` of ``raw``, uint8 images (n, rows, columns, channels); or None."""
    probe = spread(len(array))
    single, channels = _one_channel(array, raw.shape[3])
    if single[0].size == raw[0].size:
        scaling = _image_by_image(single[probe], raw[probe]) or _pixel_by_pixel(single, raw)
        return None if scaling is None else (scaling, Geometry(channels=channels))
    if single.ndim == 3:
        single = single[..., None]
    if single.ndim != 4 or single.shape[3] != raw.shape[3] or max(single.shape[1:3]) > 1_000:
        return None
    return _resized(single[probe].astype(np.float64), raw[probe], channels)


def spread(count: int) -> Array:
    """Return up to `_PROBE` places, evenly spread over ``count``."""
    return np.unique(np.linspace(0, count - 1, _PROBE).astype(int))


def _image_by_image(array: Array, raw: Array) -> InputScaling | None:
    for name, formula in images.PER_IMAGE.items():
        if np.allclose(formula(raw.astype(np.float32)).reshape(array.shape), array, atol=1e-4):
            return InputScaling(per_image=name)
    return None


def _pixel_by_pixel(array: Array, raw: Array) -> InputScaling | None:
    """Fit a scale and an offset for each pixel, by least squares over all images.

    A pixel that is the same in all images gets the scale 0. None where the fit is not good enough.
    """
    x = raw.reshape(len(raw), -1).astype(np.float32)
    y = array.reshape(len(array), -1).astype(np.float32)
    mean_x, mean_y = x.mean(axis=0, dtype=np.float64), y.mean(axis=0, dtype=np.float64)
    variance = x.var(axis=0, dtype=np.float64)
    covariance = np.einsum("ij,ij->j", x, y, dtype=np.float64) / len(x) - mean_x * mean_y
    scale = np.divide(covariance, variance, out=np.zeros_like(variance), where=variance > 0)
    offset = mean_y - scale * mean_x
    if not scale.any() or max(abs(scale).max(), abs(offset).max()) > 1e6:
        return None
    error = np.abs(x[spread(len(x))] * scale + offset - y[spread(len(y))])
    if (error > 1e-3 + _ROUNDING / 10 * np.abs(scale)).any():
        return None
    rounded = [tuple(float(np.float32(v)) for v in values) for values in (scale, offset)]
    return InputScaling(pixel_scale=rounded[0], pixel_offset=rounded[1])


def _resized(array: Array, raw: Array, channels: int) -> tuple[InputScaling, Geometry] | None:
    """Return the method and the scaling that come closest, if they come close enough."""
    size = (array.shape[1], array.shape[2])
    fits = [(*_affine(images.resized(raw, size, m), array), m) for m in get_args(Resize)]
    error, scaling, method = min(fits, key=lambda fit: fit[0])
    if error > _ROUNDING:
        return None
    return scaling, Geometry(resized=size, method=method, channels=channels)


def _affine(given: Array, wanted: Array) -> tuple[float, InputScaling]:
    """Return the largest error in pixel values under the best scale and offset, with that scaling."""
    x, y = given.ravel().astype(np.float64), wanted.ravel()
    scale, offset = np.polyfit(x, y, 1) if x.std() > 0 else (0.0, 0.0)
    for usual in _USUAL:
        if abs(scale - usual[0]) < 0.001 * usual[0] and abs(offset - usual[1]) < 0.001 * usual[0] * 255:
            scale, offset = usual
            break
    if not scale or max(abs(scale), abs(offset)) > 1e6:
        return float("inf"), InputScaling()
    error = float(np.abs(x * scale + offset - y).max() / abs(scale))
    return error, InputScaling(scale=float(scale), offset=float(offset))
