"""Layers as reports list them: shape, parameters, and their settings in a few words."""

from __future__ import annotations

from collections.abc import Iterator

from grader import records as r
from grader.layers.shapes import LayerShape


def row(shape: LayerShape) -> r.LayerRow:
    """One row; what could not be computed is None."""
    layer, known = shape.layer, shape.parameters is not None
    return r.LayerRow(
        name=layer.name,
        type=getattr(layer, "class_name", layer.type),
        output_shape=shape.output,
        trainable_parameters=shape.trainable if known else None,
        non_trainable_parameters=(shape.parameters or 0) - (shape.trainable or 0) if known else None,
        receptive_field=shape.field.rounded() if shape.field else None,
        detail=", ".join(_settings(layer)),
        inbound=layer.inbound,
    )


def _settings(layer: r.Layer) -> Iterator[str]:
    """`3×3`, `stride 2`, `same`, `relu`: what differs from the usual, shortest first."""
    for name in ("kernel_size", "pool_size"):
        if size := getattr(layer, name, None):
            yield f"{size[0]}×{size[1]}"
    strides, usual = getattr(layer, "strides", None), getattr(layer, "pool_size", (1, 1))
    if strides and strides != usual:
        yield f"stride {strides[0]}" if strides[0] == strides[1] else f"strides {strides[0]}, {strides[1]}"
    if getattr(layer, "padding", "valid") == "same":
        yield "same"
    if (rate := getattr(layer, "rate", None)) is not None:
        yield f"{rate:g}"
    if (activation := getattr(layer, "activation", "linear")) != "linear":
        yield activation
    if not layer.trainable:
        yield "frozen"
