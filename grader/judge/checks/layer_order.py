"""Checks the order of layers along the graph."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import model_validator

from grader import records as r
from grader.judge.checks.interface import BaseCriterion, Finding, Subject, known_types, named, unseen

CONVOLUTIONS = (r.Conv2D, r.SeparableConv2D, r.DepthwiseConv2D, r.Conv2DTranspose)
NON_LINEAR = (r.ReLU, r.LeakyReLU, r.ELU, r.PReLU)


class LayerOrder(BaseCriterion):
    """Two rules.

    ``no_activation_before_softmax``: nothing non-linear between the last convolution or Dense
    layer and the softmax, the last layer's own activation included.
    ``followed_by``: behind every hidden convolution, and before the next one, comes a ``layer``.
    """

    kind: Literal["layer_order"] = "layer_order"
    rule: Literal["no_activation_before_softmax", "followed_by"]
    layer: str = "BatchNormalization"
    except_1x1: bool = False

    @model_validator(mode="after")
    def _known(self) -> LayerOrder:
        known_types((self.layer,))
        return self


def check(criterion: LayerOrder, subject: Subject) -> Finding:
    """Judge by the criterion's rule; unknown where the network has unsupported layers."""
    if subject.network.unsupported:
        return Finding("unknown", f"the order cannot be judged: {unseen(subject)}")
    if criterion.rule == "followed_by":
        return _followed_by(criterion, subject.network)
    return activation_before_softmax(subject)


def activation_before_softmax(subject: Subject) -> Finding:
    """Judge by `no_activation_before_softmax`, for a network without unsupported layers."""
    logits = bool(subject.recipe) and subject.recipe[-1].loss.from_logits
    return _no_activation(subject.network, logits)


# --- followed_by --------------------------------------------------------------------------------


def _followed_by(criterion: LayerOrder, network: r.ModelDescription) -> Finding:
    hidden = _hidden_convolutions(network, criterion.except_1x1)
    bare = bare_convolutions(network, criterion.layer, criterion.except_1x1)
    if not bare:
        return Finding("pass", f"{criterion.layer} follows each of {len(hidden)} hidden convolutions")
    evidence = tuple(r.Evidence(text=f"no {criterion.layer} behind {x.name}", layer=x.name) for x in bare)
    return Finding(
        "fail",
        f"no {criterion.layer} behind {named(bare)}",
        f"Add {criterion.layer} after {named(bare)}.",
        evidence,
    )


def bare_convolutions(
    network: r.ModelDescription, wanted: str, except_1x1: bool = False
) -> list[r.ConvolutionLayer]:
    """Return the hidden convolutions without a ``wanted`` layer before the next convolution."""
    return [x for x in _hidden_convolutions(network, except_1x1) if not _follows(network, x, wanted)]


def _hidden_convolutions(network: r.ModelDescription, except_1x1: bool) -> list[r.ConvolutionLayer]:
    return [
        x for x in network.layers
        if isinstance(x, CONVOLUTIONS) and _meets(network, x, (*CONVOLUTIONS, r.Dense))
        and not (except_1x1 and x.kernel_size == (1, 1))
    ]  # fmt: skip


def _successors(network: r.ModelDescription, name: str) -> Iterator[r.Layer]:
    return (x for x in network.layers if name in x.inbound)


def _meets(network: r.ModelDescription, start: r.BaseLayer, kinds: tuple[type, ...]) -> bool:
    """Whether a layer of these ``kinds`` lies anywhere behind ``start``."""
    ahead, seen = list(_successors(network, start.name)), set()
    while ahead:
        layer = ahead.pop()
        if isinstance(layer, kinds):
            return True
        if layer.name not in seen:
            seen.add(layer.name)
            ahead += _successors(network, layer.name)
    return False


def _follows(network: r.ModelDescription, start: r.BaseLayer, wanted: str) -> bool:
    """Whether every path from ``start`` meets a ``wanted`` layer before the next convolution."""
    paths = list(_successors(network, start.name))
    seen: set[str] = set()
    while paths:
        layer = paths.pop()
        if layer.type == wanted or layer.name in seen:
            continue
        behind = list(_successors(network, layer.name))
        if isinstance(layer, (*CONVOLUTIONS, r.Dense)) or not behind:
            return False
        seen.add(layer.name)
        paths += behind
    return True


# --- no_activation_before_softmax ---------------------------------------------------------------


def _no_activation(network: r.ModelDescription, logits: bool) -> Finding:
    """Walk back from the output to the layer that computes the class scores."""
    layers = {x.name: x for x in network.layers}
    layer = layers[network.outputs[0]]
    softmax: r.Layer | None = None
    between: list[r.Layer] = []
    while not isinstance(layer, r.InputLayer):
        own = getattr(layer, "activation", "linear")
        if isinstance(layer, (*CONVOLUTIONS, r.Dense)):
            return _judged(layer, own, softmax, between, logits)
        if isinstance(layer, r.ActivationLayer) and own == "softmax" and softmax is None:
            softmax = layer
        elif isinstance(layer, NON_LINEAR) or own not in ("linear", "softmax"):
            between.append(layer)
        if len(layer.inbound) != 1:
            return Finding("unknown", f"the class scores come together from several layers in {layer.name}")
        layer = layers[layer.inbound[0]]
    return Finding("fail", "no convolution or Dense layer in front of the output", "")


def _judged(
    scores: r.Layer, own: str, softmax: r.Layer | None, between: list[r.Layer], logits: bool
) -> Finding:
    """Judge the layer that computes the scores, and the non-linear layers ``between`` it and the softmax.

    ``own`` is its activation; with ``logits`` the loss applies the softmax (`from_logits=True`).
    """
    if own == "softmax":
        return Finding("pass", f"{scores.name} puts out softmax itself")
    if softmax is None and not logits:
        return Finding("fail", "the network ends without a softmax", "Add Activation('softmax').")
    if own != "linear":
        between = [scores, *between]
    if between:
        evidence = tuple(r.Evidence(text=f"{x.name} is non-linear", layer=x.name) for x in between)
        return Finding(
            "fail",
            f"an activation comes before the softmax: {named(between)}",
            f"Remove the activation of {named(between)}: it cuts off the class scores below zero.",
            evidence,
        )
    end = softmax.name if softmax is not None else "the loss, which applies the softmax itself"
    return Finding("pass", f"no activation between {scores.name} and {end}")
