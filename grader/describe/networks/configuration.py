"""Saved configurations -> graphs of layers, as Keras 1, 2, tf.keras or 3 wrote them.

The configurations are data: no class is looked up, no function is called, whatever their names.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from grader import records as r
from grader.describe.networks.graph import (
    Graph,
    Node,
    NotAModel,
    OwnModel,
    TooLarge,
    inlined,
    input_node,
    operation_node,
)
from grader.layers import kinds

MAX_NESTED = 10  # models within models

Config = dict[str, Any]


def of_config(model: Any, default_shape: tuple[int, ...] | None = None, depth: int = 0) -> Graph:
    """Return the graph of a saved model's configuration.

    ``default_shape`` (rows, columns, channels) is taken for a Sequential that was saved without
    an input shape. Raises `NotAModel` for any other object.
    """
    if not isinstance(model, dict):
        raise NotAModel("the configuration is not a JSON object")
    if depth > MAX_NESTED:
        raise TooLarge(f"its models are nested more than {MAX_NESTED} deep")
    kind, config = model.get("class_name"), model.get("config")
    if kind == "Sequential" and isinstance(config, dict | list):
        return _sequential(config, default_shape, depth)
    if isinstance(config, dict) and _is_functional(kind, config):
        return _functional(config, depth)
    if isinstance(kind, str):
        raise OwnModel(f"it holds a model of the class {kind[:80]!r}, not a graph of layers")
    raise NotAModel(f"it describes a {kind!r:.80}, which is neither Sequential nor functional")


def _is_functional(kind: Any, config: Any) -> bool:
    return kind in ("Functional", "Model") and isinstance(config, dict) and "layers" in config


def _is_model(raw: Any) -> bool:
    """Whether a layer of a configuration is a model of its own."""
    kind, config = raw.get("class_name"), raw.get("config")
    return _is_functional(kind, config) or (
        kind == "Sequential"
        and (isinstance(config, list) or (isinstance(config, dict) and "layers" in config))
    )


# --- Sequential ---------------------------------------------------------------------------------


def _sequential(config: Any, default_shape: tuple[int, ...] | None, depth: int) -> Graph:
    layers = config if isinstance(config, list) else config.get("layers")
    if not isinstance(layers, list) or not layers:
        raise NotAModel("the saved model has no layers")
    _check_count(len(layers))
    graph = Graph()
    for raw in layers:
        if isinstance(raw, dict) and _is_model(raw):
            _append_model(graph, raw, default_shape, depth)
        else:
            _append_layer(graph, raw, default_shape)
        _check_count(len(graph.nodes))
    graph.inputs, graph.outputs = [graph.nodes[0].name], [graph.nodes[-1].name]
    return graph


def _append_layer(graph: Graph, raw: Any, default_shape: tuple[int, ...] | None) -> None:
    kind, settings = _class_and_config(raw)
    if not graph.nodes:
        shape = settings.get("batch_input_shape") or settings.get("batch_shape")
        first = settings.get("name", "input") if kind == "InputLayer" else "input"
        if shape is None and default_shape is None:
            raise NotAModel("the saved model has no input shape")
        graph.nodes.append(input_node(str(first), list(shape or (None, *(default_shape or ())))[1:]))
    if kind != "InputLayer":
        name = _free_name(str(settings.get("name") or kind.lower()), graph)
        graph.nodes.append(_node(raw, name, kind, settings, [graph.nodes[-1].name]))


def _append_model(graph: Graph, raw: Config, default_shape: tuple[int, ...] | None, depth: int) -> None:
    """Put a model's layers in its place, and its input where it is the first layer."""
    inner = of_config(raw, None if graph.nodes else default_shape, depth + 1)
    name = _free_name(_name_of(raw), graph)
    if not graph.nodes and len(inner.inputs) == 1:
        first = next(node for node in inner.nodes if node.name == inner.inputs[0])
        graph.nodes.append(input_node("input", list(first.config.get("batch_shape") or ())[1:]))
    placed = inlined(inner, name, graph.nodes[-1].name) if graph.nodes else None
    if placed is None or not placed.nodes or placed.nodes[-1].name != placed.outputs[0]:
        raise NotAModel(f"the model {name!r} within it has several inputs or outputs")
    graph.nodes += placed.nodes


def _name_of(raw: Config) -> str:
    config = raw.get("config")
    own = config.get("name") if isinstance(config, dict) else None
    return str(raw.get("name") or own or "model")


def _check_count(layers: int) -> None:
    if layers > r.MAX_LAYERS:
        raise TooLarge(f"it has {layers:,} layers; at most {r.MAX_LAYERS:,} are read")


def _free_name(name: str, graph: Graph) -> str:
    taken, free, n = {node.name for node in graph.nodes}, name, 1
    while free in taken:
        n += 1
        free = f"{name}_{n}"
    return free


def _class_and_config(raw: Any) -> tuple[str, Config]:
    if not isinstance(raw, dict) or not isinstance(raw.get("config"), dict | None):
        raise NotAModel("a layer of the saved model is not an object with a configuration")
    return str(raw.get("class_name")), dict(raw.get("config") or {})


# --- operations ---------------------------------------------------------------------------------

# Functions that tf.keras wrapped into layers, under the names of Keras 3's operations.
_FUNCTIONS = {
    "__operators__.add": "Add", "math.add": "Add", "math.subtract": "Subtract", "math.multiply": "Multiply",
    "math.maximum": "Maximum", "math.minimum": "Minimum", "nn.relu": "Relu", "nn.softmax": "Softmax",
    "nn.sigmoid": "Sigmoid", "math.sigmoid": "Sigmoid", "nn.tanh": "Tanh", "math.tanh": "Tanh",
    "nn.elu": "Elu", "nn.selu": "Selu", "nn.silu": "Silu", "math.softplus": "Softplus",
    "nn.log_softmax": "LogSoftmax",
}  # fmt: skip


def _node(raw: Config, name: str, kind: str, settings: Config, inbound: list[str]) -> Node:
    """Return the node of a layer, or of an operation, plain (Keras 3) or wrapped in a layer (tf.keras)."""
    if str(raw.get("module", "")).startswith(("keras.src.ops.", "keras.ops")):
        return operation_node(kind, settings.get("axis", -1), name, inbound)
    if kind == "TFOpLambda":
        function = str(settings.get("function"))
        return operation_node(_FUNCTIONS.get(function, function[:80]), -1, name, inbound)
    return Node(name, kind, settings, inbound)


# --- functional ---------------------------------------------------------------------------------


def _functional(config: Config, depth: int) -> Graph:
    if not isinstance(config["layers"], list):
        raise NotAModel("the saved model has no layers")
    pending: list[Node] = []
    outputs: dict[str, str] = {}  # of models within: the name of the model -> the name of its last layer
    for raw in config["layers"]:
        for node in _calls(raw, outputs, depth):
            pending.append(node)
            _check_count(len(pending))
    for node in pending:
        node.inbound = [outputs.get(name, name) for name in node.inbound]
    ends = [_call_name(*key) for key in _keys(config.get("output_layers"))]
    graph = Graph(
        _inputs_first(pending),
        [_call_name(*key) for key in _keys(config.get("input_layers"))],
        [outputs.get(name, name) for name in ends],
    )
    if not graph.outputs:
        raise NotAModel("the saved model names no output layer")
    return graph


def _calls(raw: Any, outputs: dict[str, str], depth: int) -> Iterator[Node]:
    """Yield a node for each call of a layer; for a model that is called once, its own layers."""
    nested = isinstance(raw, dict) and _is_model(raw)
    kind, settings = (str(raw["class_name"]), {}) if nested else _class_and_config(raw)
    name = _name_of(raw)
    calls = raw.get("inbound_nodes") or [None]
    if nested and len(calls) == 1 and len(inbound := list(_inbound(calls[0]))) == 1:
        placed = inlined(of_config(raw, None, depth + 1), name, inbound[0])
        if placed is not None:
            outputs[name] = placed.outputs[0]
            yield from placed.nodes
            return
    for index, call in enumerate(calls):
        node = _node(raw, _call_name(name, index), kind, settings, list(_inbound(call)))
        if nested:
            node.refusal = r.because("nested_model")
        elif index:
            node.refusal = r.because("applied_twice")
        elif _trains(call) and not _trains_by_default(kind):
            node.refusal = r.because("training_true")
        yield node


def _trains_by_default(class_name: str) -> bool:
    kind = kinds.CLASSES.get(class_name)
    return kind is not None and issubclass(kind.record, r.PreprocessingLayer)


def _trains(call: Any) -> bool:
    """Whether a call is made with ``training=True``."""
    if isinstance(call, dict):
        return call.get("training") is True or _trains(call.get("kwargs"))
    return isinstance(call, list) and any(map(_trains, call))


def _call_name(name: str, index: int) -> str:
    return name if index == 0 else f"{name}:{index + 1}"


def _inbound(call: Any) -> Iterator[str]:
    """Yield names in one call: Keras 1 and 2 list [name, node, tensor, {…}]; Keras 3 nests keras_tensors."""
    if isinstance(call, dict) and call.get("class_name") == "__keras_tensor__":
        history = call.get("config", {}).get("keras_history") or ["?", 0, 0]
        yield _call_name(str(history[0]), int(history[1]))
    elif isinstance(call, dict):
        for value in (call.get("args"), call.get("kwargs")) if "args" in call else call.values():
            yield from _inbound(value)
    elif isinstance(call, list) and len(call) >= 3 and isinstance(call[0], str):
        yield _call_name(call[0], int(call[1]))
        yield from _inbound([x for x in call[3:] if isinstance(x, dict)])
    elif isinstance(call, list):
        for item in call:
            yield from _inbound(item)


def _keys(value: Any) -> Iterator[tuple[str, int]]:
    if isinstance(value, list) and len(value) >= 2 and isinstance(value[0], str):
        yield value[0], int(value[1])
    elif isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _keys(item)


def _inputs_first(nodes: list[Node]) -> list[Node]:
    """Order the nodes so that each follows its inputs, as they need not in a file. Raises `NotAModel`."""
    ordered: list[Node] = []
    placed: set[str] = set()
    while nodes:
        ready = [n for n in nodes if set(n.inbound) <= placed]
        if not ready:
            raise NotAModel(f"layer {nodes[0].name!r} takes an input that the model does not have")
        ordered += ready
        placed |= {n.name for n in ready}
        nodes = [n for n in nodes if n.name not in placed]
    return ordered
