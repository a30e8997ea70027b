"""Turns layers of a `ModelDescription` into instructions of a `Plan`, or raises `NotCovered`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from grader import records as r
from grader.train.covered import NotCovered, refuse_unknown
from grader.train.native import fields as f
from grader.train.native import layers_elements as elements
from grader.train.native import layers_shapes as shapes
from grader.train.native import layers_weighted as weighted
from grader.train.native.plan import Plan, Tensor

# For each record: the function that lowers it, and the settings that the function handles.
_WEIGHTS = {"activation", "use_bias", "bias_initializer", "bias_regularizer"}
_WINDOW = _WEIGHTS | {"kernel_size", "strides", "padding", "dilation_rate"}
_KERNEL = {"kernel_initializer", "kernel_regularizer"}
_BY_CHANNEL = {"depth_multiplier", "depthwise_initializer", "depthwise_regularizer"}
_POOL = {"pool_size", "strides", "padding"}
_LAYERS: dict[Any, tuple[Callable[[Plan, Any, list[Tensor]], Tensor], set[str]]] = {
    r.Conv2D: (weighted.convolution, _WINDOW | _KERNEL | {"filters"}),
    r.DepthwiseConv2D: (weighted.depthwise, _WINDOW | _BY_CHANNEL),
    r.SeparableConv2D: (
        weighted.separable,
        _WINDOW | _BY_CHANNEL | {"filters", "pointwise_initializer", "pointwise_regularizer"},
    ),
    r.Dense: (weighted.dense, _WEIGHTS | _KERNEL | {"units"}),
    r.Dropout: (elements.dropout, {"rate"}),
    r.SpatialDropout2D: (elements.dropout, {"rate"}),
    r.ActivationLayer: (elements.activation, {"activation"}),
    r.ReLU: (elements.relu_layer, {"max_value", "negative_slope", "threshold"}),
    r.LeakyReLU: (elements.leaky_relu, {"negative_slope"}),
    r.ELU: (elements.elu, {"alpha"}),
    r.MaxPooling2D: (shapes.pooling, _POOL),
    r.AveragePooling2D: (shapes.pooling, _POOL),
    r.GlobalMaxPooling2D: (shapes.global_pooling, {"keepdims"}),
    r.GlobalAveragePooling2D: (shapes.global_pooling, {"keepdims"}),
    r.ZeroPadding2D: (shapes.padding, {"padding"}),
    r.Flatten: (shapes.flatten, set()),
    r.Reshape: (shapes.reshape, {"target_shape"}),
    r.Rescaling: (shapes.rescaling, {"scale", "offset"}),
    r.Concatenate: (shapes.concatenate, {"axis"}),
    r.Merge: (shapes.merge, set()),
}  # fmt: skip
_NORMALISED = {
    "axis", "momentum", "epsilon", "center", "scale",
    "beta_initializer", "gamma_initializer", "beta_regularizer", "gamma_regularizer",
}  # fmt: skip


def build(network: r.ModelDescription, scaling: r.InputScaling) -> tuple[Plan, Tensor]:
    """Return the plan of a network, and the tensor of its logits. Raises `NotCovered`."""
    if len(network.inputs) > 1 or len(network.outputs) > 1:
        raise NotCovered("a network of several inputs or outputs")
    plan, tensors = Plan(), dict[str, Tensor]()
    uses = Counter(name for layer in network.layers for name in layer.inbound)
    by_name = {layer.name: layer for layer in network.layers}
    followers = {layer.inbound[0]: layer for layer in network.layers if len(layer.inbound) == 1}
    done: set[str] = set()
    for number, layer in enumerate(network.layers):
        plan.layer = number
        if isinstance(layer, r.InputLayer):
            tensors[layer.name] = _input(plan, layer, scaling)
            continue
        taken = [tensors[name] for name in layer.inbound]
        if layer.name in done:
            tensors[layer.name] = taken[0]
            continue
        _check(layer, taken)
        if isinstance(layer, r.BatchNormalization):
            follower = followers.get(layer.name) if uses[layer.name] == 1 else None
            dropout = follower if isinstance(follower, r.Dropout) else None
            done |= {dropout.name} if dropout else set()
            source = by_name[layer.inbound[0]]
            alone = uses[source.name] == 1 and getattr(source, "activation", "") == "relu"
            alone = alone and isinstance(source, r.Conv2D | r.Dense)
            tensors[layer.name] = elements.normalisation(plan, layer, taken[0], dropout, alone)
            continue
        lowered, _ = _LAYERS[type(layer)]
        tensors[layer.name] = lowered(plan, layer, taken)
    return plan, tensors[network.outputs[0]]


def _check(layer: r.Layer, taken: list[Tensor]) -> None:
    """Raise `NotCovered` for a layer that is not in `_LAYERS`, or a setting that is not handled there."""
    handled = (
        _NORMALISED if isinstance(layer, r.BatchNormalization) else _LAYERS.get(type(layer), (0, None))[1]
    )
    if handled is None:
        raise NotCovered(f"the layer {layer.type}")
    if not layer.trainable:
        raise NotCovered("a layer that is not trained")
    if any(tensor.softmax for tensor in taken):
        raise NotCovered("a softmax before the last layer")
    refuse_unknown(layer, handled | {"name", "inbound", "type", "trainable"}, layer.type)


def _input(plan: Plan, layer: r.InputLayer, scaling: r.InputScaling) -> Tensor:
    rows, columns, channels = shapes.image(layer.shape)
    made = plan.tensor(rows, columns, channels, flat=len(layer.shape) == 1, slope=False)
    numbers = {f.FACTOR: scaling.scale, f.OFFSET: scaling.offset}
    plan.emit(f.LOAD, {f.DST: made.at, f.SIZE: made.size}, numbers)
    return made
