"""Layers of a `ModelDescription` -> instructions of a `Plan`. What is not covered raises `NotCovered`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from grader import records as r
from grader.train.native import fields as f
from grader.train.native import geometry
from grader.train.native.blocks import LANES
from grader.train.native.plan import Plan, Tensor


class NotCovered(Exception):
    """This engine does not train such a network or recipe; the message says why."""


def build(network: r.ModelDescription, scaling: r.InputScaling) -> tuple[Plan, Tensor]:
    """The plan of a network, and the tensor of its logits. Raises `NotCovered`."""
    if len(network.inputs) > 1 or len(network.outputs) > 1:
        raise NotCovered("a network of several inputs or outputs")
    plan, tensors = Plan(), dict[str, Tensor]()
    uses = Counter(name for layer in network.layers for name in layer.inbound)
    by_name = {layer.name: layer for layer in network.layers}
    followers = {layer.inbound[0]: layer for layer in network.layers if len(layer.inbound) == 1}
    done: set[str] = set()
    for number, layer in enumerate(network.layers):
        plan.layer = number
        if isinstance(layer, r.InputLayer):
            tensors[layer.name] = _input(plan, layer, scaling)
            continue
        taken = [tensors[name] for name in layer.inbound]
        if layer.name in done:
            tensors[layer.name] = taken[0]
            continue
        _check(layer, taken)
        if isinstance(layer, r.BatchNormalization):
            follower = followers.get(layer.name) if uses[layer.name] == 1 else None
            dropout = follower if isinstance(follower, r.Dropout) else None
            done |= {dropout.name} if dropout else set()
            source = by_name[layer.inbound[0]]
            alone = uses[source.name] == 1 and getattr(source, "activation", "") == "relu"
            alone = alone and isinstance(source, r.Conv2D | r.Dense)
            tensors[layer.name] = _normalisation(plan, layer, taken[0], dropout, alone)
            continue
        lowered, _ = _LAYERS[type(layer)]
        tensors[layer.name] = lowered(plan, layer, taken)
    return plan, tensors[network.outputs[0]]


def _check(layer: r.Layer, taken: list[Tensor]) -> None:
    """Only layers of `_LAYERS`, and only settings that are handled there."""
    handled = _NORMALISED if isinstance(layer, r.BatchNormalization) else _LAYERS.get(type(layer), (0, None))[1]
    if handled is None:
        raise NotCovered(f"the layer {layer.type}")
    if not layer.trainable:
        raise NotCovered("a layer that is not trained")
    if any(tensor.softmax for tensor in taken):
        raise NotCovered("a softmax before the last layer")
    refuse_unknown(layer, handled | {"name", "inbound", "type", "trainable"}, layer.type)


def refuse_unknown(record: r.Record, handled: set[str], owner: str) -> None:
    """Raise for a field that is set and not in ``handled``: also one that records will have later."""
    for name, info in type(record).model_fields.items():
        if name not in handled and getattr(record, name) != info.get_default(call_default_factory=True):
            raise NotCovered(f"{owner} with {name}")


def _input(plan: Plan, layer: r.InputLayer, scaling: r.InputScaling) -> Tensor:
    rows, columns, channels = _image(layer.shape)
    made = plan.tensor(rows, columns, channels, flat=len(layer.shape) == 1, slope=False)
    numbers = {f.FACTOR: scaling.scale, f.OFFSET: scaling.offset}
    plan.emit(f.LOAD, {f.DST: made.at, f.SIZE: made.size}, numbers)
    return made


def _image(shape: tuple[int, ...]) -> tuple[int, int, int]:
    if len(shape) == 1:
        return 1, 1, shape[0]
    if len(shape) == 3:
        return shape[0], shape[1], shape[2]
    raise NotCovered(f"arrays of shape {shape}")


# --- convolutions and dense layers --------------------------------------------------------------


def _axes(layer: Any, x: Tensor, kernel: tuple[int, int]) -> tuple[geometry.Axis, geometry.Axis]:
    rows, columns = (
        geometry.Axis.of(
            before, kernel[n], layer.strides[n], getattr(layer, "dilation_rate", (1, 1))[n], layer.padding
        )
        for n, before in enumerate(x.pixels)
    )
    if rows.after < 1 or columns.after < 1:
        raise NotCovered("a window larger than its image")
    return rows, columns


def _convolution(plan: Plan, layer: Any, taken: list[Tensor]) -> Tensor:
    x = taken[0]
    axes = _axes(layer, x, layer.kernel_size)
    kernel = plan.variable(
        "kernel",
        (*layer.kernel_size, x.channels, layer.filters),
        layer.kernel_initializer,
        layer.kernel_regularizer,
    )
    return _weighted(plan, layer, x, axes, kernel, layer.filters)


def _dense(plan: Plan, layer: Any, taken: list[Tensor]) -> Tensor:
    x = taken[0]
    kernel = plan.variable(
        "kernel", (x.channels, layer.units), layer.kernel_initializer, layer.kernel_regularizer
    )
    axes = (geometry.Axis(x.rows, x.rows, 1), geometry.Axis(x.columns, x.columns, 1))
    return _weighted(plan, layer, x, axes, kernel, layer.units)


def _weighted(
    plan: Plan,
    layer: Any,
    x: Tensor,
    axes: tuple[geometry.Axis, geometry.Axis],
    kernel: int,
    outs: int,
    bias: bool = True,
) -> Tensor:
    """A convolution with its bias and activation; ``bias`` False for the first half of a separable one."""
    rows, columns = axes
    y = plan.tensor(rows.after, columns.after, outs, x.flat)
    size = rows.kernel * columns.kernel * x.channels * outs
    at = -1
    if layer.use_bias and bias:
        at = plan.variable("bias", (outs,), layer.bias_initializer, layer.bias_regularizer)
    floor = int(layer.activation == "relu")
    tap = x.channels * outs
    forth = geometry.table(
        rows.forward(), columns.forward(), x.columns, columns.kernel, x.channels * LANES, tap
    )
    common = {f.WEIGHTS: kernel, f.SIZE: size, f.BIAS: at}
    plan.emit(
        f.GATHER,
        common | {
            f.SRC: x.at, f.DST: y.at, f.ROWS: y.rows, f.COLUMNS: y.columns, f.CHANNELS: outs,
            f.SRC_COLUMNS: x.columns, f.SRC_CHANNELS: x.channels, f.FLOOR: floor, f.GEOMETRY: plan.table(forth),
        },
    )  # fmt: skip
    only_pixel = y.pixels == (1, 1) and (rows.kernel, columns.kernel) == x.pixels and not (rows.pad + columns.pad)
    dense = only_pixel and rows.dilation == columns.dilation == 1
    width = -(-outs // LANES) * LANES
    room = (width + x.size + 2 * LANES) * LANES if dense else max(size, outs) * LANES
    plan.scratch = max(plan.scratch, room)
    plan.turns.append((kernel, rows.kernel * columns.kernel, x.channels, outs))

    def back() -> None:
        if floor and not y.floored:
            plan.emit(
                f.RELU_BACK, {f.SRC: y.at, f.DST: y.slope, f.SIZE: y.size * LANES}, when="training"
            )
        slopes = common | {
            f.SRC: x.at, f.DST: y.slope, f.ROWS: y.rows, f.COLUMNS: y.columns, f.CHANNELS: outs,
            f.SRC_ROWS: x.rows, f.SRC_COLUMNS: x.columns, f.SRC_CHANNELS: x.channels,
            f.KERNEL_ROWS: rows.kernel, f.KERNEL_COLUMNS: columns.kernel,
            f.STRIDE_ROWS: rows.stride, f.STRIDE_COLUMNS: columns.stride,
            f.PAD_ROWS: rows.pad, f.PAD_COLUMNS: columns.pad,
            f.DILATION_ROWS: rows.dilation, f.DILATION_COLUMNS: columns.dilation,
        }  # fmt: skip
        plan.emit(f.DENSE_SLOPES if dense else f.WEIGHT_SLOPES, slopes, when="training")
        if at >= 0:
            plan.emit(f.BIAS_SLOPES, slopes, when="training")
        if x.slope < 0:
            return
        table = geometry.table(
            rows.backward(), columns.backward(), y.columns, columns.kernel, outs * LANES, tap
        )
        plan.emit(
            f.GATHER,
            {
                f.SRC: y.slope, f.DST: x.slope, f.ROWS: x.rows, f.COLUMNS: x.columns, f.CHANNELS: x.channels,
                f.SRC_COLUMNS: y.columns, f.SRC_CHANNELS: outs, f.WEIGHTS: kernel, f.BIAS: -1, f.TURNED: 1,
                f.ADD: plan.adds(x), f.GEOMETRY: plan.table(table),
            },
            when="training",
        )  # fmt: skip

    plan.back.append(back)
    return y if floor else _activated(plan, y, layer.activation)


def _depthwise(plan: Plan, layer: Any, taken: list[Tensor]) -> Tensor:
    return _activated(plan, _by_channel(plan, layer, taken[0], layer.use_bias), layer.activation)


def _by_channel(plan: Plan, layer: Any, x: Tensor, bias: bool) -> Tensor:
    rows, columns = _axes(layer, x, layer.kernel_size)
    many = layer.depth_multiplier
    outs = x.channels * many
    kernel = plan.variable(
        "depthwise",
        (*layer.kernel_size, x.channels, many),
        layer.depthwise_initializer,
        layer.depthwise_regularizer,
    )
    at = plan.variable("bias", (outs,), layer.bias_initializer, layer.bias_regularizer) if bias else -1
    y = plan.tensor(rows.after, columns.after, outs)
    table = geometry.table(
        rows.forward(), columns.forward(), x.columns, columns.kernel, x.channels * LANES, outs
    )
    row = {
        f.SRC: x.at, f.DST: y.at, f.OTHER: y.slope, f.ROWS: y.rows, f.COLUMNS: y.columns, f.CHANNELS: outs,
        f.SRC_COLUMNS: x.columns, f.SRC_CHANNELS: x.channels, f.KIND: many, f.WEIGHTS: kernel, f.BIAS: at,
        f.GEOMETRY: plan.table(table), f.KERNEL_ROWS: rows.kernel, f.KERNEL_COLUMNS: columns.kernel,
        f.SIZE: int(x.slope >= 0), f.SHIFT: x.slope - x.at,
    }  # fmt: skip
    plan.emit(f.DEPTHWISE, row)
    plan.scratch = max(plan.scratch, rows.kernel * columns.kernel * outs * LANES)

    def back() -> None:
        if x.slope >= 0:
            plan.clear_once(x)
        plan.emit(f.DEPTHWISE_BACK, row, when="training")
        if at >= 0:
            plan.emit(f.BIAS_SLOPES, row | {f.DST: y.slope}, when="training")

    plan.back.append(back)
    return y


def _separable(plan: Plan, layer: Any, taken: list[Tensor]) -> Tensor:
    between = _by_channel(plan, layer, taken[0], bias=False)
    kernel = plan.variable(
        "pointwise",
        (1, 1, between.channels, layer.filters),
        layer.pointwise_initializer,
        layer.pointwise_regularizer,
    )
    axes = (geometry.Axis(between.rows, between.rows, 1), geometry.Axis(between.columns, between.columns, 1))
    return _weighted(plan, layer, between, axes, kernel, layer.filters)


# --- normalisation and dropout ------------------------------------------------------------------


def _normalisation(
    plan: Plan, layer: r.BatchNormalization, x: Tensor, dropout: r.Dropout | None, floor: bool
) -> Tensor:
    """BatchNormalization, a Dropout that follows, and the way back past a ReLU before it, in one."""
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


def _dropout(plan: Plan, layer: Any, taken: list[Tensor]) -> Tensor:
    x = taken[0]
    if layer.rate == 0:
        return x
    y = plan.tensor(x.rows, x.columns, x.channels, x.flat)
    row = {
        f.SRC: x.at, f.DST: y.at, f.ROWS: x.rows, f.COLUMNS: x.columns, f.CHANNELS: x.channels, f.KEY: plan.keys,
        f.KIND: int(isinstance(layer, r.SpatialDropout2D)),
    }  # fmt: skip
    plan.keys += 1
    rate = {f.RATE: layer.rate}
    plan.emit(f.DROPOUT, row, rate, when="training")
    plan.emit(f.PLACE, _window(x, y, x), {f.FACTOR: 1.0}, when="evaluating")

    def back() -> None:
        if x.slope >= 0:
            made = row | {f.SRC: y.slope, f.DST: x.slope, f.ADD: plan.adds(x)}
            plan.emit(f.DROPOUT, made, rate, when="training")

    plan.back.append(back)
    return y


# --- activations --------------------------------------------------------------------------------

_INFINITE = float("inf")
# Kind and three numbers: slope below, ceiling, threshold for those of ReLU's family; alpha, scale for ELU's.
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


def _activated(plan: Plan, x: Tensor, name: str) -> Tensor:
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


def _relu_layer(plan: Plan, layer: Any, taken: list[Tensor]) -> Tensor:
    if layer.threshold and layer.max_value is not None and layer.max_value <= layer.threshold:
        raise NotCovered("ReLU with a ceiling below its threshold")
    ceiling = _INFINITE if layer.max_value is None else layer.max_value
    return _by_element(plan, taken[0], f.RELU, layer.negative_slope, ceiling, layer.threshold)


# --- pooling ------------------------------------------------------------------------------------


def _pooling(plan: Plan, layer: Any, taken: list[Tensor]) -> Tensor:
    mean = isinstance(layer, r.AveragePooling2D)
    return _pooled(plan, taken[0], _axes(layer, taken[0], layer.pool_size), mean)


def _global_pooling(plan: Plan, layer: Any, taken: list[Tensor]) -> Tensor:
    x = taken[0]
    axes = geometry.Axis(x.rows, 1, x.rows), geometry.Axis(x.columns, 1, x.columns)
    y = _pooled(plan, x, axes, isinstance(layer, r.GlobalAveragePooling2D))
    y.flat = not layer.keepdims
    return y


def _pooled(plan: Plan, x: Tensor, axes: tuple[geometry.Axis, geometry.Axis], mean: bool) -> Tensor:
    rows, columns = axes
    y = plan.tensor(rows.after, columns.after, x.channels)
    table = geometry.table(rows.forward(), columns.forward(), x.columns, columns.kernel, x.channels * LANES, 0)
    row = {
        f.SRC: x.at, f.DST: y.at, f.ROWS: y.rows, f.COLUMNS: y.columns, f.CHANNELS: x.channels,
        f.SRC_COLUMNS: x.columns, f.GEOMETRY: plan.table(table), f.OTHER: y.slope, f.SHIFT: x.slope - x.at,
    }  # fmt: skip
    plan.emit(f.MEAN_POOL if mean else f.MAX_POOL, row)
    plan.scratch = max(plan.scratch, x.channels * LANES)

    def back() -> None:
        if x.slope < 0:
            return
        plan.clear_once(x)
        if mean:
            plan.emit(f.MEAN_POOL_BACK, row | {f.DST: x.slope}, when="training")
        else:
            plan.emit(f.MAX_POOL_BACK, row, when="training")

    plan.back.append(back)
    return y


# --- shapes and merges --------------------------------------------------------------------------


def _window(
    x: Tensor, y: Tensor, part: Tensor, x_start: tuple[int, int, int] = (0, 0, 0),
    y_start: tuple[int, int, int] = (0, 0, 0), slopes: bool = False,
) -> dict[int, int]:  # fmt: skip
    """A window of ``part``'s size of x, copied to y: where it begins in each (row, column, channel)."""

    def shift(tensor: Tensor, start: tuple[int, int, int]) -> int:
        row, column, channel = start
        return ((row * tensor.columns + column) * tensor.channels + channel) * LANES

    return {
        f.SRC: x.slope if slopes else x.at, f.DST: y.slope if slopes else y.at,
        f.ROWS: part.rows, f.COLUMNS: part.columns, f.CHANNELS: part.channels,
        f.SRC_SHIFT: shift(x, x_start), f.SRC_CHANNELS: x.channels, f.STRIDE_COLUMNS: x.columns,
        f.SHIFT: shift(y, y_start), f.KERNEL_COLUMNS: y.channels, f.STRIDE_ROWS: y.columns,
    }  # fmt: skip


def _copy(
    plan: Plan,
    x: Tensor,
    y: Tensor,
    start: tuple[int, int, int] = (0, 0, 0),
    factor: float = 1.0,
    add: bool = False,
    offset: float = 0.0,
) -> None:
    """x times a factor becomes a window of y, or is added to it; the way back is the same turned round."""
    numbers = {f.FACTOR: factor}
    plan.emit(f.PLACE, _window(x, y, x, y_start=start) | {f.ADD: int(add)}, numbers | {f.OFFSET: offset})

    def back() -> None:
        if x.slope >= 0:
            row = _window(y, x, x, x_start=start, slopes=True) | {f.ADD: plan.adds(x)}
            plan.emit(f.PLACE, row, numbers, when="training")

    plan.back.append(back)


def _merge(plan: Plan, layer: Any, taken: list[Tensor]) -> Tensor:
    factors = {
        "Add": [1.0] * len(taken),
        "Average": [1.0 / len(taken)] * len(taken),
        "Subtract": [1.0, -1.0],
    }.get(layer.type)
    if factors is None:
        raise NotCovered(f"the layer {layer.type}")
    x = taken[0]
    if any((t.pixels, t.channels) != (x.pixels, x.channels) for t in taken):
        raise NotCovered(f"{layer.type} of different shapes")
    y = plan.tensor(x.rows, x.columns, x.channels, x.flat)
    for n, (tensor, factor) in enumerate(zip(taken, factors, strict=True)):
        _copy(plan, tensor, y, factor=factor, add=n > 0)
    return y


def _concatenate(plan: Plan, layer: Any, taken: list[Tensor]) -> Tensor:
    x = taken[0]
    if layer.axis not in (-1, 1 if x.flat else 3) or any(t.pixels != x.pixels for t in taken):
        raise NotCovered("Concatenate along another axis than the last")
    y = plan.tensor(x.rows, x.columns, sum(t.channels for t in taken), x.flat)
    channel = 0
    for tensor in taken:
        _copy(plan, tensor, y, (0, 0, channel))
        channel += tensor.channels
    return y


def _padding(plan: Plan, layer: Any, taken: list[Tensor]) -> Tensor:
    x, ((top, bottom), (left, right)) = taken[0], layer.padding
    y = plan.tensor(x.rows + top + bottom, x.columns + left + right, x.channels)
    plan.emit(f.CLEAR, {f.DST: y.at, f.SIZE: y.size * LANES})
    _copy(plan, x, y, (top, left, 0))
    return y


def _rescaling(plan: Plan, layer: Any, taken: list[Tensor]) -> Tensor:
    x = taken[0]
    y = plan.tensor(x.rows, x.columns, x.channels, x.flat, slope=x.slope >= 0)
    _copy(plan, x, y, factor=layer.scale, offset=layer.offset)
    return y


def _view(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The same numbers, and the same gradient, in another shape."""
    rows, columns, channels = _image(shape)
    return replace(x, rows=rows, columns=columns, channels=channels, flat=len(shape) == 1)


def _flatten(plan: Plan, layer: Any, taken: list[Tensor]) -> Tensor:
    return _view(taken[0], (taken[0].size,))


def _reshape(plan: Plan, layer: Any, taken: list[Tensor]) -> Tensor:
    known = math.prod(n for n in layer.target_shape if n > 0)
    return _view(taken[0], tuple(n if n > 0 else taken[0].size // known for n in layer.target_shape))


def _activation(plan: Plan, layer: Any, taken: list[Tensor]) -> Tensor:
    return _activated(plan, taken[0], layer.activation)


def _leaky_relu(plan: Plan, layer: Any, taken: list[Tensor]) -> Tensor:
    return _by_element(plan, taken[0], f.RELU, layer.negative_slope, _INFINITE, 0.0)


def _elu(plan: Plan, layer: Any, taken: list[Tensor]) -> Tensor:
    return _by_element(plan, taken[0], f.ELU, layer.alpha, 1.0, 0.0)


# For each record: how it is lowered, and which of its settings are handled.
_WEIGHTS = {"activation", "use_bias", "bias_initializer", "bias_regularizer"}
_WINDOW = _WEIGHTS | {"kernel_size", "strides", "padding", "dilation_rate"}
_KERNEL = {"kernel_initializer", "kernel_regularizer"}
_BY_CHANNEL = {"depth_multiplier", "depthwise_initializer", "depthwise_regularizer"}
_POOL = {"pool_size", "strides", "padding"}
_LAYERS: dict[Any, tuple[Callable[[Plan, Any, list[Tensor]], Tensor], set[str]]] = {
    r.Conv2D: (_convolution, _WINDOW | _KERNEL | {"filters"}),
    r.DepthwiseConv2D: (_depthwise, _WINDOW | _BY_CHANNEL),
    r.SeparableConv2D: (
        _separable, _WINDOW | _BY_CHANNEL | {"filters", "pointwise_initializer", "pointwise_regularizer"}
    ),
    r.Dense: (_dense, _WEIGHTS | _KERNEL | {"units"}),
    r.Dropout: (_dropout, {"rate"}),
    r.SpatialDropout2D: (_dropout, {"rate"}),
    r.ActivationLayer: (_activation, {"activation"}),
    r.ReLU: (_relu_layer, {"max_value", "negative_slope", "threshold"}),
    r.LeakyReLU: (_leaky_relu, {"negative_slope"}),
    r.ELU: (_elu, {"alpha"}),
    r.MaxPooling2D: (_pooling, _POOL),
    r.AveragePooling2D: (_pooling, _POOL),
    r.GlobalMaxPooling2D: (_global_pooling, {"keepdims"}),
    r.GlobalAveragePooling2D: (_global_pooling, {"keepdims"}),
    r.ZeroPadding2D: (_padding, {"padding"}),
    r.Flatten: (_flatten, set()),
    r.Reshape: (_reshape, {"target_shape"}),
    r.Rescaling: (_rescaling, {"scale", "offset"}),
    r.Concatenate: (_concatenate, {"axis"}),
    r.Merge: (_merge, set()),
}  # fmt: skip
_NORMALISED = {
    "axis", "momentum", "epsilon", "center", "scale",
    "beta_initializer", "gamma_initializer", "beta_regularizer", "gamma_regularizer",
}  # fmt: skip
