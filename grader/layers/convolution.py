"""Convolutions."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from math import ceil, prod
from typing import Any, Literal

from grader.layers import values as v
from grader.layers.base import (
    OLD_BIAS,
    OLD_IMAGE,
    OLD_WEIGHTS,
    BaseLayer,
    Config,
    Kind,
    Numbers,
    Shape,
    alike_by_settings,
    image,
    last_channels,
    misfit,
    own_settings,
    sequence,
    window_words,
    windows,
)
from grader.layers.receptive_field import ReceptiveField, effective
from grader.layers.settings import one, pair
from grader.record import Pair, Single, Size


class ConvolutionLayer(BaseLayer):
    """A convolution: sizes are one number for each axis that the kernel moves along, channels are last."""

    kernel_size: tuple[Size, ...]
    strides: tuple[Size, ...] = (1,)
    padding: str = "valid"
    dilation_rate: tuple[Size, ...] = (1,)
    activation: v.Activation = "linear"
    use_bias: bool = True
    bias_initializer: v.VectorInitializer = v.ZEROS
    bias_regularizer: v.L1L2 | None = None
    activity_regularizer: v.L1L2 | None = None


class Conv1D(ConvolutionLayer):
    """A convolution of sequences ``(steps, channels)``; padding "causal" pads the start alone."""

    kernel_size: Single
    strides: Single = (1,)
    padding: v.Padding | Literal["causal"] = "valid"
    dilation_rate: Single = (1,)
    type: Literal["Conv1D"] = "Conv1D"
    filters: Size
    groups: Size = 1
    kernel_initializer: v.Initializer = v.GLOROT_UNIFORM
    kernel_regularizer: v.L1L2 | None = None


class ImageConvolutionLayer(ConvolutionLayer):
    """A convolution of images ``(rows, columns, channels)``."""

    kernel_size: Pair
    strides: Pair = (1, 1)
    padding: v.Padding = "valid"
    dilation_rate: Pair = (1, 1)


class Conv2D(ImageConvolutionLayer):
    """A convolution to ``filters`` channels, in ``groups`` that each see their own input channels."""

    type: Literal["Conv2D"] = "Conv2D"
    filters: Size
    groups: Size = 1
    kernel_initializer: v.Initializer = v.GLOROT_UNIFORM
    kernel_regularizer: v.L1L2 | None = None


class Conv2DTranspose(ImageConvolutionLayer):
    """A transposed convolution to ``filters`` channels: ``strides`` enlarge the image."""

    type: Literal["Conv2DTranspose"] = "Conv2DTranspose"
    filters: Size
    kernel_initializer: v.Initializer = v.GLOROT_UNIFORM
    kernel_regularizer: v.L1L2 | None = None


class DepthwiseConv2D(ImageConvolutionLayer):
    """A convolution of each channel by itself, to ``depth_multiplier`` channels each."""

    type: Literal["DepthwiseConv2D"] = "DepthwiseConv2D"
    depth_multiplier: Size = 1
    depthwise_initializer: v.Initializer = v.GLOROT_UNIFORM
    depthwise_regularizer: v.L1L2 | None = None


class SeparableConv2D(ImageConvolutionLayer):
    """A depthwise convolution, then one of 1×1 pixels to ``filters`` channels."""

    type: Literal["SeparableConv2D"] = "SeparableConv2D"
    filters: Size
    depth_multiplier: Size = 1
    depthwise_initializer: v.Initializer = v.GLOROT_UNIFORM
    depthwise_regularizer: v.L1L2 | None = None
    pointwise_initializer: v.Initializer = v.GLOROT_UNIFORM
    pointwise_regularizer: v.L1L2 | None = None


# --- shapes and weights -------------------------------------------------------------------------


def dilated(layer: ConvolutionLayer) -> tuple[int, ...]:
    """Return the pixels that the kernel spans along each axis."""
    return tuple(map(effective, layer.kernel_size, layer.dilation_rate))


def _convolved(layer: ConvolutionLayer, sizes: Iterable[int]) -> Shape:
    """Return the positions of the kernel along each axis."""
    each = zip(sizes, dilated(layer), layer.strides, strict=True)
    return tuple(windows(size, kernel, stride, layer.padding) for size, kernel, stride in each)


def _strides_or_dilation(layer: ConvolutionLayer, shapes: list[Shape]) -> None:
    if max(layer.strides) > 1 and max(layer.dilation_rate) > 1:
        misfit(layer, shapes, "Keras has strides or dilation, not both")


def _convolution(layer: Conv1D | Conv2D, shapes: list[Shape]) -> Numbers:
    *sizes, channels = (sequence if isinstance(layer, Conv1D) else image)(layer, shapes)
    _strides_or_dilation(layer, shapes)
    if channels % layer.groups or layer.filters % layer.groups:
        misfit(layer, shapes, f"{layer.groups} groups do not divide channels and filters")
    weights = prod(layer.kernel_size) * (channels // layer.groups) * layer.filters
    weights += layer.filters * layer.use_bias
    return (*_convolved(layer, sizes), layer.filters), weights, 0


def _transposed(layer: Conv2DTranspose, shapes: list[Shape]) -> Numbers:
    *sizes, channels = image(layer, shapes)
    _strides_or_dilation(layer, shapes)
    grown = []
    for size, kernel, stride in zip(sizes, dilated(layer), layer.strides, strict=True):
        extra = 0 if layer.padding == "same" else max(kernel - stride, 0)
        grown.append(size * stride + extra)
    weights = prod(layer.kernel_size) * channels * layer.filters + layer.filters * layer.use_bias
    return (*grown, layer.filters), weights, 0


def _depthwise(layer: DepthwiseConv2D, shapes: list[Shape]) -> Numbers:
    *sizes, channels = image(layer, shapes)
    filters = channels * layer.depth_multiplier
    weights = prod(layer.kernel_size) * filters + filters * layer.use_bias
    return (*_convolved(layer, sizes), filters), weights, 0


def _separable(layer: SeparableConv2D, shapes: list[Shape]) -> Numbers:
    *sizes, channels = image(layer, shapes)
    between = channels * layer.depth_multiplier
    weights = prod(layer.kernel_size) * between + between * layer.filters
    weights += layer.filters * layer.use_bias
    return (*_convolved(layer, sizes), layer.filters), weights, 0


# --- receptive fields ---------------------------------------------------------------------------


def _sees(layer: ImageConvolutionLayer, before: ReceptiveField, shape: Shape) -> ReceptiveField:
    return before.through(dilated(layer), layer.strides)


def _sees_steps(layer: Conv1D, before: ReceptiveField, shape: Shape) -> ReceptiveField:
    """Widen the field: channels of a sequence are columns of the image, and each output sees all of them."""
    return before.through((*dilated(layer), shape[1]), (layer.strides[0], 0))


def _sees_less(layer: Conv2DTranspose, before: ReceptiveField, shape: Shape) -> ReceptiveField:
    """Widen the field: of a window over the spread-out input, every stride-th place holds a value."""
    (rows, columns), (down, right) = layer.strides, dilated(layer)
    window = (ceil(down / rows), ceil(right / columns))
    return before.through(window, (Fraction(1, rows), Fraction(1, columns)))


# --- configurations -----------------------------------------------------------------------------


def _read_sequence(kind: Kind, class_name: str, config: Config) -> Config:
    last_channels(config)
    return own_settings(kind, class_name, config)


# --- kinds --------------------------------------------------------------------------------------


def _words(layer: ConvolutionLayer) -> Iterable[str]:
    return window_words(layer, layer.kernel_size, (1,) * len(layer.kernel_size))


_OLD_SETTINGS = {
    **OLD_IMAGE,
    "nb_filter": "filters",
    "subsample": "strides",
    "atrous_rate": "dilation_rate",
}
_ALL: dict[str, Any] = {
    "sees": _sees,
    "readers": {"kernel_size": pair, "strides": pair, "dilation_rate": pair},
    "alike": alike_by_settings,
    "words": _words,
}
_BY_ROWS: dict[str, Any] = {"joined": {"kernel_size": ("nb_row", "nb_col")}}
_COUNTED: dict[str, Any] = _BY_ROWS | {"three_numbers": True}

KINDS = (
    Kind(
        record=Conv1D,
        rule=_convolution,
        sees=_sees_steps,
        readers={"kernel_size": one, "strides": one, "dilation_rate": one},
        read=_read_sequence,
        kernel="filters",
        old_classes=("Convolution1D", "AtrousConvolution1D", "AtrousConv1D"),
        old_arguments={
            **OLD_WEIGHTS,
            **_OLD_SETTINGS,
            "filter_length": "kernel_size",
            "subsample_length": "strides",
        },
        joined={"input_shape": ("input_length", "input_dim")},
        words=_words,
    ),
    Kind(
        **_ALL | _COUNTED,
        record=Conv2D,
        rule=_convolution,
        kernel="filters",
        old_classes=("Convolution2D", "AtrousConvolution2D", "AtrousConv2D"),
        old_arguments=OLD_WEIGHTS | _OLD_SETTINGS,
    ),
    Kind(
        **_ALL | _COUNTED | {"sees": _sees_less},
        record=Conv2DTranspose,
        rule=_transposed,
        refused=("output_padding",),
        old_classes=("Deconvolution2D", "Deconv2D", "Convolution2DTranspose"),
        old_arguments=OLD_WEIGHTS | _OLD_SETTINGS,
    ),
    Kind(
        **_ALL | _BY_ROWS,
        record=DepthwiseConv2D,
        rule=_depthwise,
        old_arguments={**OLD_IMAGE, "subsample": "strides", "init": "depthwise_initializer"},
    ),
    Kind(
        **_ALL | _COUNTED,
        record=SeparableConv2D,
        rule=_separable,
        old_classes=("SeparableConvolution2D",),
        old_arguments={
            **OLD_BIAS,
            **_OLD_SETTINGS,
            "depthwise_init": "depthwise_initializer",
            "pointwise_init": "pointwise_initializer",
            "init": "depthwise_initializer",
        },
    ),
)
