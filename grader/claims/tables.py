"""Compares the rows of a saved summary with the layers that the code builds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from grader.layers.shapes import Analysis, LayerShape
from grader.records import (
    ActivationLayer,
    ClaimCheck,
    InputLayer,
    Layer,
    SavedSummary,
    SummaryRow,
    UnsupportedLayer,
)

# Further names of a layer's type in summaries of any Keras.
_ALSO = {
    "Conv2D": ("Convolution2D", "AtrousConvolution2D"),
    "Conv2DTranspose": ("Convolution2DTranspose", "Deconvolution2D", "Deconv2D"),
    "SeparableConv2D": ("SeparableConvolution2D",),
    "BatchNormalization": ("BatchNormalizationV1", "BatchNormalizationV2", "SyncBatchNormalization"),
    "MaxPooling2D": ("MaxPool2D",),
    "AveragePooling2D": ("AvgPool2D",),
    "GlobalMaxPooling2D": ("GlobalMaxPool2D",),
    "GlobalAveragePooling2D": ("GlobalAvgPool2D",),
    "Activation": ("Softmax", "ReLU"),
    "ReLU": ("Activation",),
    "Concatenate": ("Merge",),
    "Add": ("Merge",),
}
_NESTED = ("Model", "Sequential", "Functional")


def compare(summary: SavedSummary, analysis: Analysis) -> Iterator[ClaimCheck]:
    """Yield one check where the saved table is whole and shows layers that can be compared."""
    rows = [row for row in summary.rows if row.kind != "InputLayer"]
    layers = [x for x in analysis.layers if not isinstance(x.layer, InputLayer)]
    if not rows or not summary.complete or any(row.kind in _NESTED for row in rows):
        return
    claim = f"the saved summary lists {len(rows)} layers"
    differing = _differing(rows, layers)
    if not differing:
        yield ClaimCheck(claim=claim, found="the code builds the same layers", agrees=True)
        return
    row, layer = differing[0]
    more = f"; {len(differing) - 1} more differ" if len(differing) > 1 else ""
    yield ClaimCheck(
        claim=f"{claim}, among them {_row(row)}" if row else claim,
        found=f"the code builds {len(layers)}, "
        + (f"there {_layer(layer)}" if layer else "not that one")
        + more,
        agrees=False,
    )


Pair = tuple[SummaryRow | None, LayerShape | None]


def _differing(rows: Sequence[SummaryRow], layers: Sequence[LayerShape]) -> list[Pair]:
    """Return pairs that are not the same layer; none where branches are only listed in another order."""
    if len(rows) == len(layers):
        pairs: list[Pair] = [(a, b) for a, b in zip(rows, layers, strict=True) if not _same(a, b)]
        if not pairs or _in_any_order([a for a, _ in pairs if a], [b for _, b in pairs if b]):
            return []
        return pairs
    longer = max(len(rows), len(layers))
    filled_rows = [*rows, *[None] * (longer - len(rows))]
    filled = [*layers, *[None] * (longer - len(layers))]
    return [(a, b) for a, b in zip(filled_rows, filled, strict=True) if not (a and b and _same(a, b))]


def _in_any_order(rows: Sequence[SummaryRow], layers: Sequence[LayerShape]) -> bool:
    branched = max(Counter(name for x in layers for name in x.layer.inbound).values(), default=0) > 1
    merged = any(len(x.layer.inbound) > 1 for x in layers)
    if not branched and not merged:
        return False
    left = list(layers)
    for row in rows:
        found = next((x for x in left if _same(row, x)), None)
        if found is None:
            return False
        left.remove(found)
    return not left


def _same(row: SummaryRow, layer: LayerShape) -> bool:
    """Whether a row fits a layer; a value that one side does not know makes no difference."""
    if not _same_kind(row.kind, layer.layer):
        return False
    if row.parameters is not None and layer.parameters not in (None, row.parameters):
        return False
    return row.shape is None or layer.output is None or _same_shape(row.shape, layer.output)


def _same_kind(kind: str, layer: Layer) -> bool:
    """Whether ``kind``, which may be cut short (`Batch`), names the layer's type in any Keras."""
    if isinstance(layer, UnsupportedLayer) or not kind:
        return True
    names = (layer.type, *_ALSO.get(layer.type, ()))
    if isinstance(layer, ActivationLayer):
        names = (*names, layer.activation)
    return any(name.startswith(kind) for name in names)


def _same_shape(claimed: Sequence[int | None], output: Sequence[int]) -> bool:
    """Whether two shapes are the same in either order of the axes: Theano's has the channels first."""
    turned = [output[-1], *output[:-1]] if output else []
    return any(
        len(claimed) == len(sizes) and all(a in (None, b) for a, b in zip(claimed, sizes, strict=True))
        for sizes in (list(output), turned)
    )


def _row(row: SummaryRow) -> str:
    shape = "" if row.shape is None else "×".join("?" if n is None else str(n) for n in row.shape)
    return _described(row.name, shape, row.parameters)


def _layer(shape: LayerShape) -> str:
    return _described(shape.layer.name, "×".join(map(str, shape.output or ())), shape.parameters)


def _described(name: str, shape: str, parameters: int | None) -> str:
    held = "" if parameters is None else f"{parameters:,} parameters"
    return f"{name} ({', '.join(part for part in (shape, held) if part)})"
