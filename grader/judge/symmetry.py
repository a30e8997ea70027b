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
from grader.layers import kinds
from grader.layers.shapes import Analysis


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
        case r.Flatten():  # a map of one pixel, or a Dense layer behind, which prefers no position
            return before is not None and (prod(before[:-1]) == 1 or shapes[layer.name] != _last(shapes))
        case r.Reshape():  # a flat image into its rows
            return before == (prod(image),) and layer.target_shape in (image, (*image[:2], -1))
    return kinds.of(layer).alike(layer)


def _last(shapes: dict[str, tuple[int, ...] | None]) -> tuple[int, ...] | None:
    """Return the shape of the class scores; layers come in the order of the graph."""
    return list(shapes.values())[-1]


def _alike(pair: tuple[object, ...]) -> bool:
    return pair[0] == pair[1]
