"""Activations as layers of their own."""

from __future__ import annotations

from math import prod
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
    moved,
    own_settings,
    place,
    single,
)
from grader.layers.settings import Unrepresentable
from grader.record import NonNegative, Number


class ActivationLayer(BaseLayer):
    """Keras's ``Activation``, ``Softmax`` and parameterless ``ReLU`` alike."""

    type: Literal["Activation"] = "Activation"
    activation: v.Activation


class NonLinearLayer(BaseLayer):
    """Activations that are classes of their own."""


class ReLU(NonLinearLayer):
    """x from ``threshold`` up, at most ``max_value``; below, ``negative_slope * (x - threshold)``."""

    type: Literal["ReLU"] = "ReLU"
    max_value: NonNegative | None = None
    negative_slope: NonNegative = 0.0
    threshold: NonNegative = 0.0


class LeakyReLU(NonLinearLayer):
    """x where it is positive, ``negative_slope * x`` elsewhere."""

    type: Literal["LeakyReLU"] = "LeakyReLU"
    negative_slope: NonNegative = 0.3


class ELU(NonLinearLayer):
    """x where it is positive, ``alpha * (exp(x) - 1)`` elsewhere."""

    type: Literal["ELU"] = "ELU"
    alpha: Number = 1.0


class PReLU(NonLinearLayer):
    """One learned slope per element, shared along ``shared_axes`` (batch axis = 0)."""

    type: Literal["PReLU"] = "PReLU"
    shared_axes: tuple[Annotated[int, Field(ge=1, le=6)], ...] = ()
    alpha_initializer: v.VectorInitializer = v.ZEROS
    alpha_regularizer: v.L1L2 | None = None


def _prelu(layer: PReLU, shapes: list[Shape]) -> Numbers:
    shape = single(layer, shapes)
    shared = {place(layer, axis, shapes) for axis in layer.shared_axes}
    return shape, prod(1 if i in shared else n for i, n in enumerate(shape)), 0


def _read(kind: Kind, class_name: str, config: Config) -> Config:
    if class_name != "Softmax":
        return own_settings(kind, class_name, config)
    if config.get("axis", -1) != -1:
        raise Unrepresentable(f"its softmax runs over axis {config['axis']}, not the last one")
    return {"activation": "softmax"}


def _channels_last(layer: PReLU, rank: int) -> PReLU:
    if rank != 3:
        return layer
    return layer.model_copy(update={"shared_axes": tuple(map(moved, layer.shared_axes))})


def _prelu_alike(layer: PReLU) -> bool:
    return (1 in layer.shared_axes) == (2 in layer.shared_axes)


KINDS = (
    Kind(record=ActivationLayer, also=("Softmax",), read=_read, alike=always),
    Kind(record=ReLU, alike=always),
    Kind(record=LeakyReLU, old_arguments={"alpha": "negative_slope"}, alike=always),
    Kind(record=ELU, alike=always),
    Kind(
        record=PReLU,
        rule=_prelu,
        readers={"shared_axes": tuple},
        old_arguments={"init": "alpha_initializer"},
        channels_last=_channels_last,
        alike=_prelu_alike,
    ),
)
