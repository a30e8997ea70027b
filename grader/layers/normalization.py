"""Normalization by statistics of the batch, or of each image."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field

from grader.layers import values as v
from grader.layers.base import (
    BaseLayer,
    Config,
    Kind,
    Numbers,
    Shape,
    always,
    last_axis,
    misfit,
    moved_axis,
    over_channels,
    own_settings,
    place,
    single,
)
from grader.layers.settings import Unrepresentable
from grader.record import Size


class BatchNormalization(BaseLayer):
    """Normalization by the batch; ``axis`` as in Keras: -1 for the last, others count the batch axis as 0."""

    type: Literal["BatchNormalization"] = "BatchNormalization"
    axis: Annotated[int, Field(ge=-1, le=6)] = -1
    momentum: Annotated[float, Field(ge=0.0, le=1.0)] = 0.99
    epsilon: Annotated[float, Field(gt=0.0)] = 1e-3
    center: bool = True
    scale: bool = True
    beta_initializer: v.VectorInitializer = v.ZEROS
    gamma_initializer: v.VectorInitializer = v.ONES
    beta_regularizer: v.L1L2 | None = None
    gamma_regularizer: v.L1L2 | None = None


class LayerNormalization(BaseLayer):
    """Normalization of each image over the last axis."""

    type: Literal["LayerNormalization"] = "LayerNormalization"
    epsilon: Annotated[float, Field(gt=0.0)] = 1e-3
    center: bool = True
    scale: bool = True


class GroupNormalization(BaseLayer):
    """Normalization over all positions and one group of channels; -1 ``groups``: one for each channel.

    Wu and He, "Group Normalization" (2018).
    """

    type: Literal["GroupNormalization"] = "GroupNormalization"
    groups: Size | Literal[-1] = 32
    axis: Annotated[int, Field(ge=-1, le=6)] = -1
    epsilon: Annotated[float, Field(gt=0.0)] = 1e-3
    center: bool = True
    scale: bool = True
    beta_initializer: v.VectorInitializer = v.ZEROS
    gamma_initializer: v.VectorInitializer = v.ONES
    beta_regularizer: v.L1L2 | None = None
    gamma_regularizer: v.L1L2 | None = None


def _by_batch(layer: BatchNormalization, shapes: list[Shape]) -> Numbers:
    shape = single(layer, shapes)
    channels = shape[place(layer, layer.axis, shapes)]
    return shape, channels * (layer.center + layer.scale), channels * 2


def _by_layer(layer: LayerNormalization, shapes: list[Shape]) -> Numbers:
    shape = single(layer, shapes)
    return shape, shape[place(layer, -1, shapes)] * (layer.center + layer.scale), 0


def _by_group(layer: GroupNormalization, shapes: list[Shape]) -> Numbers:
    shape = single(layer, shapes)
    channels = shape[place(layer, layer.axis, shapes)]
    if layer.groups != -1 and channels % layer.groups:
        misfit(layer, shapes, f"{layer.groups} groups do not divide its {channels} channels")
    return shape, channels * (layer.center + layer.scale), 0


def _group_words(layer: GroupNormalization) -> Iterable[str]:
    if layer.groups == -1:
        return ("one group per channel",)
    return (f"{layer.groups} group" + "s" * (layer.groups > 1),)


def _one_axis(axis: int | list[int] | tuple[int, ...]) -> int:
    if not isinstance(axis, list | tuple):
        return axis
    if len(axis) != 1:
        raise Unrepresentable(f"it normalises several axes, {axis}")
    return axis[0]


def _read_last(kind: Kind, class_name: str, config: Config) -> Config:
    if not last_axis(config.get("axis", -1)):
        raise Unrepresentable(f"it normalises the axes {config['axis']}, not the last one")
    return own_settings(kind, class_name, config)


KINDS = (
    Kind(
        record=BatchNormalization,
        rule=_by_batch,
        readers={"axis": _one_axis},
        old_classes=("BatchNormalizationV1", "BatchNormalizationV2", "SyncBatchNormalization"),
        old_arguments={"gamma_init": "gamma_initializer", "beta_init": "beta_initializer"},
        lost=("renorm", "virtual_batch_size"),
        dropped=("mode", "fused", "renorm_clipping", "renorm_momentum", "adjustment"),
        channels_last=moved_axis,
        alike=over_channels,
    ),
    Kind(
        record=LayerNormalization,
        rule=_by_layer,
        read=_read_last,
        refused=("rms_scaling",),
        alike=always,
    ),
    Kind(
        record=GroupNormalization,
        rule=_by_group,
        readers={"axis": _one_axis},
        channels_last=moved_axis,
        alike=over_channels,
        words=_group_words,
    ),
)
