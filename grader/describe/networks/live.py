"""Graphs of live Keras models, walked through Keras's own attributes."""

from __future__ import annotations

import inspect
import math
from typing import Any

import numpy as np

from grader import records as r
from grader.describe.networks.graph import Graph, Node, inlined, input_node, operation_node, unique
from grader.describe.world import originals
from grader.describe.world.compat.layers import GONE
from grader.errors import StudentsCode
from grader.layers import kinds


def of_model(model: Any) -> Graph:
    """Return the graph of a built Keras model; a subclassed model is one unsupported layer."""
    functional = getattr(model, "_functional", None) or model
    if hasattr(functional, "_nodes_by_depth"):
        return unique(_of_functional(functional))
    layers = list(getattr(model, "layers", []))
    if type(model) is originals.SEQUENTIAL and layers:
        return unique(_of_chain(model, layers))
    return unique(as_one_layer(model, model.name, r.because("subclassed")))


def as_one_layer(model: Any, name: str, refusal: r.Reason) -> Graph:
    """Return a model whose layers cannot be listed as one unsupported layer behind an input."""
    shape = _input_shape(model)
    whole = Node(name, type(model).__name__, {}, ["input"], _not_here(model) or refusal)
    whole.reported = _reported(model, (None, *shape))
    return Graph([input_node("input", shape), whole], ["input"], [name])


def _input_shape(model: Any) -> tuple[int | None, ...]:
    """Return the input shape, without batch axis, on which Keras remembers a subclassed model's call."""
    built = getattr(model, "_build_shapes_dict", None) or {}
    called = next(iter(built.values()), None) if isinstance(built, dict) else None
    known = called or getattr(model, "input_shape", None)
    return tuple(known)[1:] if isinstance(known, list | tuple) and len(known) > 1 else (1,)


def _of_chain(model: Any, layers: list[Any]) -> Graph:
    """Return the graph of a Sequential that Keras cannot call symbolically, for a layer not Keras's."""
    graph = Graph()
    if _is_input(layers[0]):
        layers = layers[1:]
    shape = getattr(model, "_build_input_shape", None) or getattr(model, "input_shape", None)
    graph.nodes.append(input_node("input", tuple(shape or (None, 1))[1:]))
    given = (None, *graph.nodes[0].config["batch_shape"][1:])
    for layer in layers:
        graph.nodes.append(_live_node(layer, layer.name, [graph.nodes[-1].name]))
        graph.nodes[-1].reported = reported = _reported(layer, given)
        given = (None, *reported.shape) if reported is not None else ()
    graph.inputs, graph.outputs = ["input"], [graph.nodes[-1].name]
    return graph


def _of_functional(model: Any) -> Graph:
    """Return a graph's nodes by depth, as Keras lists them: deepest (nearest to the inputs) first."""
    graph = Graph()
    names: dict[int, str] = {}  # id of a Keras tensor -> name of the node that made it
    calls: dict[int, int] = {}
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            _add_live(graph, node, names, calls)
    graph.inputs = [names[id(t)] for t in model.inputs]
    graph.outputs = [names[id(t)] for t in model.outputs]
    return graph


def _add_live(graph: Graph, node: Any, names: dict[int, str], calls: dict[int, int]) -> None:
    layer = node.operation
    count = calls[id(layer)] = calls.get(id(layer), 0) + 1
    name = layer.name if count == 1 else f"{layer.name}:{count}"
    inbound = [names[id(t)] for t in node.input_tensors]
    if _is_model(layer) and count == 1 and len(inbound) == 1 and len(node.outputs) == 1:
        inner = inlined(of_model(layer), name, inbound[0])
        if inner is not None:
            graph.nodes.extend(inner.nodes)
            names[id(node.outputs[0])] = inner.outputs[0]
            return
    added = _live_node(layer, name, inbound)
    added.reported = _reported(
        layer, output=getattr(node.outputs[0], "shape", None) if node.outputs else None
    )
    if count > 1:
        added.refusal = added.refusal or r.because("applied_twice")
    if node.arguments.kwargs.get("training") is True and not _trains_by_default(layer):
        added.refusal = added.refusal or r.because("training_true")
    if len(node.outputs) != 1:
        added.refusal = added.refusal or r.because("several_outputs")
    graph.nodes.append(added)
    for tensor in node.outputs:
        names[id(tensor)] = name


def _reported(
    layer: Any, given: tuple[Any, ...] = (), output: tuple[Any, ...] | None = None
) -> r.Reported | None:
    """Return what a layer reports of its output shape and its parameters; None if it fails to."""
    if _not_here(layer):
        return None  # a stand-in has other parameters
    with StudentsCode():
        shape = output or _output_shape(layer, given)
        count = [sum(math.prod(w.shape) for w in of) for of in (layer.trainable_weights, layer.weights)]
        return r.Reported(
            shape=tuple(int(n) for n in shape[1:]), trainable=count[0], non_trainable=count[1] - count[0]
        )
    return None


def _not_here(layer: Any) -> r.Reason | None:
    """Return why a layer, or one within it, is not the one that the submission means; None if it is."""
    within = getattr(layer, "_flatten_layers", None)
    for part in within() if callable(within) else (layer,):
        if type(part) in GONE:
            return r.because("gone_layer", GONE[type(part)])
        if lost := getattr(part, "grader_lost", ""):
            return r.because("gone_argument", lost)
    return None


def _output_shape(layer: Any, given: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the layer's output shape, by its own formula or from one input of zeros."""
    try:
        return tuple(layer.compute_output_shape(given))
    except NotImplementedError:
        return tuple(layer(np.zeros((1, *given[1:]), np.float32)).shape)


def _trains_by_default(layer: Any) -> bool:
    """Whether a layer is called with ``training=True`` by default: a model always passes its own."""
    parameter = inspect.signature(layer.call).parameters.get("training")
    return parameter is not None and parameter.default is True


def _is_model(layer: Any) -> bool:
    return hasattr(layer, "layers") and hasattr(layer, "fit")


def _is_input(layer: Any) -> bool:
    return type(layer) is originals.INPUT_LAYER


def _live_node(layer: Any, name: str, inbound: list[str]) -> Node:
    kind = originals.name_of(type(layer)) or type(layer).__name__
    if type(layer) in originals.OPERATIONS:
        return operation_node(kind, getattr(layer, "axis", -1), name, inbound)
    if (lost := _not_here(layer)) is not None:
        return Node(name, kind, {}, inbound, lost)
    if type(layer) not in originals.CLASSES:
        return Node(name, kind, {}, inbound, r.because("own_layer"))
    if kind == "ReversibleEmbedding" or not hasattr(layer, "get_config"):
        return Node(name, kind, {}, inbound, r.because("no_record"))
    with StudentsCode() as call:
        config = dict(layer.get_config())
    if call.error is not None:
        return Node(name, kind, {}, inbound, r.because("settings_unreadable", detail=call.said[:500]))
    if kind == "Normalization" and getattr(layer, "adapt_mean", None) is not None:
        config |= {
            "adapted": True,
            "mean": _numbers(layer.adapt_mean),
            "variance": _numbers(layer.adapt_variance),
        }
    kernel = vars(layer).get("_kernel")
    if kernel is not None and kernel.regularizer is None:
        config["kernel_regularizer"] = None  # a regularizer that is set on a built layer has no effect
    if own := [setting for setting in _FUNCTIONS if _own_function(getattr(layer, setting, None))]:
        return Node(name, kind, config, inbound, r.because("own_function", own[0]))
    if not _built_as_configured(kind, layer, config):
        return Node(name, kind, config, inbound, r.because("other_weights"))
    return Node(name, kind, config, inbound)


def _numbers(value: Any) -> list[float]:
    return [float(v) for v in np.asarray(value).ravel()[:1_001]]


def _built_as_configured(kind: str, layer: Any, config: dict[str, Any]) -> bool:
    """Whether the kernel that Keras made has the size in `get_config`, for layers with such a setting."""
    known, kernel = kinds.CLASSES.get(kind), vars(layer).get("_kernel")
    if known is None or not known.kernel or kernel is None:
        return True
    *window, _, width = kernel.shape
    return window == list(config.get("kernel_size", ())) and width == config.get(known.kernel)


_FUNCTIONS = (
    "activation", "kernel_regularizer", "bias_regularizer", "activity_regularizer", "kernel_initializer",
    "bias_initializer", "depthwise_initializer", "pointwise_initializer",
)  # fmt: skip


def _own_function(value: Any) -> bool:
    """Whether a setting is a student's function: one called `relu` is saved under that name, too."""
    return value is not None and not hasattr(value, "get_config") and originals.name_of(value) is None
