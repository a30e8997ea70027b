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
    no_axes,
    own_settings,
    window_words,
    windows,
)
from grader.layers.receptive_field import ReceptiveField
from grader.layers.settings import pair
from grader.record import Pair, Size


class PoolingLayer(BaseLayer):
    """Sizes are one number for each axis that the window moves along."""

    pool_size: tuple[Size, ...] = (2,)
    strides: tuple[Size, ...] = (2,)
    padding: v.Padding = "valid"


class ImagePoolingLayer(PoolingLayer):
    """Images are ``(rows, columns, channels)``."""

    pool_size: Pair = (2, 2)
    strides: Pair = (2, 2)


class MaxPooling2D(ImagePoolingLayer):
    type: Literal["MaxPooling2D"] = "MaxPooling2D"


class AveragePooling2D(ImagePoolingLayer):
    type: Literal["AveragePooling2D"] = "AveragePooling2D"


class GlobalPoolingLayer(BaseLayer):
    type: str
    keepdims: bool = False


class GlobalMaxPooling2D(GlobalPoolingLayer):
    type: Literal["GlobalMaxPooling2D"] = "GlobalMaxPooling2D"


class GlobalAveragePooling2D(GlobalPoolingLayer):
    type: Literal["GlobalAveragePooling2D"] = "GlobalAveragePooling2D"


def _pooled(layer: PoolingLayer, shapes: list[Shape]) -> Numbers:
    *sizes, channels = image(layer, shapes)
    each = zip(sizes, layer.pool_size, layer.strides, strict=True)
    return (*(windows(n, pool, stride, layer.padding) for n, pool, stride in each), channels), 0, 0


def _pooled_to_one(layer: GlobalPoolingLayer, shapes: list[Shape]) -> Numbers:
    *sizes, channels = image(layer, shapes)
    return ((*(1 for _ in sizes), channels) if layer.keepdims else (channels,)), 0, 0


def _sees(layer: ImagePoolingLayer, before: ReceptiveField, shape: Shape) -> ReceptiveField:
    return before.through(layer.pool_size, layer.strides)


def _sees_all(layer: GlobalPoolingLayer, before: ReceptiveField, shape: Shape) -> ReceptiveField:
    return before.through(shape[:2])


def _read(kind: Kind, class_name: str, config: Config) -> Config:
    """Strides that are left out are the size of the window."""
    found = own_settings(kind, class_name, config)
    if "pool_size" in found:
        found.setdefault("strides", found["pool_size"])
    return found


def _words(layer: PoolingLayer) -> Iterable[str]:
    return window_words(layer, layer.pool_size, layer.pool_size)


def _rank(layer: GlobalPoolingLayer, rank: int) -> int:
    return rank if layer.keepdims else no_axes(layer, rank)


_BY_WINDOW: dict[str, Any] = {
    "rule": _pooled,
    "sees": _sees,
    "values": {"pool_size": pair, "strides": pair},
    "read": _read,
    "old_arguments": OLD_IMAGE,
    "alike": alike_by_settings,
    "words": _words,
}
_GLOBAL: dict[str, Any] = {
    "rule": _pooled_to_one,
    "sees": _sees_all,
    "old_arguments": OLD_IMAGE,
    "rank": _rank,
    "alike": always,
}

KINDS = (
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
