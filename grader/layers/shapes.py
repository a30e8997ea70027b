"""Output shapes, parameter counts and receptive fields, from the records alone.

Pure Python: a student's claim about a shape or a count is never used. Every number here agrees
with Keras for every supported layer (`tests/layers` holds them against each other).
Shapes leave out the batch axis. A layer outside the vocabulary has no shape, and neither has
anything that depends on it: `None` means "not known", never zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from grader.layers import kinds
from grader.layers.base import Shape, misfit
from grader.layers.core import InputLayer
from grader.layers.network import Layer, ModelDescription, UnsupportedLayer
from grader.layers.receptive_field import ReceptiveField, widest

LARGEST = 10**12  # no network that a course could mean has a shape, count or field beyond this


@dataclass(frozen=True)
class LayerShape:
    """What one layer puts out; all None behind an `UnsupportedLayer`."""

    layer: Layer
    output: Shape | None
    weights: int | None  # parameters that an optimizer may change
    statistics: int | None  # parameters that no optimizer changes: moving averages
    field: ReceptiveField | None

    @property
    def trainable(self) -> int | None:
        """The parameters that train: the weights, or 0 where the layer is frozen."""
        return self.weights if self.layer.trainable else 0

    @property
    def parameters(self) -> int | None:
        """All parameters, weights and statistics."""
        if self.weights is None or self.statistics is None:
            return None
        return self.weights + self.statistics

    @property
    def multiplications(self) -> int:
        """About how many one image costs: each weight once per position of the output; 0 if unknown."""
        positions = prod(self.output[:-1]) if self.output else 0
        return (self.weights or 0) * positions

    @property
    def activations(self) -> int:
        """The values that one image gives; 0 if unknown."""
        return prod(self.output) if self.output else 0


@dataclass(frozen=True)
class Analysis:
    """The whole network, layer by layer; totals are None when some layer is unsupported."""

    layers: tuple[LayerShape, ...]

    @property
    def total(self) -> int | None:
        """All parameters of the network."""
        return _sum([x.parameters for x in self.layers])

    @property
    def trainable(self) -> int | None:
        """The parameters that train."""
        counts = [x.trainable if x.parameters is not None else None for x in self.layers]
        return _sum(counts)

    @property
    def non_trainable(self) -> int | None:
        """The parameters of frozen layers, and the statistics of all."""
        if self.total is None or self.trainable is None:
            return None
        return self.total - self.trainable

    def of(self, name: str) -> LayerShape:
        """Return the shape of the layer called ``name``."""
        return next(x for x in self.layers if x.layer.name == name)


def _sum(counts: list[int | None]) -> int | None:
    known = [n for n in counts if n is not None]
    return sum(known) if len(known) == len(counts) else None


def analyse(network: ModelDescription, reported: bool = False) -> Analysis:
    """Compute every layer's output shape, parameter count and receptive field.

    With ``reported``, layers outside the vocabulary have the shape and parameters that they report.
    Raises `StudentError`, naming the layer, where the layers do not fit together.
    """
    done: dict[str, LayerShape] = {}
    for layer in network.layers:
        done[layer.name] = _analyse_layer(layer, [done[name] for name in layer.inbound], reported)
    return Analysis(tuple(done.values()))


def _analyse_layer(layer: Layer, inbound: list[LayerShape], reported: bool) -> LayerShape:
    if isinstance(layer, InputLayer):
        return LayerShape(layer, layer.shape, 0, 0, ReceptiveField())
    if reported and isinstance(layer, UnsupportedLayer) and layer.reported is not None:
        own = layer.reported
        field = inbound[0].field or ReceptiveField()
        return LayerShape(layer, own.shape, own.trainable, own.non_trainable, field)
    shapes = [x.output for x in inbound if x.output is not None]
    if isinstance(layer, UnsupportedLayer) or len(shapes) < len(inbound):
        return LayerShape(layer, None, None, None, None)
    output, weights, statistics = kinds.of(layer).rule(layer, shapes)
    if max(*output, weights, 1) > LARGEST:
        misfit(layer, shapes, f"it gives numbers beyond {LARGEST:,}")
    if any(n < 1 for n in output):
        misfit(layer, shapes, "nothing is left of it")
    before = widest([x.field or ReceptiveField() for x in inbound])
    field = kinds.of(layer).sees(layer, before, shapes[0])
    if max(*field.size, *field.step) > LARGEST:
        misfit(layer, shapes, f"its receptive field grows beyond {LARGEST:,}")
    return LayerShape(layer, output, weights, statistics, field)
