"""Which layers there are, and a network of them: a directed acyclic graph."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from grader.layers.activation import ELU, ActivationLayer, LeakyReLU, PReLU, ReLU
from grader.layers.base import BaseLayer
from grader.layers.convolution import Conv1D, Conv2D, Conv2DTranspose, DepthwiseConv2D, SeparableConv2D
from grader.layers.core import Dense, InputLayer
from grader.layers.merging import Concatenate, Merge
from grader.layers.normalization import BatchNormalization, GroupNormalization, LayerNormalization
from grader.layers.pooling import (
    AveragePooling1D,
    AveragePooling2D,
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
    MaxPooling1D,
    MaxPooling2D,
)
from grader.layers.preprocessing import (
    CenterCrop,
    Normalization,
    RandomBrightness,
    RandomContrast,
    RandomFlip,
    RandomRotation,
    RandomTranslation,
    RandomZoom,
    Rescaling,
    Resizing,
)
from grader.layers.regularization import (
    AlphaDropout,
    Dropout,
    GaussianDropout,
    GaussianNoise,
    SpatialDropout2D,
)
from grader.layers.reshaping import Cropping2D, Flatten, Permute, Reshape, UpSampling2D, ZeroPadding2D
from grader.reasons import Reason
from grader.record import Name, Record, Size

MAX_LAYERS = 1_000


class Reported(Record):
    """What a layer reports of itself: output ``shape`` without batch axis, and its counts of parameters."""

    shape: Annotated[tuple[Size, ...], Field(fail_fast=True, max_length=6)]
    trainable: Annotated[int, Field(ge=0, le=10**12)] = 0
    non_trainable: Annotated[int, Field(ge=0, le=10**12)] = 0


class UnsupportedLayer(BaseLayer):
    """A layer outside this vocabulary: named, never imitated, and nothing is assumed of it.

    What it ``reported`` of itself, its output shape and its parameters, counts in a replay alone
    (`grader.layers.shapes.analyse`).
    """

    type: Literal["UnsupportedLayer"] = "UnsupportedLayer"
    class_name: Name
    reason: Reason = Reason(code="no_record")
    reported: Reported | None = None


Layer = Annotated[
    InputLayer | Conv1D | Conv2D | Conv2DTranspose | DepthwiseConv2D | SeparableConv2D | Dense
    | BatchNormalization | LayerNormalization | GroupNormalization
    | Dropout | SpatialDropout2D | GaussianDropout | AlphaDropout | GaussianNoise
    | ActivationLayer | ReLU | LeakyReLU | ELU | PReLU
    | MaxPooling1D | AveragePooling1D | GlobalMaxPooling1D | GlobalAveragePooling1D
    | MaxPooling2D | AveragePooling2D | GlobalMaxPooling2D | GlobalAveragePooling2D
    | ZeroPadding2D | Cropping2D | UpSampling2D | Flatten | Reshape | Permute | Rescaling
    | Resizing | CenterCrop | Normalization | RandomFlip | RandomRotation | RandomTranslation | RandomZoom
    | RandomContrast | RandomBrightness | Concatenate | Merge | UnsupportedLayer,
    Field(discriminator="type"),
]  # fmt: skip


class ModelDescription(Record):
    """A network as a directed acyclic graph of layers, listed so that inputs come first.

    A Sequential model is the special case in which every layer has one inbound layer.
    """

    inputs: Annotated[tuple[Name, ...], Field(fail_fast=True, min_length=1, max_length=16)]
    layers: Annotated[tuple[Layer, ...], Field(fail_fast=True, min_length=1, max_length=MAX_LAYERS)]
    outputs: Annotated[tuple[Name, ...], Field(fail_fast=True, min_length=1, max_length=16)]

    @model_validator(mode="after")
    def _is_a_graph(self) -> ModelDescription:
        seen: set[str] = set()
        for layer in self.layers:
            if layer.name in seen:
                raise ValueError(f"two layers are called {layer.name!r}")
            if isinstance(layer, InputLayer) != (not layer.inbound):
                raise ValueError(f"layer {layer.name!r}: only an InputLayer has no inbound layer")
            if missing := [name for name in layer.inbound if name not in seen]:
                raise ValueError(f"layer {layer.name!r} takes {missing[0]!r}, not listed before it")
            seen.add(layer.name)
        inputs = tuple(x.name for x in self.layers if isinstance(x, InputLayer))
        if sorted(inputs) != sorted(self.inputs):
            raise ValueError(f"inputs {self.inputs} are not the InputLayers {inputs}")
        if missing := [name for name in self.outputs if name not in seen]:
            raise ValueError(f"output {missing[0]!r} is no layer of the model")
        if dead := sorted(seen - self._leading_to_outputs()):
            raise ValueError(f"layer {dead[0]!r} leads to no output")
        return self

    def _leading_to_outputs(self) -> set[str]:
        leading = set(self.outputs)
        for layer in reversed(self.layers):
            if layer.name in leading:
                leading.update(layer.inbound)
        return leading

    def canonical(self) -> ModelDescription:
        """Return the same network with layers called by their place."""
        names = {layer.name: f"layer_{number}" for number, layer in enumerate(self.layers)}

        def renamed(layer: Layer) -> Layer:
            inbound = tuple(names[name] for name in layer.inbound)
            return layer.model_copy(update={"name": names[layer.name], "inbound": inbound})

        return ModelDescription(
            inputs=tuple(names[name] for name in self.inputs),
            layers=tuple(map(renamed, self.layers)),
            outputs=tuple(names[name] for name in self.outputs),
        )

    @property
    def unsupported(self) -> tuple[UnsupportedLayer, ...]:
        """The layers outside the vocabulary."""
        return tuple(x for x in self.layers if isinstance(x, UnsupportedLayer))
