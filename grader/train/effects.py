"""Which layers of a trained network do something, by experiment.

The weights of a layer are changed a lot, and correct images are counted again: where the count stays the
same, the class scores do not depend on these weights. Layers that drop at random have no weights. Whether any
of them matters shows in two passes over the same batches at a learning rate of 0: where nothing that counts
is dropped, the loss is the same both times.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from grader import records as r

CHANGED_BY = 3.0  # times the size of a layer's own weights
TRIES = 2  # with other weights, before a layer counts as idle
SAME = 1  # image more or less right, which rounding can make of a tie
ALIVE = 0.5  # of the images right: a network that has learned less shows nothing of its layers
SAME_LOSS = 1e-5  # rounding makes 1e-7; the smallest rates that students use, in a trained network, 1e-3


class Trained(Protocol):
    """A trained network on which experiments are made."""

    def owners(self) -> Sequence[int]:
        """Return for each weight, in Keras's order, the place of the layer that holds it."""

    def get(self) -> list[Any]:
        """Return all weights, in Keras's order."""

    def set(self, weights: Sequence[Any]) -> None:
        """Give the network these weights, in the order of `get`."""

    def correct(self) -> tuple[int, int]:
        """Count images that are right without Dropout, of how many; always the same images."""

    def loss(self) -> float:
        """Return the mean loss of some batches with Dropout, at a rate of 0; always the same batches."""


def measure(network: r.ModelDescription, trained: Trained, seed: int) -> r.Effects | None:
    """Return the layers whose weights change nothing; None where the network has learned too little."""
    before, images = trained.correct()
    if before < ALIVE * images:
        return None
    weights, random = trained.get(), np.random.default_rng(seed)
    idle = []
    for layer, chosen in _multiplying(network, trained.owners()):
        for _ in range(TRIES):
            trained.set([_changed(w, random) if n == chosen else w for n, w in enumerate(weights)])
            if abs(trained.correct()[0] - before) > SAME:
                break
        else:
            idle.append(layer)
    trained.set(weights)
    drops = _is_random(trained)
    trained.set(weights)  # moving averages have moved, too
    return r.Effects(idle=tuple(idle), random=drops, images=images)


def _multiplying(network: r.ModelDescription, owners: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield the places of layers with weights, and of the weight that multiplies each layer's input."""
    for place, layer in enumerate(network.layers):
        own = [n for n, owner in enumerate(owners) if owner == place]
        if own:  # a BatchNormalization without a gamma divides by its moving variance, the last one
            scaled = not isinstance(layer, r.BatchNormalization) or layer.scale
            yield place, own[0] if scaled else own[-1]


def _changed(weight: Any, random: np.random.Generator) -> Any:
    values = np.asarray(weight, np.float32)
    size = max(float(values.std()), float(np.abs(values).mean()), 0.1)
    return np.abs(values + random.normal(0.0, CHANGED_BY * size, values.shape)).astype(np.float32)


def _is_random(trained: Trained) -> bool:
    one, other = trained.loss(), trained.loss()
    return abs(one - other) > SAME_LOSS * max(1.0, abs(one))
