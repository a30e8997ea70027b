"""Turns convolutions, dense and separable layers into instructions of a `Plan`."""

from __future__ import annotations

from typing import Any

from grader.train.native import fields as f
from grader.train.native import geometry
from grader.train.native.blocks import LANES
from grader.train.native.layers_elements import activated
from grader.train.native.layers_shapes import window_axes
from grader.train.native.plan import Plan, Tensor


def convolution(plan: Plan, layer: Any, taken: list[Tensor]) -> Tensor:
    """Add Conv2D."""
    x = taken[0]
    axes = window_axes(layer, x, layer.kernel_size)
    kernel = plan.variable(
        "kernel",
        (*layer.kernel_size, x.channels, layer.filters),
        layer.kernel_initializer,
        layer.kernel_regularizer,
    )
    return weighted(plan, layer, x, axes, kernel, layer.filters)


def dense(plan: Plan, layer: Any, taken: list[Tensor]) -> Tensor:
    """Add Dense, as a convolution of single pixels."""
    x = taken[0]
    kernel = plan.variable(
        "kernel", (x.channels, layer.units), layer.kernel_initializer, layer.kernel_regularizer
    )
    axes = (geometry.Axis(x.rows, x.rows, 1), geometry.Axis(x.columns, x.columns, 1))
    return weighted(plan, layer, x, axes, kernel, layer.units)


def weighted(
    plan: Plan,
    layer: Any,
    x: Tensor,
    axes: tuple[geometry.Axis, geometry.Axis],
    kernel: int,
    outs: int,
) -> Tensor:
    """Add a convolution with its bias and activation, both ways.

    ``kernel`` is the offset of its weights, ``outs`` the number of output channels.
    """
    rows, columns = axes
    y = plan.tensor(rows.after, columns.after, outs, x.flat)
    size = rows.kernel * columns.kernel * x.channels * outs
    at = -1
    if layer.use_bias:
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
            f.SRC_COLUMNS: x.columns, f.SRC_CHANNELS: x.channels, f.FLOOR: floor,
            f.GEOMETRY: plan.table(forth),
        },
    )  # fmt: skip
    only_pixel = (
        y.pixels == (1, 1) and (rows.kernel, columns.kernel) == x.pixels and not (rows.pad + columns.pad)
    )
    dense = only_pixel and rows.dilation == columns.dilation == 1
    plan.scratch = max(plan.scratch, (outs if dense else max(size, outs)) * LANES)
    if x.slope >= 0:  # the way back to the input multiplies with the transposed weights
        plan.turns.append((kernel, rows.kernel * columns.kernel, x.channels, outs))

    def back() -> None:
        if floor and not y.floored:
            plan.emit(f.RELU_BACK, {f.SRC: y.at, f.DST: y.slope, f.SIZE: y.size * LANES}, when="training")
        slopes = common | {
            f.SRC: x.at, f.DST: y.slope, f.ROWS: y.rows, f.COLUMNS: y.columns, f.CHANNELS: outs,
            f.SRC_ROWS: x.rows, f.SRC_COLUMNS: x.columns, f.SRC_CHANNELS: x.channels,
            f.KERNEL_ROWS: rows.kernel, f.KERNEL_COLUMNS: columns.kernel,
            f.STRIDE_ROWS: rows.stride, f.STRIDE_COLUMNS: columns.stride,
            f.PAD_ROWS: rows.pad, f.PAD_COLUMNS: columns.pad,
            f.DILATION_ROWS: rows.dilation, f.DILATION_COLUMNS: columns.dilation,
        }  # fmt: skip
        if dense:
            product = slopes | {f.SHIFT: plan.room(-(-outs // LANES) * LANES), f.SRC_SHIFT: plan.room(x.size)}
            plan.emit(f.DENSE_INPUTS, product, when="training")
            plan.products.append(product)
        else:
            plan.emit(f.WEIGHT_SLOPES, slopes, when="training")
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
    return y if floor else activated(plan, y, layer.activation)


def depthwise(plan: Plan, layer: Any, taken: list[Tensor]) -> Tensor:
    """Add DepthwiseConv2D."""
    return activated(plan, _by_channel(plan, layer, taken[0], layer.use_bias), layer.activation)


def _by_channel(plan: Plan, layer: Any, x: Tensor, bias: bool) -> Tensor:
    rows, columns = window_axes(layer, x, layer.kernel_size)
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
    plan.scratch = max(plan.scratch, 2 * rows.kernel * columns.kernel * outs * LANES)

    def back() -> None:
        if x.slope >= 0:
            plan.clear_once(x)
        plan.emit(f.DEPTHWISE_BACK, row, when="training")
        if at >= 0:
            plan.emit(f.BIAS_SLOPES, row | {f.DST: y.slope}, when="training")

    plan.back.append(back)
    return y


def separable(plan: Plan, layer: Any, taken: list[Tensor]) -> Tensor:
    """Add SeparableConv2D: depthwise without a bias, then a convolution of single pixels."""
    between = _by_channel(plan, layer, taken[0], bias=False)
    kernel = plan.variable(
        "pointwise",
        (1, 1, between.channels, layer.filters),
        layer.pointwise_initializer,
        layer.pointwise_regularizer,
    )
    axes = (geometry.Axis(between.rows, between.rows, 1), geometry.Axis(between.columns, between.columns, 1))
    return weighted(plan, layer, between, axes, kernel, layer.filters)
