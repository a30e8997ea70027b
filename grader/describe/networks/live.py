"""The graphs of live Keras models, which are walked through their own attributes: Keras is never imported."""

from __future__ import annotations

import inspect
import math
import sys
from typing import Any

import numpy as np

from grader import records as r
from grader.describe.networks.graph import Graph, Node, inlined, input_node, operation_node, unique
from grader.errors import StudentsCode


def of_model(model: Any) -> Graph:
    """The graph of a built Keras model. A subclassed model is one unsupported layer."""
    functional = getattr(model, "_functional", None) or model
    if hasattr(functional, "_nodes_by_depth"):
        return unique(_of_functional(functional))
    layers = list(getattr(model, "layers", []))
    if type(model).__name__ == "Sequential" and layers:
        return unique(_of_chain(model, layers))
    return unique(as_one_layer(model, model.name, "a subclassed model has no graph of layers"))


def as_one_layer(model: Any, name: str, refusal: str) -> Graph:
    """A model whose layers cannot be listed, as one unsupported layer behind an input."""
    shape = _input_shape(model)
    whole = Node(name, type(model).__name__, {}, ["input"], _not_here(model) or refusal)
    whole.reported = _reported(model, (None, *shape))
    return Graph([input_node("input", shape), whole], ["input"], [name])


def _input_shape(model: Any) -> tuple[int | None, ...]:
    """Of a subclassed model: what it was called on, as far as Keras remembers."""
    built = getattr(model, "_build_shapes_dict", None) or {}
    called = next(iter(built.values()), None) if isinstance(built, dict) else None
    known = called or getattr(model, "input_shape", None)
    return tuple(known)[1:] if isinstance(known, list | tuple) and len(known) > 1 else (1,)


def _of_chain(model: Any, layers: list[Any]) -> Graph:
    """A Sequential that Keras could not call symbolically, because of a layer of the student's."""
    graph = Graph()
    if _is_input(layers[0]):
        layers = layers[1:]
    shape = getattr(model, "_build_input_shape", None) or getattr(model, "input_shape", None)
    graph.nodes.append(input_node("input", tuple(shape or (None, 1))[1:]))
    given = (None, *graph.nodes[0].config["batch_shape"][1:])
    for layer in layers:
        graph.nodes.append(_live_node(layer, layer.name, [graph.nodes[-1].name]))
        graph.nodes[-1].reported = said = _reported(layer, given)
        given = (None, *said.shape) if said is not None else ()
    graph.inputs, graph.outputs = ["input"], [graph.nodes[-1].name]
    return graph


def _of_functional(model: Any) -> Graph:
    """Keras lists nodes by depth, deepest (nearest to the inputs) first."""
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
        added.refusal = added.refusal or "the same layer is applied more than once, sharing its weights"
    if node.arguments.kwargs.get("training") is True and not _trains_by_default(layer):
        added.refusal = added.refusal or "it is called with training=True, so it also acts at validation"
    if len(node.outputs) != 1:
        added.refusal = added.refusal or "it has several outputs"
    graph.nodes.append(added)
    for tensor in node.outputs:
        names[id(tensor)] = name


def _reported(
    layer: Any, given: tuple[Any, ...] = (), output: tuple[Any, ...] | None = None
) -> r.Reported | None:
    """What a layer says of its output shape and its parameters; None if it does not say."""
    if _not_here(layer):
        return None  # what would be counted is a stand-in
    with StudentsCode():
        shape = output or _output_shape(layer, given)
        count = [sum(math.prod(w.shape) for w in of) for of in (layer.trainable_weights, layer.weights)]
        return r.Reported(
            shape=tuple(int(n) for n in shape[1:]), trainable=count[0], non_trainable=count[1] - count[0]
        )
    return None


def _not_here(layer: Any) -> str:
    """Why it, or a layer within it, is not the one that the submission means, if it is not."""
    within = getattr(layer, "_flatten_layers", None)
    for part in within() if callable(within) else (layer,):
        if type(part).__module__.startswith("grader."):
            return f"a layer that {r.NOT_IN_KERAS_3}: {type(part).__name__}"
        if lost := getattr(part, "grader_lost", ""):
            return f"it is given {lost}, which {r.NOT_IN_KERAS_3}"
    return ""


def _output_shape(layer: Any, given: tuple[Any, ...]) -> tuple[Any, ...]:
    """By its own formula, or by what it makes of one input of zeros."""
    try:
        return tuple(layer.compute_output_shape(given))
    except NotImplementedError:
        return tuple(layer(np.zeros((1, *given[1:]), np.float32)).shape)


def _trains_by_default(layer: Any) -> bool:
    """Layers of random changes are called so unless someone says otherwise, and a model always does."""
    parameter = inspect.signature(layer.call).parameters.get("training")
    return parameter is not None and parameter.default is True


def _is_model(layer: Any) -> bool:
    return hasattr(layer, "layers") and hasattr(layer, "fit")


def _is_input(layer: Any) -> bool:
    return type(layer).__name__ == "InputLayer"


def _live_node(layer: Any, name: str, inbound: list[str]) -> Node:
    kind, module = type(layer).__name__, type(layer).__module__
    if module.startswith("keras.src.ops."):
        return operation_node(kind, getattr(layer, "axis", -1), name, inbound)
    if _not_here(layer):
        return Node(name, kind, {}, inbound, _not_here(layer))
    if not module.startswith("keras.") or vars(sys.modules.get(module, object)).get(kind) is not type(layer):
        return Node(name, kind, {}, inbound, "a layer class of the student's own")
    if kind == "ReversibleEmbedding" or not hasattr(layer, "get_config"):
        return Node(name, kind, {}, inbound, "grader has no record for this kind of layer")
    with StudentsCode() as call:
        config = dict(layer.get_config())
    if call.error is not None:
        return Node(name, kind, {}, inbound, f"its settings cannot be read: {call.said}"[:500])
    if kind == "Normalization" and getattr(layer, "adapt_mean", None) is not None:
        config |= {
            "adapted": True,
            "mean": _numbers(layer.adapt_mean),
            "variance": _numbers(layer.adapt_variance),
        }
    kernel = vars(layer).get("_kernel")
    if kernel is not None and kernel.regularizer is None:
        config["kernel_regularizer"] = None  # one that is set on a layer that is built has no effect
    if own := [setting for setting in _FUNCTIONS if _own_function(getattr(layer, setting, None))]:
        return Node(name, kind, config, inbound, f"its {own[0]} is a function of the student's own")
    if not _built_as_configured(kind, layer, config):
        return Node(name, kind, config, inbound, "its weights are not those of its configuration")
    return Node(name, kind, config, inbound)


def _numbers(value: Any) -> list[float]:
    return [float(v) for v in np.asarray(value).ravel()[:1_001]]


def _built_as_configured(kind: str, layer: Any, config: dict[str, Any]) -> bool:
    """Whether the kernel that Keras made has the size that `get_config` tells, for the layers that count."""
    size = {"Dense": "units", "Conv2D": "filters"}.get(kind)
    kernel = vars(layer).get("_kernel")
    if size is None or kernel is None:
        return True
    shape = tuple(kernel.shape)
    window = shape[:2] == tuple(config.get("kernel_size", ())) if kind == "Conv2D" else True
    return window and shape[-1] == config.get(size)


_FUNCTIONS = (
    "activation", "kernel_regularizer", "bias_regularizer", "activity_regularizer", "kernel_initializer",
    "bias_initializer", "depthwise_initializer", "pointwise_initializer",
)  # fmt: skip


def _own_function(value: Any) -> bool:
    """A student's function called `relu` or `l2` is saved under that name, but it is not Keras's."""
    if value is None or hasattr(value, "get_config"):
        return False
    return not str(getattr(value, "__module__", "")).startswith(("keras.", "grader."))
