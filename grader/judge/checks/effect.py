"""Finds layers without effect: layers that no class score depends on, or that change nothing.

A layer that a rubric requires and a student does not want is easily put where it does nothing: with a rate of
0, or in a branch that is multiplied by 0. Constants are followed through the graph, by the records alone.
Where the network was retrained, experiments on the trained network (`grader.train.effects`) show more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from grader import records as r
from grader.layers.shapes import Analysis

Value = Literal["zero", "constant", "varies"]
"""The output of a layer: zeros for every image, other constants for every image, or different for each."""

NEGLIGIBLE = 0.005  # a rate of dropout below this; the smallest that notebooks of the course use is 0.01
_KERNELS = ("kernel_initializer", "depthwise_initializer", "pointwise_initializer", "gamma_initializer")
_KEEPING_ZERO = ("linear", "relu", "relu6", "leaky_relu", "elu", "selu", "gelu", "silu", "tanh", "softsign")


def idle(
    network: r.ModelDescription, analysis: Analysis, runs: Sequence[r.TrainingRun] = ()
) -> Mapping[str, str]:
    """Map the name of each layer that does nothing to the reason.

    In the ``analysis`` a layer is trainable if any fit trains it. All ``runs`` with measured effects have to
    agree.
    """
    return {**_measured(network, runs), **_by_records(network, analysis)}


def _measured(network: r.ModelDescription, runs: Sequence[r.TrainingRun]) -> dict[str, str]:
    """Reasons by experiments on the trained networks."""
    found = [run.effects for run in runs if run.effects is not None]
    if not found:
        return {}
    idle = set.intersection(*(set(effects.idle) for effects in found))
    images = f"other weights change none of {found[0].images:,} answers of the trained network"
    reasons = {layer.name: images for place, layer in enumerate(network.layers) if place in idle}
    if not any(effects.random for effects in found):
        same = "the trained network has the same loss whatever is dropped"
        reasons |= {layer.name: same for layer in network.layers if isinstance(layer, r.DropoutLayer)}
    return reasons


def _by_records(network: r.ModelDescription, analysis: Analysis) -> dict[str, str]:
    layers = [x.layer for x in analysis.layers]
    values: dict[str, Value] = {}
    for layer in layers:
        values[layer.name] = _value(layer, [values[name] for name in layer.inbound])
    used = _used(layers, values, network.outputs)
    found: dict[str, str] = {}
    for layer in layers:
        if why := _own_reason(layer):
            found[layer.name] = why
        elif layer.name not in used:
            found[layer.name] = "the class scores do not depend on it"
    return found


def _own_reason(layer: r.Layer) -> str:
    if isinstance(layer, r.DropoutLayer) and layer.rate < NEGLIGIBLE:
        return f"its rate is {layer.rate:g}"
    if isinstance(layer, r.GaussianNoise) and not layer.stddev:
        return "its deviation is 0"
    if isinstance(layer, r.BatchNormalization) and not layer.trainable:
        return "it is frozen in every fit, and so normalizes nothing"
    return ""


def _used(layers: list[r.Layer], values: Mapping[str, Value], outputs: tuple[str, ...]) -> set[str]:
    """Return the layers from which something that varies reaches the scores."""
    used = {name for name in outputs if values[name] == "varies"}
    for layer in reversed(layers):
        if layer.name in used:
            used.update(name for name in layer.inbound if values[name] == "varies")
    return used


def _value(layer: r.Layer, given: list[Value]) -> Value:
    if _puts_out_zero(layer, given):
        return "zero"
    if isinstance(layer, r.InputLayer) or ("varies" in given and not _is_blind(layer)):
        return "varies"
    return "zero" if set(given) == {"zero"} and _keeps_zero(layer) else "constant"


def _puts_out_zero(layer: r.Layer, given: list[Value]) -> bool:
    match layer:
        case r.Merge(type="Multiply"):
            return "zero" in given
        case r.Merge(type="Subtract"):
            return layer.inbound[0] == layer.inbound[1]
        case r.Rescaling():
            return not layer.scale and not layer.offset
        case r.ReLU():
            return layer.max_value == 0
    return False


def _is_blind(layer: r.Layer) -> bool:
    """Whether the output is the same for every input: a scale of 0, or frozen weights that are all zeros."""
    if isinstance(layer, r.Rescaling):
        return not layer.scale
    kernels = [getattr(layer, name) for name in _KERNELS if hasattr(layer, name)]
    zeros = any(isinstance(kernel, r.Constant) and not kernel.value for kernel in kernels)
    return zeros and not layer.trainable


def _keeps_zero(layer: r.Layer) -> bool:
    return getattr(layer, "activation", "linear") in _KEEPING_ZERO and not any(
        hasattr(layer, name) for name in ("use_bias", "center", "offset", "mean")
    )
