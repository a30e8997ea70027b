"""Graphs of layers -> `ModelDescription`.

Live models (`live`) and saved configurations (`configuration`) are first brought to the same plain form,
a list of `Node`s, so that they are read alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from grader import records as r
from grader.describe.networks import convert
from grader.layers import kinds


@dataclass
class Node:
    """One call of one layer: what Keras calls a node."""

    name: str
    class_name: str
    config: dict[str, Any]
    inbound: list[str]
    refusal: r.Reason | None = None  # why our records cannot hold this call, if they cannot
    reported: r.Reported | None = None  # what a live layer reports of itself


@dataclass
class Graph:
    """The nodes of a network, and the names of those that are its inputs and outputs."""

    nodes: list[Node] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)


class NotAModel(Exception):
    """The configuration holds no network that can be read."""


class TooLarge(NotAModel):
    """The network exceeds a limit of grader's, which the message names."""


class OwnModel(NotAModel):
    """A model class of the student's own, whose layers are not in the configuration."""


def describe(graph: Graph, image_shape: tuple[int, ...] = ()) -> r.ModelDescription:
    """Return the record of a graph, which pydantic checks. Raises `NotAModel`, `TooLarge`.

    An input whose size is left open takes ``image_shape``, if that fits.
    """
    try:
        return _described(graph, image_shape)
    except ValidationError as error:
        if limit := r.exceeded(error):
            raise TooLarge(limit) from None
        raise


def _described(graph: Graph, image_shape: tuple[int, ...]) -> r.ModelDescription:
    first = any(_is_channels_first(n.config) for n in graph.nodes)
    for node in graph.nodes:
        _close_input(node, image_shape)
        # For Flatten, the setting is only the order of the same numbers.
        if first and node.class_name != "Flatten" and node.config.get("data_format") == "channels_last":
            node.refusal = node.refusal or r.because("mixed_channels")
    layers = [_layer(n) for n in graph.nodes]
    if first:
        layers = list(_channels_last(layers))
    inputs = tuple(x.name for x in layers if isinstance(x, r.InputLayer))
    if len(inputs) < len(graph.inputs):
        raise NotAModel("the shape of its input is not fixed")
    return r.ModelDescription(inputs=inputs, layers=tuple(layers), outputs=tuple(graph.outputs))


def _close_input(node: Node, image_shape: tuple[int, ...]) -> None:
    shape = node.config.get("batch_shape") if node.class_name == "InputLayer" else None
    if shape and len(shape) == len(image_shape) + 1 and None in tuple(shape)[1:]:
        closed = [n or size for n, size in zip(tuple(shape)[1:], image_shape, strict=True)]
        node.config["batch_shape"] = [None, *closed]


def _is_channels_first(config: dict[str, Any]) -> bool:
    return config.get("data_format") == "channels_first" or config.get("dim_ordering") == "th"


def _layer(node: Node) -> r.Layer:
    if node.refusal is not None:
        return r.UnsupportedLayer(
            name=node.name, inbound=tuple(node.inbound), class_name=node.class_name[:200],
            reason=node.refusal, reported=node.reported,
        )  # fmt: skip
    layer = convert.layer_record(node.class_name, node.config, node.name, tuple(node.inbound))
    if isinstance(layer, r.UnsupportedLayer):
        return layer.model_copy(update={"reported": node.reported})
    return layer


def _channels_last(layers: Iterable[r.Layer]) -> Iterator[r.Layer]:
    """Yield the layers with channels last: Theano's ordering is the same network on other axes."""
    ranks: dict[str, int] = {}
    for layer in layers:
        kind = kinds.of(layer)
        rank = ranks.get(layer.inbound[0], 1) if layer.inbound else 0
        moved = kind.channels_last(layer, rank)
        ranks[layer.name] = kind.rank(moved, rank)
        yield moved


def input_node(name: str, shape: Iterable[int | None]) -> Node:
    """Return the node of an input of ``shape`` without the batch axis, None where a size is open."""
    return Node(name, "InputLayer", {"batch_shape": [None, *shape]}, [])


def inlined(inner: Graph, prefix: str, source: str) -> Graph | None:
    """Return a model used as a layer as its own layers behind ``source``; None for several ends."""
    if len(inner.inputs) != 1 or len(inner.outputs) != 1:
        return None
    renamed = {n.name: f"{prefix}/{n.name}" for n in inner.nodes} | {inner.inputs[0]: source}
    nodes = [
        replace(n, name=renamed[n.name], inbound=[renamed[i] for i in n.inbound])
        for n in inner.nodes
        if n.name != inner.inputs[0]
    ]
    return Graph(nodes, [source], [renamed[inner.outputs[0]]])


_OPS = {  # operations that Keras puts into a graph for `a + b`, `keras.ops.relu(x)`, …
    "Relu": "relu", "Softmax": "softmax", "Sigmoid": "sigmoid", "Tanh": "tanh", "Elu": "elu",
    "Selu": "selu", "Softplus": "softplus", "Silu": "silu", "LogSoftmax": "log_softmax",
}  # fmt: skip
_MERGES = {"Add", "Subtract", "Multiply", "Maximum", "Minimum"}


def operation_node(kind: str, axis: Any, name: str, inbound: list[str]) -> Node:
    """Return an operation as the layer that does the same; refused where there is none."""
    if kind in _MERGES and len(inbound) == 2:
        return Node(name, kind, {}, inbound)
    if kind in _OPS and len(inbound) == 1 and axis == -1:
        return Node(name, "Activation", {"activation": _OPS[kind]}, inbound)
    return Node(name, f"ops.{kind}", {}, inbound, r.because("operation"))


def unique(graph: Graph) -> Graph:
    """Return the graph. Raises `NotAModel` where two nodes have one name, which Keras allows."""
    seen: set[str] = set()
    for node in graph.nodes:
        if node.name in seen:
            raise NotAModel(f"two layers are called {node.name!r}")
        seen.add(node.name)
    return graph
