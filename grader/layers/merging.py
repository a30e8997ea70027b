"""Layers that take several inputs."""

from __future__ import annotations

from functools import reduce
from typing import Annotated, Literal

from pydantic import Field

from grader.layers.base import (
    BaseLayer,
    Config,
    Kind,
    Numbers,
    Shape,
    always,
    misfit,
    moved_axis,
    over_channels,
    place,
)


class MergingLayer(BaseLayer):
    """A layer that is called on a list."""


class Concatenate(MergingLayer):
    """Inputs joined along ``axis``: -1 for the last; others count the batch axis as 0."""

    type: Literal["Concatenate"] = "Concatenate"
    axis: Annotated[int, Field(ge=-1, le=6)] = -1


class Merge(MergingLayer):
    """Element-wise merges: Keras's Add, Subtract, Multiply, Average, Maximum and Minimum."""

    type: Literal["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"]


def _concatenated(layer: Concatenate, shapes: list[Shape]) -> Numbers:
    axis = place(layer, layer.axis, shapes)
    rests = {(*s[:axis], None, *s[axis + 1 :]) for s in shapes}
    if len(rests) > 1 or len({len(s) for s in shapes}) > 1:
        misfit(layer, shapes, "they differ along another axis than the joined one")
    joined = sum(s[axis] for s in shapes)
    return (*shapes[0][:axis], joined, *shapes[0][axis + 1 :]), 0, 0


def _merged(layer: Merge, shapes: list[Shape]) -> Numbers:
    def broadcast(a: Shape, b: Shape) -> Shape:
        rank = max(len(a), len(b))  # Keras puts axes of size 1 before the shorter shape
        a, b = (1,) * (rank - len(a)) + a, (1,) * (rank - len(b)) + b
        if any(m != n and 1 not in (m, n) for m, n in zip(a, b, strict=True)):
            misfit(layer, shapes, "their shapes differ")
        return tuple(n if m == 1 else m for m, n in zip(a, b, strict=True))

    if len(shapes) < 2 or (layer.type == "Subtract" and len(shapes) != 2):
        misfit(layer, shapes, "it merges two inputs or more (Subtract: exactly two)")
    return reduce(broadcast, shapes), 0, 0


def _read(kind: Kind, class_name: str, config: Config) -> Config:
    return {"type": class_name}


KINDS = (
    Kind(
        record=Concatenate,
        rule=_concatenated,
        old_arguments={"concat_axis": "axis"},
        channels_last=moved_axis,
        alike=over_channels,
    ),
    Kind(record=Merge, rule=_merged, read=_read, alike=always),
)
