"""Turns pooling, merges and new shapes into instructions of a `Plan`."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from grader import records as r
from grader.train.covered import NotCovered
from grader.train.native import fields as f
from grader.train.native import geometry
from grader.train.native.blocks import LANES
from grader.train.native.plan import Plan, Tensor


def pooling(plan: Plan, layer: Any, taken: list[Tensor]) -> Tensor:
    """Add MaxPooling2D or AveragePooling2D."""
    mean = isinstance(layer, r.AveragePooling2D)
    return _pooled(plan, taken[0], window_axes(layer, taken[0], layer.pool_size), mean)


def global_pooling(plan: Plan, layer: Any, taken: list[Tensor]) -> Tensor:
    """Add GlobalMaxPooling2D or GlobalAveragePooling2D."""
    x = taken[0]
    axes = geometry.Axis(x.rows, 1, x.rows), geometry.Axis(x.columns, 1, x.columns)
    y = _pooled(plan, x, axes, isinstance(layer, r.GlobalAveragePooling2D))
    y.flat = not layer.keepdims
    return y


def _pooled(plan: Plan, x: Tensor, axes: tuple[geometry.Axis, geometry.Axis], mean: bool) -> Tensor:
    rows, columns = axes
    y = plan.tensor(rows.after, columns.after, x.channels)
    table = geometry.table(
        rows.forward(), columns.forward(), x.columns, columns.kernel, x.channels * LANES, 0
    )
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


def window(
    x: Tensor, y: Tensor, part: Tensor, x_start: tuple[int, int, int] = (0, 0, 0),
    y_start: tuple[int, int, int] = (0, 0, 0), slopes: bool = False,
) -> dict[int, int]:  # fmt: skip
    """Return the fields of a copy from x to y, of a window of ``part``'s size.

    ``x_start`` and ``y_start`` are its first (row, column, channel) in each; with ``slopes`` gradients are
    copied.
    """

    def shift(tensor: Tensor, start: tuple[int, int, int]) -> int:
        row, column, channel = start
        return ((row * tensor.columns + column) * tensor.channels + channel) * LANES

    return {
        f.SRC: x.slope if slopes else x.at, f.DST: y.slope if slopes else y.at,
        f.ROWS: part.rows, f.COLUMNS: part.columns, f.CHANNELS: part.channels,
        f.SRC_SHIFT: shift(x, x_start), f.SRC_CHANNELS: x.channels, f.STRIDE_COLUMNS: x.columns,
        f.SHIFT: shift(y, y_start), f.KERNEL_COLUMNS: y.channels, f.STRIDE_ROWS: y.columns,
    }  # fmt: skip


def copy(
    plan: Plan,
    x: Tensor,
    y: Tensor,
    start: tuple[int, int, int] = (0, 0, 0),
    factor: float = 1.0,
    add: bool = False,
    offset: float = 0.0,
) -> None:
    """Write x times a factor plus ``offset`` to a window of y, or add it there.

    The way back copies y's gradient in the opposite direction.
    """
    numbers = {f.FACTOR: factor}
    plan.emit(f.PLACE, window(x, y, x, y_start=start) | {f.ADD: int(add)}, numbers | {f.OFFSET: offset})

    def back() -> None:
        if x.slope >= 0:
            row = window(y, x, x, x_start=start, slopes=True) | {f.ADD: plan.adds(x)}
            plan.emit(f.PLACE, row, numbers, when="training")

    plan.back.append(back)


def merge(plan: Plan, layer: Any, taken: list[Tensor]) -> Tensor:
    """Add Add, Average or Subtract. Raises `NotCovered` for other merges, and for different shapes."""
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
        copy(plan, tensor, y, factor=factor, add=n > 0)
    return y


def concatenate(plan: Plan, layer: Any, taken: list[Tensor]) -> Tensor:
    """Add Concatenate. Raises `NotCovered` for another axis than the last."""
    x = taken[0]
    if layer.axis not in (-1, 1 if x.flat else 3) or any(t.pixels != x.pixels for t in taken):
        raise NotCovered("Concatenate along another axis than the last")
    y = plan.tensor(x.rows, x.columns, sum(t.channels for t in taken), x.flat)
    channel = 0
    for tensor in taken:
        copy(plan, tensor, y, (0, 0, channel))
        channel += tensor.channels
    return y


def padding(plan: Plan, layer: Any, taken: list[Tensor]) -> Tensor:
    """Add ZeroPadding2D."""
    x, ((top, bottom), (left, right)) = taken[0], layer.padding
    y = plan.tensor(x.rows + top + bottom, x.columns + left + right, x.channels)
    plan.emit(f.CLEAR, {f.DST: y.at, f.SIZE: y.size * LANES})
    copy(plan, x, y, (top, left, 0))
    return y


def rescaling(plan: Plan, layer: Any, taken: list[Tensor]) -> Tensor:
    """Add Rescaling; without a gradient where its input has none."""
    x = taken[0]
    y = plan.tensor(x.rows, x.columns, x.channels, x.flat, slope=x.slope >= 0)
    copy(plan, x, y, factor=layer.scale, offset=layer.offset)
    return y


def _view(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return the same numbers, and the same gradient, in another shape."""
    rows, columns, channels = image(shape)
    return replace(x, rows=rows, columns=columns, channels=channels, flat=len(shape) == 1)


def flatten(plan: Plan, layer: Any, taken: list[Tensor]) -> Tensor:
    """Return a view of the input as a vector; adds no instruction."""
    return _view(taken[0], (taken[0].size,))


def reshape(plan: Plan, layer: Any, taken: list[Tensor]) -> Tensor:
    """Return a view of the input in the target shape; adds no instruction."""
    known = math.prod(n for n in layer.target_shape if n > 0)
    return _view(taken[0], tuple(n if n > 0 else taken[0].size // known for n in layer.target_shape))


def image(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Return a shape as (rows, columns, channels); a vector is one pixel. Raises `NotCovered`."""
    if len(shape) == 1:
        return 1, 1, shape[0]
    if len(shape) == 3:
        return shape[0], shape[1], shape[2]
    raise NotCovered(f"arrays of shape {shape}")


def window_axes(layer: Any, x: Tensor, kernel: tuple[int, int]) -> tuple[geometry.Axis, geometry.Axis]:
    """Return the rows and the columns of a layer's windows. Raises `NotCovered` for windows without room."""
    rows, columns = (
        geometry.Axis.of(
            before, kernel[n], layer.strides[n], getattr(layer, "dilation_rate", (1, 1))[n], layer.padding
        )
        for n, before in enumerate(x.pixels)
    )
    if rows.after < 1 or columns.after < 1:
        raise NotCovered("a window larger than its image")
    return rows, columns
