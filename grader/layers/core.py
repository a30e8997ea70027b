"""The input, and the fully connected layer."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from grader.layers import values as v
from grader.layers.base import (
    OLD_WEIGHTS,
    BaseLayer,
    Config,
    Kind,
    Numbers,
    Shape,
    always,
    place,
    single,
)
from grader.layers.receptive_field import ReceptiveField
from grader.layers.settings import Unrepresentable
from grader.record import Size


class InputLayer(BaseLayer):
    """An input of ``shape`` without the batch axis, e.g. ``(28, 28, 1)``."""

    type: Literal["InputLayer"] = "InputLayer"
    shape: Annotated[tuple[Size, ...], Field(fail_fast=True, min_length=1, max_length=6)]


class Dense(BaseLayer):
    """A fully connected layer: ``units`` outputs in place of the last axis."""

    type: Literal["Dense"] = "Dense"
    units: Size
    activation: v.Activation = "linear"
    use_bias: bool = True
    kernel_initializer: v.Initializer = v.GLOROT_UNIFORM
    bias_initializer: v.VectorInitializer = v.ZEROS
    kernel_regularizer: v.L1L2 | None = None
    bias_regularizer: v.L1L2 | None = None
    activity_regularizer: v.L1L2 | None = None


def _input(kind: Kind, class_name: str, config: Config) -> Config:
    shape = config.get("batch_shape") or config.get("batch_input_shape")
    if shape is None or any(n is None for n in tuple(shape)[1:]):
        raise Unrepresentable("the shape of its input is not fixed")
    return {"shape": tuple(shape)[1:], "inbound": (), "trainable": True}


def _channels_last(layer: InputLayer, rank: int) -> InputLayer:
    if len(layer.shape) != 3:
        return layer
    channels, rows, columns = layer.shape
    return layer.model_copy(update={"shape": (rows, columns, channels)})


def _dense(layer: Dense, shapes: list[Shape]) -> Numbers:
    shape = single(layer, shapes)
    weights = shape[place(layer, -1, shapes)] * layer.units + layer.units * layer.use_bias
    return (*shape[:-1], layer.units), weights, 0


def _sees_channels(layer: Dense, before: ReceptiveField, shape: Shape) -> ReceptiveField:
    """Widen the field: channels of a sequence are columns of the image; each output sees all of them."""
    return before.through((1, shape[1]), (1, 0)) if len(shape) == 2 else before


def _input_alike(layer: Any) -> bool:
    """Whether rows and columns are alike: a flat image is only put in another order, a sequence is not."""
    return len(layer.shape) == 1 or (len(layer.shape) == 3 and layer.shape[0] == layer.shape[1])


KINDS = (
    Kind(
        record=InputLayer,
        read=_input,
        channels_last=_channels_last,
        rank=lambda layer, rank: len(layer.shape),
        alike=_input_alike,
    ),
    Kind(
        record=Dense,
        rule=_dense,
        sees=_sees_channels,
        refused=("lora_rank", "quantization_mode"),
        kernel="units",
        old_arguments={**OLD_WEIGHTS, "output_dim": "units"},
        alike=always,
    ),
)
