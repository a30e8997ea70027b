"""Layers as reports list them: shape, parameters, and their settings in a few words."""

from __future__ import annotations

from grader.layers import kinds
from grader.layers.shapes import LayerShape
from grader.record import Record


class LayerRow(Record):
    """A layer as reports list it; shapes without the batch axis, receptive field in pixels.

    ``detail`` is a short form of its settings (``3×3, ReLU``), ``inbound`` the names of its input layers.
    """

    name: str
    type: str
    output_shape: tuple[int, ...] | None
    trainable_parameters: int | None
    non_trainable_parameters: int | None
    receptive_field: tuple[int, int] | None
    detail: str = ""
    inbound: tuple[str, ...] = ()


def row(shape: LayerShape) -> LayerRow:
    """Return the row of a layer; what could not be computed is None."""
    layer, known = shape.layer, shape.parameters is not None
    words = [*kinds.of(layer).words(layer), *(() if layer.trainable else ("frozen",))]
    return LayerRow(
        name=layer.name,
        type=getattr(layer, "class_name", layer.type),
        output_shape=shape.output,
        trainable_parameters=shape.trainable if known else None,
        non_trainable_parameters=(shape.parameters or 0) - (shape.trainable or 0) if known else None,
        receptive_field=shape.field.rounded() if shape.field else None,
        detail=", ".join(words),
        inbound=layer.inbound,
    )
