"""Draws symmetries for attempts: renumbered classes, and transposed images where results do not depend on it.

A network learns renumbered classes as well as the original ones, because its initial weights prefer none.
Weights in disguise and tables, which a submission brings along instead of learning, fit the original numbers
alone and fall to chance. Rows and columns are exchanged too where network and recipe treat them alike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from math import prod

from grader import records as r
from grader.layers.shapes import Analysis

_PAIRS = ("kernel_size", "strides", "dilation_rate", "pool_size", "size", "padding", "cropping")
# Layers that treat rows and columns alike if the settings above do; the others are judged by `_is_set_alike`.
_ALIKE = (
    r.InputLayer, r.Conv2D, r.Conv2DTranspose, r.DepthwiseConv2D, r.SeparableConv2D, r.Dense,
    r.LayerNormalization, r.Dropout, r.SpatialDropout2D, r.GaussianDropout, r.AlphaDropout, r.GaussianNoise,
    r.ActivationLayer, r.ReLU, r.LeakyReLU, r.ELU, r.MaxPooling2D, r.AveragePooling2D, r.GlobalMaxPooling2D,
    r.GlobalAveragePooling2D, r.ZeroPadding2D, r.Cropping2D, r.UpSampling2D, r.Flatten, r.Rescaling, r.Merge,
    r.RandomContrast, r.RandomBrightness,
)  # fmt: skip


def drawn(seed: int, classes: int, transposable: bool) -> r.Symmetry:
    """Draw the symmetry of the attempt with this seed: no class keeps its number.

    The seed draws an order of the classes; each class takes the number of the next one.
    """
    order = sorted(range(classes), key=lambda c: _draw(seed, f"class {c}"))
    numbers = {c: order[(place + 1) % classes] for place, c in enumerate(order)}
    transposed = transposable and _draw(seed, "transposed")[0] % 2 == 1
    return r.Symmetry(classes=tuple(numbers[c] for c in range(classes)), transposed=transposed)


def _draw(seed: int, what: str) -> bytes:
    return hashlib.sha256(f"{seed} {what}".encode()).digest()


def is_transposable(
    network: r.ModelDescription,
    analysis: Analysis,
    recipe: Sequence[r.TrainingRecipe],
    image: tuple[int, int, int],
) -> bool:
    """Whether training on transposed images gives the same distribution of results.

    ``image`` is (rows, columns, channels) of the data set's images.
    """
    shapes = {x.layer.name: x.output for x in analysis.layers}
    return (
        image[0] == image[1]
        and all(_prepares_alike(fit) for fit in recipe)
        and all(_treats_alike(layer, shapes, image) for layer in network.layers)
    )


def _prepares_alike(fit: r.TrainingRecipe) -> bool:
    geometry, scaling, change = fit.geometry, fit.scaling, fit.augmentation
    return (
        (geometry.resized is None or _alike(geometry.resized))
        and _alike(geometry.padding)
        and not scaling.pixel_scale
        and scaling.per_image not in ("unit_columns", "unit_rows")
        and (
            change is None
            or (
                change.width_shift_range == change.height_shift_range
                and change.horizontal_flip == change.vertical_flip
                and not change.shear_range
            )
        )
    )


def _treats_alike(
    layer: r.Layer, shapes: dict[str, tuple[int, ...] | None], image: tuple[int, int, int]
) -> bool:
    """Whether a layer treats rows and columns alike; False for a layer that nothing is known of."""
    before = shapes[layer.inbound[0]] if layer.inbound else None
    match layer:
        case r.InputLayer():  # a flat image is only put in another order; a sequence of rows is not
            return len(layer.shape) == 1 or (len(layer.shape) == 3 and _alike(layer.shape[:2]))
        case r.Flatten():  # a map of one pixel, or a Dense layer behind, which prefers no position
            return before is not None and (prod(before[:-1]) == 1 or shapes[layer.name] != _last(shapes))
        case r.Reshape():  # a flat image into its rows
            return before == (prod(image),) and layer.target_shape in (image, (*image[:2], -1))
    if isinstance(layer, _ALIKE):
        pairs = (getattr(layer, name, None) for name in _PAIRS)
        return all(_alike(pair) for pair in pairs if isinstance(pair, tuple))
    return _is_set_alike(layer)


def _is_set_alike(layer: r.Layer) -> bool:
    """Whether the layer's own settings treat rows and columns alike."""
    match layer:
        case r.BatchNormalization() | r.Concatenate():
            return layer.axis in (-1, 3)
        case r.PReLU():
            return (1 in layer.shared_axes) == (2 in layer.shared_axes)
        case r.Normalization():
            return max(len(layer.mean), len(layer.variance)) == 1
        case r.Resizing() | r.CenterCrop():
            return layer.height == layer.width
        case r.RandomFlip():
            return layer.mode == "horizontal_and_vertical"
        case r.RandomRotation():
            return layer.factor[0] == -layer.factor[1]
        case r.RandomTranslation():
            return layer.height_factor == layer.width_factor
        case r.RandomZoom():
            return layer.width_factor in (None, layer.height_factor)
    return False


def _last(shapes: dict[str, tuple[int, ...] | None]) -> tuple[int, ...] | None:
    """Return the shape of the class scores; layers come in the order of the graph."""
    return list(shapes.values())[-1]


def _alike(pair: tuple[object, ...]) -> bool:
    return pair[0] == pair[1]
