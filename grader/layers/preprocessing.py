"""Keras's preprocessing layers: given scales and sizes, and random changes while training."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import Field

from grader.layers.base import (
    BaseLayer,
    Config,
    Kind,
    Numbers,
    Shape,
    always,
    image,
    image_unchanged,
    misfit,
    own_arguments,
    own_settings,
    single,
)
from grader.layers.receptive_field import ReceptiveField
from grader.layers.settings import Unrepresentable
from grader.record import NonNegative, Number, Size


class PreprocessingLayer(BaseLayer):
    """A layer that is called with ``training=True`` by default; a model always passes its own."""


class Rescaling(PreprocessingLayer):
    """``x * scale + offset``."""

    type: Literal["Rescaling"] = "Rescaling"
    scale: Number
    offset: Number = 0.0


class Resizing(PreprocessingLayer):
    """Images resized to (rows, columns); cropping and padding to the aspect ratio are not covered."""

    type: Literal["Resizing"] = "Resizing"
    height: Size
    width: Size
    interpolation: Literal["nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"] = "bilinear"


class CenterCrop(PreprocessingLayer):
    """The middle of an image, which is no smaller than (rows, columns) of the crop."""

    type: Literal["CenterCrop"] = "CenterCrop"
    height: Size
    width: Size


class Normalization(PreprocessingLayer):
    """``(x - mean) / sqrt(variance)`` with given statistics of the last axis, or of all of the input."""

    type: Literal["Normalization"] = "Normalization"
    mean: Annotated[tuple[Number, ...], Field(fail_fast=True, min_length=1, max_length=1_000)]
    variance: Annotated[tuple[NonNegative, ...], Field(fail_fast=True, min_length=1, max_length=1_000)]
    adapted: bool = False  # statistics that were learned from data count as parameters, given ones do not


FillMode = Literal["constant", "nearest", "reflect", "wrap"]
Interval = tuple[Annotated[float, Field(ge=-10, le=10)], Annotated[float, Field(ge=-10, le=10)]]


class RandomFlip(PreprocessingLayer):
    """Random flips; like all layers of random changes it acts in training alone."""

    type: Literal["RandomFlip"] = "RandomFlip"
    mode: Literal["horizontal", "vertical", "horizontal_and_vertical"] = "horizontal_and_vertical"


class RandomRotation(PreprocessingLayer):
    """Random rotations; ``factor`` in full turns."""

    type: Literal["RandomRotation"] = "RandomRotation"
    factor: Interval
    fill_mode: FillMode = "reflect"
    interpolation: Literal["nearest", "bilinear"] = "bilinear"
    fill_value: Number = 0.0


class RandomTranslation(PreprocessingLayer):
    """Random shifts; factors in parts of the height and width."""

    type: Literal["RandomTranslation"] = "RandomTranslation"
    height_factor: Interval
    width_factor: Interval
    fill_mode: FillMode = "reflect"
    interpolation: Literal["nearest", "bilinear"] = "bilinear"
    fill_value: Number = 0.0


class RandomZoom(PreprocessingLayer):
    """Random zooms; negative factors enlarge, as in Keras. No ``width_factor`` keeps the proportions."""

    type: Literal["RandomZoom"] = "RandomZoom"
    height_factor: Interval
    width_factor: Interval | None = None
    fill_mode: FillMode = "reflect"
    interpolation: Literal["nearest", "bilinear"] = "bilinear"
    fill_value: Number = 0.0


class RandomContrast(PreprocessingLayer):
    """Contrast changed at random by ``factor``, as in Keras."""

    type: Literal["RandomContrast"] = "RandomContrast"
    factor: Interval
    value_range: Interval | tuple[Number, Number] = (0.0, 255.0)


class RandomBrightness(PreprocessingLayer):
    """Brightness changed at random by ``factor``, as in Keras."""

    type: Literal["RandomBrightness"] = "RandomBrightness"
    factor: Interval
    value_range: Interval | tuple[Number, Number] = (0.0, 255.0)


# --- sizes --------------------------------------------------------------------------------------


def _sized(layer: Resizing | CenterCrop, shapes: list[Shape]) -> Numbers:
    return (layer.height, layer.width, image(layer, shapes)[2]), 0, 0


def _cropped(layer: CenterCrop, shapes: list[Shape]) -> Numbers:
    rows, columns, _ = image(layer, shapes)
    if layer.height > rows or layer.width > columns:
        misfit(layer, shapes, f"it is smaller than {layer.height} × {layer.width}")
    return _sized(layer, shapes)


def _sees_resized(layer: Resizing, before: ReceptiveField, shape: Shape) -> ReceptiveField:
    return before.through((1, 1), (Fraction(shape[0], layer.height), Fraction(shape[1], layer.width)))


def _square(layer: Resizing | CenterCrop) -> bool:
    return layer.height == layer.width


# --- statistics ---------------------------------------------------------------------------------


def _normalized(layer: Normalization, shapes: list[Shape]) -> Numbers:
    """Return the numbers of the layer: Keras counts mean, variance and a counter if they were adapted."""
    shape = single(layer, shapes)
    if len(layer.mean) != len(layer.variance) or len(layer.mean) not in (1, shape[-1]):
        misfit(layer, shapes, f"{len(layer.mean)} means and {len(layer.variance)} variances do not fit it")
    return shape, 0, (2 * len(layer.mean) + 1) if layer.adapted else 0


def _read_statistics(kind: Kind, class_name: str, config: Config) -> Config:
    """Read given statistics; adapted ones are in no configuration but a live layer's."""
    if config.get("axis", -1) not in (-1, [-1], (-1,), None, [], (), 3, [3], (3,)):
        raise Unrepresentable(f"it normalises the axes {config['axis']}, not the last one")
    if config.get("mean") is None:
        raise Unrepresentable("its statistics are not in its configuration")
    return own_settings(kind, class_name, config)


def _flat(value: Any) -> tuple[float, ...]:
    if isinstance(value, list | tuple):
        return tuple(x for item in value for x in _flat(item))
    return (float(value),)


def _statistics(kind: Kind, layer: Normalization) -> Config:
    given = own_arguments(kind, layer)
    del given["adapted"]
    return {name: value[0] if len(value) == 1 else list(value) for name, value in given.items()}


# --- random changes -----------------------------------------------------------------------------


def _interval(value: Any) -> Any:
    """Return an interval of factors: Keras takes ``factor`` for (-factor, factor)."""
    return (-value, value) if isinstance(value, int | float) else tuple(value)


_FACTORS = dict.fromkeys(("factor", "height_factor", "width_factor"), _interval)
_RANDOM: dict[str, Any] = {"rule": image_unchanged, "readers": {**_FACTORS, "value_range": tuple}}

KINDS = (
    Kind(record=Rescaling, alike=always),
    Kind(
        record=Resizing,
        rule=_sized,
        sees=_sees_resized,
        refused=("crop_to_aspect_ratio", "pad_to_aspect_ratio", "antialias"),
        alike=_square,
    ),
    Kind(record=CenterCrop, rule=_cropped, alike=_square),
    Kind(
        record=Normalization,
        rule=_normalized,
        readers={"mean": _flat, "variance": _flat, "adapted": bool},
        refused=("invert",),
        read=_read_statistics,
        arguments=_statistics,
        alike=lambda layer: max(len(layer.mean), len(layer.variance)) == 1,
    ),
    Kind(record=RandomFlip, alike=lambda layer: layer.mode == "horizontal_and_vertical", **_RANDOM),
    Kind(record=RandomRotation, alike=lambda layer: layer.factor[0] == -layer.factor[1], **_RANDOM),
    Kind(
        record=RandomTranslation,
        alike=lambda layer: layer.height_factor == layer.width_factor,
        **_RANDOM,
    ),
    Kind(
        record=RandomZoom,
        alike=lambda layer: layer.width_factor in (None, layer.height_factor),
        **_RANDOM,
    ),
    Kind(record=RandomContrast, alike=always, **_RANDOM),
    Kind(record=RandomBrightness, alike=always, **_RANDOM),
)
