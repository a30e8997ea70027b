"""Turns normalisation, Dropout and activations into instructions of a `Plan`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from grader import records as r
from grader.train.covered import NotCovered
from grader.train.native import fields as f
from grader.train.native.blocks import LANES
from grader.train.native.layers_shapes import window
from grader.train.native.plan import Plan, Tensor


def normalisation(
    plan: Plan, layer: r.BatchNormalization, x: Tensor, dropout: r.Dropout | None, floor: bool
) -> Tensor:
    """Add BatchNormalization, a Dropout that follows, and the way back past a ReLU before it, in one.

    ``floor`` says that ``x`` ends in such a ReLU. Raises `NotCovered` for another axis than the last.
    """
    if layer.axis not in (-1, 1 if x.flat else 3):
        raise NotCovered("BatchNormalization over another axis than the last")
    shape = (x.channels,)
    row = {
        f.SRC: x.at, f.ROWS: x.rows, f.COLUMNS: x.columns, f.CHANNELS: x.channels, f.SUMS: plan.sums,
        f.NORMS: plan.norms, f.WEIGHTS: -1, f.BIAS: -1, f.STATE: plan.moving, f.KEY: plan.keys,
    }  # fmt: skip
    if layer.scale:
        row[f.WEIGHTS] = plan.variable("gamma", shape, layer.gamma_initializer, layer.gamma_regularizer)
    if layer.center:
        row[f.BIAS] = plan.variable("beta", shape, layer.beta_initializer, layer.beta_regularizer)
    plan.average("moving_mean", x.channels, 0.0)
    plan.average("moving_variance", x.channels, 1.0)
    plan.sums += 2 * x.channels + 1
    plan.norms += 6 * x.channels + 1
    plan.scratch = max(plan.scratch, 4 * x.channels * LANES)
    plan.keys += 1
    rate = {f.RATE: dropout.rate} if dropout else {}
    numbers = {f.EPSILON: layer.epsilon, f.FACTOR: layer.momentum, f.OFFSET: 1.0 - layer.momentum}
    y = plan.tensor(x.rows, x.columns, x.channels, x.flat)
    row[f.DST] = y.at
    plan.emit(f.STATISTICS, row, when="training")
    plan.emit(f.FINISH_STATISTICS, row, numbers, when="training")
    plan.emit(f.NORMALISE, row, rate, when="training")
    plan.emit(f.MOVING_STATISTICS, row, numbers, when="evaluating")
    plan.emit(f.NORMALISE, row, when="evaluating")
    x.floored = floor

    def back() -> None:
        plan.emit(f.NORM_SUMS, row | {f.DST: y.slope}, rate, when="training")
        plan.emit(f.FINISH_NORM_SUMS, row, when="training")
        if x.slope >= 0:
            made = row | {f.DST: x.slope, f.OTHER: y.slope, f.FLOOR: int(floor), f.ADD: plan.adds(x)}
            plan.emit(f.NORM_BACK, made, when="training")

    plan.back.append(back)
    return y


def dropout(plan: Plan, layer: Any, taken: list[Tensor]) -> Tensor:
    """Add Dropout or SpatialDropout2D in training, and a copy in evaluation; nothing for rate 0."""
    x = taken[0]
    if layer.rate == 0:
        return x
    y = plan.tensor(x.rows, x.columns, x.channels, x.flat)
    row = {
        f.SRC: x.at, f.DST: y.at, f.ROWS: x.rows, f.COLUMNS: x.columns, f.CHANNELS: x.channels,
        f.KEY: plan.keys, f.KIND: int(isinstance(layer, r.SpatialDropout2D)),
    }  # fmt: skip
    plan.keys += 1
    rate = {f.RATE: layer.rate}
    plan.emit(f.DROPOUT, row, rate, when="training")
    plan.emit(f.PLACE, window(x, y, x), {f.FACTOR: 1.0}, when="evaluating")

    def back() -> None:
        if x.slope >= 0:
            made = row | {f.SRC: y.slope, f.DST: x.slope, f.ADD: plan.adds(x)}
            plan.emit(f.DROPOUT, made, rate, when="training")

    plan.back.append(back)
    return y


# --- activations --------------------------------------------------------------------------------

_INFINITE = float("inf")
# Kind and three numbers: slope below, ceiling, threshold in ReLU's family; alpha, scale in ELU's.
_ACTIVATIONS: dict[str, tuple[int, float, float, float]] = {
    "relu": (f.RELU, 0.0, _INFINITE, 0.0),
    "relu6": (f.RELU, 0.0, 6.0, 0.0),
    "leaky_relu": (f.RELU, 0.2, _INFINITE, 0.0),
    "elu": (f.ELU, 1.0, 1.0, 0.0),
    "celu": (f.ELU, 1.0, 1.0, 0.0),
    "selu": (f.ELU, 1.6732632423543772, 1.0507009873554805, 0.0),
    "sigmoid": (f.SIGMOID, 0.0, 0.0, 0.0),
    "tanh": (f.TANH, 0.0, 0.0, 0.0),
    "silu": (f.SILU, 0.0, 0.0, 0.0),
    "softplus": (f.SOFTPLUS, 0.0, 0.0, 0.0),
    "exponential": (f.EXPONENTIAL, 0.0, 0.0, 0.0),
    "softsign": (f.SOFTSIGN, 0.0, 0.0, 0.0),
    "hard_sigmoid": (f.HARD_SIGMOID, 0.0, 0.0, 0.0),
}


def activated(plan: Plan, x: Tensor, name: str) -> Tensor:
    """Add the activation ``name`` of Keras. Raises `NotCovered`."""
    if name == "linear":
        return x
    if name == "softmax":
        return replace(x, softmax=True)
    if name not in _ACTIVATIONS:
        raise NotCovered(f"the activation {name}")
    return _by_element(plan, x, *_ACTIVATIONS[name])


def _by_element(plan: Plan, x: Tensor, kind: int, a: float, b: float, c: float) -> Tensor:
    y = plan.tensor(x.rows, x.columns, x.channels, x.flat)
    row = {f.SRC: x.at, f.DST: y.at, f.SIZE: x.size * LANES, f.KIND: kind}
    numbers = {f.ALPHA: a, f.CEILING: b, f.THRESHOLD: c}
    plan.emit(f.ACTIVATE, row, numbers)
    plan.scratch = max(plan.scratch, x.size * LANES)

    def back() -> None:
        if x.slope >= 0:
            made = row | {f.OTHER: y.slope, f.DST: x.slope, f.ADD: plan.adds(x)}
            plan.emit(f.ACTIVATE_BACK, made, numbers, when="training")

    plan.back.append(back)
    return y


def relu_layer(plan: Plan, layer: Any, taken: list[Tensor]) -> Tensor:
    """Add the layer ReLU. Raises `NotCovered` for a ceiling below its threshold."""
    if layer.threshold and layer.max_value is not None and layer.max_value <= layer.threshold:
        raise NotCovered("ReLU with a ceiling below its threshold")
    ceiling = _INFINITE if layer.max_value is None else layer.max_value
    return _by_element(plan, taken[0], f.RELU, layer.negative_slope, ceiling, layer.threshold)


def activation(plan: Plan, layer: Any, taken: list[Tensor]) -> Tensor:
    """Add the layer Activation."""
    return activated(plan, taken[0], layer.activation)


def leaky_relu(plan: Plan, layer: Any, taken: list[Tensor]) -> Tensor:
    """Add the layer LeakyReLU."""
    return _by_element(plan, taken[0], f.RELU, layer.negative_slope, _INFINITE, 0.0)


def elu(plan: Plan, layer: Any, taken: list[Tensor]) -> Tensor:
    """Add the layer ELU."""
    return _by_element(plan, taken[0], f.ELU, layer.alpha, 1.0, 0.0)
