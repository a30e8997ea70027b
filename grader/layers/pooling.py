"""Pooling, by windows and over the whole image."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from grader.layers import values as v
from grader.layers.base import (
    OLD_IMAGE,
    BaseLayer,
    Config,
    Kind,
    Numbers,
    Shape,
    alike_by_settings,
    always,
    image,
    last_channels,
    no_axes,
    own_settings,
    sequence,
    window_words,
    windows,
)
from grader.layers.receptive_field import ReceptiveField
from grader.layers.settings import one, pair
from grader.record import Pair, Single, Size


class PoolingLayer(BaseLayer):
    """Pooling by windows: sizes are one number for each axis that the window moves along."""

    pool_size: tuple[Size, ...] = (2,)
    strides: tuple[Size, ...] = (2,)
    padding: v.Padding = "valid"


class MaxPooling1D(PoolingLayer):
    """The largest value of each window of a sequence ``(steps, channels)``."""

    pool_size: Single = (2,)
    strides: Single = (2,)
    type: Literal["MaxPooling1D"] = "MaxPooling1D"


class AveragePooling1D(PoolingLayer):
    """The mean of each window of a sequence ``(steps, channels)``."""

    pool_size: Single = (2,)
    strides: Single = (2,)
    type: Literal["AveragePooling1D"] = "AveragePooling1D"


class ImagePoolingLayer(PoolingLayer):
    """Pooling by windows of images ``(rows, columns, channels)``."""

    pool_size: Pair = (2, 2)
    strides: Pair = (2, 2)


class MaxPooling2D(ImagePoolingLayer):
    """The largest value of each window of an image."""

    type: Literal["MaxPooling2D"] = "MaxPooling2D"


class AveragePooling2D(ImagePoolingLayer):
    """The mean of each window of an image."""

    type: Literal["AveragePooling2D"] = "AveragePooling2D"


class GlobalPoolingLayer(BaseLayer):
    """One value for each channel; ``keepdims`` keeps the other axes, with one element."""

    type: str
    keepdims: bool = False


class GlobalMaxPooling1D(GlobalPoolingLayer):
    """The largest value of each channel of a sequence."""

    type: Literal["GlobalMaxPooling1D"] = "GlobalMaxPooling1D"


class GlobalAveragePooling1D(GlobalPoolingLayer):
    """The mean of each channel of a sequence."""

    type: Literal["GlobalAveragePooling1D"] = "GlobalAveragePooling1D"


class GlobalMaxPooling2D(GlobalPoolingLayer):
    """The largest value of each channel of an image."""

    type: Literal["GlobalMaxPooling2D"] = "GlobalMaxPooling2D"


class GlobalAveragePooling2D(GlobalPoolingLayer):
    """The mean of each channel of an image."""

    type: Literal["GlobalAveragePooling2D"] = "GlobalAveragePooling2D"


# --- shapes and receptive fields ----------------------------------------------------------------


def _pooled(layer: PoolingLayer, shapes: list[Shape]) -> Numbers:
    *sizes, channels = (image if isinstance(layer, ImagePoolingLayer) else sequence)(layer, shapes)
    each = zip(sizes, layer.pool_size, layer.strides, strict=True)
    return (*(windows(n, pool, stride, layer.padding) for n, pool, stride in each), channels), 0, 0


def _one_pixel(layer: GlobalPoolingLayer, shapes: list[Shape]) -> Numbers:
    channels = image(layer, shapes)[2]
    return ((1, 1, channels) if layer.keepdims else (channels,)), 0, 0


def _one_step(layer: GlobalPoolingLayer, shapes: list[Shape]) -> Numbers:
    channels = sequence(layer, shapes)[1]
    return ((1, channels) if layer.keepdims else (channels,)), 0, 0


def _sees(layer: ImagePoolingLayer, before: ReceptiveField, shape: Shape) -> ReceptiveField:
    return before.through(layer.pool_size, layer.strides)


def _sees_steps(layer: PoolingLayer, before: ReceptiveField, shape: Shape) -> ReceptiveField:
    return before.through((layer.pool_size[0], 1), (layer.strides[0], 1))


def _sees_all(layer: GlobalPoolingLayer, before: ReceptiveField, shape: Shape) -> ReceptiveField:
    return before.through(shape[:2])


def _sees_all_steps(layer: GlobalPoolingLayer, before: ReceptiveField, shape: Shape) -> ReceptiveField:
    return before.through((shape[0], 1))


# --- configurations and words -------------------------------------------------------------------


def _read(kind: Kind, class_name: str, config: Config) -> Config:
    """Read a configuration; strides that are left out are the size of the window."""
    found = own_settings(kind, class_name, config)
    if "pool_size" in found:
        found.setdefault("strides", found["pool_size"])
    return found


def _read_sequence(kind: Kind, class_name: str, config: Config) -> Config:
    last_channels(config)
    return _read(kind, class_name, config)


def _words(layer: PoolingLayer) -> Iterable[str]:
    return window_words(layer, layer.pool_size, layer.pool_size)


def _rank(layer: GlobalPoolingLayer, rank: int) -> int:
    return rank if layer.keepdims else no_axes(layer, rank)


# --- kinds --------------------------------------------------------------------------------------

_BY_STEPS: dict[str, Any] = {
    "rule": _pooled,
    "sees": _sees_steps,
    "readers": {"pool_size": one, "strides": one},
    "read": _read_sequence,
    "old_arguments": {"border_mode": "padding", "pool_length": "pool_size", "stride": "strides"},
    "words": _words,
}
_ALL_STEPS: dict[str, Any] = {
    "rule": _one_step,
    "sees": _sees_all_steps,
    "read": _read_sequence,
    "rank": _rank,
}
_BY_WINDOW: dict[str, Any] = {
    "rule": _pooled,
    "sees": _sees,
    "readers": {"pool_size": pair, "strides": pair},
    "read": _read,
    "old_arguments": OLD_IMAGE,
    "alike": alike_by_settings,
    "words": _words,
}
_GLOBAL: dict[str, Any] = {
    "rule": _one_pixel,
    "sees": _sees_all,
    "old_arguments": OLD_IMAGE,
    "rank": _rank,
    "alike": always,
}

KINDS = (
    Kind(record=MaxPooling1D, old_classes=("MaxPool1D",), **_BY_STEPS),
    Kind(
        record=AveragePooling1D,
        old_classes=("AvgPool1D",),
        old_defaults={"pool_size": 2},
        **_BY_STEPS,
    ),
    Kind(record=GlobalMaxPooling1D, old_classes=("GlobalMaxPool1D",), **_ALL_STEPS),
    Kind(record=GlobalAveragePooling1D, old_classes=("GlobalAvgPool1D",), **_ALL_STEPS),
    Kind(record=MaxPooling2D, old_classes=("MaxPool2D",), **_BY_WINDOW),
    Kind(
        record=AveragePooling2D,
        old_classes=("AvgPool2D",),
        old_defaults={"pool_size": (2, 2)},
        **_BY_WINDOW,
    ),
    Kind(record=GlobalMaxPooling2D, old_classes=("GlobalMaxPool2D",), **_GLOBAL),
    Kind(record=GlobalAveragePooling2D, old_classes=("GlobalAvgPool2D",), **_GLOBAL),
)
