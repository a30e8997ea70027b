"""Layers that move, add or take away values, and compute none."""

from __future__ import annotations

from fractions import Fraction
from math import prod
from typing import Annotated, Literal

from pydantic import Field

from grader.layers.base import (
    OLD_IMAGE,
    BaseLayer,
    Kind,
    Numbers,
    Shape,
    alike_by_settings,
    image,
    misfit,
    no_axes,
    single,
)
from grader.layers.receptive_field import ReceptiveField
from grader.layers.settings import margins, pair
from grader.record import Pair

Margin = Annotated[int, Field(ge=0, le=10_000)]
Margins = tuple[tuple[Margin, Margin], tuple[Margin, Margin]]


class ZeroPadding2D(BaseLayer):
    """Zeros around an image; ``padding`` is ((top, bottom), (left, right))."""

    type: Literal["ZeroPadding2D"] = "ZeroPadding2D"
    padding: Margins = ((1, 1), (1, 1))


class Cropping2D(BaseLayer):
    """An image without its margins; ``cropping`` is ((top, bottom), (left, right))."""

    type: Literal["Cropping2D"] = "Cropping2D"
    cropping: Margins = ((0, 0), (0, 0))


class UpSampling2D(BaseLayer):
    """An image enlarged by the whole numbers ``size``, along rows and columns."""

    type: Literal["UpSampling2D"] = "UpSampling2D"
    size: Pair = (2, 2)
    interpolation: Literal["nearest", "bilinear"] = "nearest"


class Flatten(BaseLayer):
    """All values of an image as one vector."""

    type: Literal["Flatten"] = "Flatten"


class Reshape(BaseLayer):
    """The same values in ``target_shape``, without the batch axis; one entry may be -1."""

    type: Literal["Reshape"] = "Reshape"
    target_shape: Annotated[
        tuple[Annotated[int, Field(ge=-1, le=1_000_000)], ...], Field(fail_fast=True, max_length=6)
    ]


class Permute(BaseLayer):
    """The axes in the order ``dims``, which counts from 1; the batch axis stays (as in Keras)."""

    type: Literal["Permute"] = "Permute"
    dims: Annotated[tuple[Annotated[int, Field(ge=1, le=6)], ...], Field(fail_fast=True, max_length=6)]


def _padded(layer: ZeroPadding2D, shapes: list[Shape]) -> Numbers:
    rows, columns, channels = image(layer, shapes)
    return (rows + sum(layer.padding[0]), columns + sum(layer.padding[1]), channels), 0, 0


def _cropped(layer: Cropping2D, shapes: list[Shape]) -> Numbers:
    rows, columns, channels = image(layer, shapes)
    return (rows - sum(layer.cropping[0]), columns - sum(layer.cropping[1]), channels), 0, 0


def _up_sampled(layer: UpSampling2D, shapes: list[Shape]) -> Numbers:
    rows, columns, channels = image(layer, shapes)
    return (rows * layer.size[0], columns * layer.size[1], channels), 0, 0


def _flattened(layer: Flatten, shapes: list[Shape]) -> Numbers:
    return (prod(single(layer, shapes)),), 0, 0


def _reshaped(layer: Reshape, shapes: list[Shape]) -> Numbers:
    size, target = prod(single(layer, shapes)), layer.target_shape
    known = prod(n for n in target if n != -1)
    if target.count(-1) == 1 and known > 0 and size % known == 0:
        target = tuple(size // known if n == -1 else n for n in target)
    if -1 in target or prod(target) != size:
        misfit(layer, shapes, f"{size} values do not fill {layer.target_shape}")
    return target, 0, 0


def _permuted(layer: Permute, shapes: list[Shape]) -> Numbers:
    shape = single(layer, shapes)
    if sorted(layer.dims) != list(range(1, len(shape) + 1)):
        misfit(layer, shapes, f"{layer.dims} does not name each of its axes once")
    return tuple(shape[d - 1] for d in layer.dims), 0, 0


def _sees_between(layer: UpSampling2D, before: ReceptiveField, shape: Shape) -> ReceptiveField:
    return before.through((1, 1), (Fraction(1, layer.size[0]), Fraction(1, layer.size[1])))


def _sees_all(layer: Flatten | Reshape, before: ReceptiveField, shape: Shape) -> ReceptiveField:
    """Widen the field: every value may depend on every position of the map, or of the sequence."""
    return before.through(shape[:2]) if len(shape) > 1 else before


def _channels_last(layer: Reshape, rank: int) -> Reshape:
    if len(layer.target_shape) != 3:
        return layer
    channels, rows, columns = layer.target_shape
    return layer.model_copy(update={"target_shape": (rows, columns, channels)})


KINDS = (
    Kind(
        record=ZeroPadding2D,
        rule=_padded,
        readers={"padding": margins},
        old_arguments=OLD_IMAGE,
        alike=alike_by_settings,
    ),
    Kind(
        record=Cropping2D,
        rule=_cropped,
        readers={"cropping": margins},
        old_arguments=OLD_IMAGE,
        alike=alike_by_settings,
    ),
    Kind(
        record=UpSampling2D,
        rule=_up_sampled,
        sees=_sees_between,
        readers={"size": pair},
        old_arguments=OLD_IMAGE,
        alike=alike_by_settings,
    ),
    Kind(record=Flatten, rule=_flattened, sees=_sees_all, rank=no_axes),
    Kind(
        record=Reshape,
        rule=_reshaped,
        sees=_sees_all,
        readers={"target_shape": tuple},
        channels_last=_channels_last,
        rank=lambda layer, rank: len(layer.target_shape),
    ),
    Kind(record=Permute, rule=_permuted, readers={"dims": tuple}),
)
