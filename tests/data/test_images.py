"""What submissions do to images, held against TensorFlow's and Keras's own functions."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from grader.data import images
from grader.records import Geometry, InputScaling

Array = npt.NDArray[Any]


@pytest.fixture
def pictures() -> Array:
    return np.random.default_rng(7).integers(0, 256, (3, 28, 28, 1)).astype(np.uint8)


SIZES = [(32, 32), (14, 14), (20, 30), (96, 96), (28, 28)]
V1 = tf.compat.v1.image


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("method", ["nearest", "bilinear", "bicubic"])
def test_resizing_agrees_with_tensorflow_2(pictures: Array, size: tuple[int, int], method: Any) -> None:
    """Half-pixel centres, without anti-aliasing."""
    expected = tf.image.resize(pictures, size, method).numpy()
    assert (
        np.abs(images.resized(pictures, size, method) - expected).max() < 0.2
    )  # TensorFlow reads cubics from a table


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("method", "theirs"),
    [
        ("bilinear_corner", lambda x, size: V1.resize_bilinear(x, size)),
        ("bilinear_aligned", lambda x, size: V1.resize_bilinear(x, size, align_corners=True)),
        ("nearest_corner", lambda x, size: V1.resize_nearest_neighbor(x, size)),
    ],
)
def test_resizing_agrees_with_tensorflow_1(
    pictures: Array, size: tuple[int, int], method: Any, theirs: Any
) -> None:
    """Corners as the origin, or both corners kept."""
    expected = theirs(pictures, size).numpy()
    assert np.abs(images.resized(pictures, size, method) - expected).max() < 0.01


@pytest.mark.parametrize("size", [(14, 14), (20, 12), (7, 28)])
def test_area_agrees_with_tensorflow(pictures: Array, size: tuple[int, int]) -> None:
    """The mean over what a new pixel covers."""
    expected = tf.image.resize(pictures, size, "area").numpy()
    assert np.abs(images.resized(pictures, size, "area") - expected).max() < 0.01


def test_opencv_cubic_keeps_constants_and_lines() -> None:
    """No library to compare with, so what any interpolation must do: constants and their sum stay."""
    matrix = images.matrix(28, 56, "bicubic_cv")
    assert np.allclose(matrix.sum(axis=1), 1.0)
    inner = matrix[8:-8] @ np.arange(28.0)
    assert np.allclose(np.diff(inner)[::2], np.diff(inner)[0])


def test_padding_and_channels(pictures: Array) -> None:
    """32 × 32 with three equal channels; uint8 stays uint8."""
    shaped = images.shaped(pictures, Geometry(padding=((2, 2), (1, 3)), padded_with=9, channels=3))
    assert (shaped.shape, shaped.dtype) == ((3, 32, 32, 3), np.uint8)
    assert (shaped[:, :2] == 9).all()
    assert (shaped[..., 0] == shaped[..., 2]).all()
    assert (shaped[:, 2:-2, 1:-3, :1] == pictures).all()


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("standardized", lambda x: tf.image.per_image_standardization(x.astype(np.float32)).numpy()),
        ("unit_columns", lambda x: keras.utils.normalize(x.astype(np.float32), axis=1)),
        ("unit_rows", lambda x: keras.utils.normalize(x.astype(np.float32), axis=2)),
        ("unit_image", lambda x: keras.utils.normalize(x.reshape(3, -1).astype(np.float32)).reshape(x.shape)),
    ],
)
def test_normalising_image_by_image(pictures: Array, name: Any, theirs: Any) -> None:
    """By the formulas of Keras and TensorFlow."""
    pictures[0, :, 3] = 0  # a norm of 0 stays 0
    mine = images.scaled(pictures, InputScaling(per_image=name))
    assert np.allclose(mine, theirs(pictures), atol=1e-5)


def test_scaling_by_pixel(pictures: Array) -> None:
    """Each pixel with a scale and an offset of its own."""
    scale = np.linspace(0.1, 1, 784).round(6)
    scaling = InputScaling(pixel_scale=tuple(scale), pixel_offset=tuple(-scale))
    expected = (pictures.reshape(3, -1) - 1.0) * scale
    assert np.allclose(images.scaled(pictures, scaling).reshape(3, -1), expected, atol=1e-4)
