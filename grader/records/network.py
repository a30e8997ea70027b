"""A network: layers, and the directed acyclic graph that they form."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from grader.reasons import Reason
from grader.record import Name, NonNegative, Number, Pair, Rate, Record, Size

MAX_LAYERS = 1_000

Padding = Literal["valid", "same"]
Activation = Literal[
    "linear", "relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish",
    "sigmoid", "hard_sigmoid", "tanh", "softmax", "log_softmax", "softplus", "softsign",
    "exponential", "hard_silu",
]  # fmt: skip


# --- initializers and regularizers --------------------------------------------------------------


class VarianceScaling(Record):
    """He, Glorot and LeCun initializers are settings of this one (Keras does the same)."""

    type: Literal["VarianceScaling"] = "VarianceScaling"
    scale: Annotated[float, Field(gt=0)] = 1.0
    mode: Literal["fan_in", "fan_out", "fan_avg"] = "fan_avg"
    distribution: Literal["truncated_normal", "untruncated_normal", "uniform"] = "uniform"


class RandomNormal(Record):
    type: Literal["RandomNormal"] = "RandomNormal"
    mean: Number = 0.0
    stddev: NonNegative = 0.05


class TruncatedNormal(Record):
    type: Literal["TruncatedNormal"] = "TruncatedNormal"
    mean: Number = 0.0
    stddev: NonNegative = 0.05


class RandomUniform(Record):
    type: Literal["RandomUniform"] = "RandomUniform"
    minval: Number = -0.05
    maxval: Number = 0.05


class Constant(Record):
    """A scalar only: a whole matrix of weights cannot be smuggled in through an initializer."""

    type: Literal["Constant"] = "Constant"
    value: Number = 0.0


class Orthogonal(Record):
    type: Literal["Orthogonal"] = "Orthogonal"
    gain: Number = 1.0


Initializer = Annotated[
    VarianceScaling | RandomNormal | TruncatedNormal | RandomUniform | Constant | Orthogonal,
    Field(discriminator="type"),
]

# For vectors: an orthogonal matrix is none.
VectorInitializer = Annotated[
    VarianceScaling | RandomNormal | TruncatedNormal | RandomUniform | Constant,
    Field(discriminator="type"),
]

GLOROT_UNIFORM = VarianceScaling()
ZEROS = Constant(value=0.0)
ONES = Constant(value=1.0)


class L1L2(Record):
    """Penalty ``l1 * sum(|w|) + l2 * sum(w**2)`` added to the loss."""

    l1: NonNegative = 0.0
    l2: NonNegative = 0.0


# --- layers -------------------------------------------------------------------------------------


class BaseLayer(Record):
    """What every layer has: a name, the layers whose outputs it takes, and whether it trains."""

    name: Name
    inbound: Annotated[tuple[Name, ...], Field(fail_fast=True, max_length=64)] = ()
    trainable: bool = True


class InputLayer(BaseLayer):
    """``shape`` without the batch axis, e.g. ``(28, 28, 1)``."""

    type: Literal["InputLayer"] = "InputLayer"
    shape: Annotated[tuple[Size, ...], Field(fail_fast=True, min_length=1, max_length=6)]


class ConvolutionLayer(BaseLayer):
    """Images are channels-last throughout: ``(rows, columns, channels)``."""

    kernel_size: Pair
    strides: Pair = (1, 1)
    padding: Padding = "valid"
    dilation_rate: Pair = (1, 1)
    activation: Activation = "linear"
    use_bias: bool = True
    bias_initializer: VectorInitializer = ZEROS
    bias_regularizer: L1L2 | None = None
    activity_regularizer: L1L2 | None = None


class Conv2D(ConvolutionLayer):
    type: Literal["Conv2D"] = "Conv2D"
    filters: Size
    groups: Size = 1
    kernel_initializer: Initializer = GLOROT_UNIFORM
    kernel_regularizer: L1L2 | None = None


class Conv2DTranspose(ConvolutionLayer):
    type: Literal["Conv2DTranspose"] = "Conv2DTranspose"
    filters: Size
    kernel_initializer: Initializer = GLOROT_UNIFORM
    kernel_regularizer: L1L2 | None = None


class DepthwiseConv2D(ConvolutionLayer):
    type: Literal["DepthwiseConv2D"] = "DepthwiseConv2D"
    depth_multiplier: Size = 1
    depthwise_initializer: Initializer = GLOROT_UNIFORM
    depthwise_regularizer: L1L2 | None = None


class SeparableConv2D(ConvolutionLayer):
    type: Literal["SeparableConv2D"] = "SeparableConv2D"
    filters: Size
    depth_multiplier: Size = 1
    depthwise_initializer: Initializer = GLOROT_UNIFORM
    depthwise_regularizer: L1L2 | None = None
    pointwise_initializer: Initializer = GLOROT_UNIFORM
    pointwise_regularizer: L1L2 | None = None


class Dense(BaseLayer):
    type: Literal["Dense"] = "Dense"
    units: Size
    activation: Activation = "linear"
    use_bias: bool = True
    kernel_initializer: Initializer = GLOROT_UNIFORM
    bias_initializer: VectorInitializer = ZEROS
    kernel_regularizer: L1L2 | None = None
    bias_regularizer: L1L2 | None = None
    activity_regularizer: L1L2 | None = None


class BatchNormalization(BaseLayer):
    """``axis`` is the normalised axis, -1 for the last; others count the batch axis as 0."""

    type: Literal["BatchNormalization"] = "BatchNormalization"
    axis: Annotated[int, Field(ge=-1, le=6)] = -1
    momentum: Annotated[float, Field(ge=0.0, le=1.0)] = 0.99
    epsilon: Annotated[float, Field(gt=0.0)] = 1e-3
    center: bool = True
    scale: bool = True
    beta_initializer: VectorInitializer = ZEROS
    gamma_initializer: VectorInitializer = ONES
    beta_regularizer: L1L2 | None = None
    gamma_regularizer: L1L2 | None = None


class LayerNormalization(BaseLayer):
    """Over the last axis."""

    type: Literal["LayerNormalization"] = "LayerNormalization"
    epsilon: Annotated[float, Field(gt=0.0)] = 1e-3
    center: bool = True
    scale: bool = True


class Dropout(BaseLayer):
    type: Literal["Dropout"] = "Dropout"
    rate: Rate


class SpatialDropout2D(BaseLayer):
    type: Literal["SpatialDropout2D"] = "SpatialDropout2D"
    rate: Rate


class GaussianDropout(BaseLayer):
    type: Literal["GaussianDropout"] = "GaussianDropout"
    rate: Rate


class AlphaDropout(BaseLayer):
    type: Literal["AlphaDropout"] = "AlphaDropout"
    rate: Rate


class GaussianNoise(BaseLayer):
    type: Literal["GaussianNoise"] = "GaussianNoise"
    stddev: Annotated[float, Field(ge=0.0, le=1.0)]


class ActivationLayer(BaseLayer):
    """Keras's ``Activation``, ``Softmax`` and parameterless ``ReLU`` alike."""

    type: Literal["Activation"] = "Activation"
    activation: Activation


class ReLU(BaseLayer):
    type: Literal["ReLU"] = "ReLU"
    max_value: NonNegative | None = None
    negative_slope: NonNegative = 0.0
    threshold: NonNegative = 0.0


class LeakyReLU(BaseLayer):
    type: Literal["LeakyReLU"] = "LeakyReLU"
    negative_slope: NonNegative = 0.3


class ELU(BaseLayer):
    type: Literal["ELU"] = "ELU"
    alpha: Number = 1.0


class PReLU(BaseLayer):
    """One learned slope per element, shared along ``shared_axes`` (batch axis = 0)."""

    type: Literal["PReLU"] = "PReLU"
    shared_axes: tuple[Annotated[int, Field(ge=1, le=6)], ...] = ()
    alpha_initializer: VectorInitializer = ZEROS
    alpha_regularizer: L1L2 | None = None


class PoolingLayer(BaseLayer):
    pool_size: Pair = (2, 2)
    strides: Pair = (2, 2)
    padding: Padding = "valid"


class MaxPooling2D(PoolingLayer):
    type: Literal["MaxPooling2D"] = "MaxPooling2D"


class AveragePooling2D(PoolingLayer):
    type: Literal["AveragePooling2D"] = "AveragePooling2D"


class GlobalMaxPooling2D(BaseLayer):
    type: Literal["GlobalMaxPooling2D"] = "GlobalMaxPooling2D"
    keepdims: bool = False


class GlobalAveragePooling2D(BaseLayer):
    type: Literal["GlobalAveragePooling2D"] = "GlobalAveragePooling2D"
    keepdims: bool = False


Margin = Annotated[int, Field(ge=0, le=10_000)]
Margins = tuple[tuple[Margin, Margin], tuple[Margin, Margin]]


class ZeroPadding2D(BaseLayer):
    """``padding`` is ((top, bottom), (left, right))."""

    type: Literal["ZeroPadding2D"] = "ZeroPadding2D"
    padding: Margins = ((1, 1), (1, 1))


class Cropping2D(BaseLayer):
    """``cropping`` is ((top, bottom), (left, right))."""

    type: Literal["Cropping2D"] = "Cropping2D"
    cropping: Margins = ((0, 0), (0, 0))


class UpSampling2D(BaseLayer):
    type: Literal["UpSampling2D"] = "UpSampling2D"
    size: Pair = (2, 2)
    interpolation: Literal["nearest", "bilinear"] = "nearest"


class Flatten(BaseLayer):
    type: Literal["Flatten"] = "Flatten"


class Reshape(BaseLayer):
    """``target_shape`` without the batch axis; one entry may be -1."""

    type: Literal["Reshape"] = "Reshape"
    target_shape: Annotated[
        tuple[Annotated[int, Field(ge=-1, le=1_000_000)], ...], Field(fail_fast=True, max_length=6)
    ]


class Permute(BaseLayer):
    """``dims`` count from 1, the batch axis stays (as in Keras)."""

    type: Literal["Permute"] = "Permute"
    dims: Annotated[tuple[Annotated[int, Field(ge=1, le=6)], ...], Field(fail_fast=True, max_length=6)]


class Rescaling(BaseLayer):
    """``x * scale + offset``."""

    type: Literal["Rescaling"] = "Rescaling"
    scale: Number
    offset: Number = 0.0


class Resizing(BaseLayer):
    """To (rows, columns); cropping and padding to the aspect ratio are not in the vocabulary."""

    type: Literal["Resizing"] = "Resizing"
    height: Size
    width: Size
    interpolation: Literal["nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"] = "bilinear"


class CenterCrop(BaseLayer):
    """The middle of an image that is no smaller than that."""

    type: Literal["CenterCrop"] = "CenterCrop"
    height: Size
    width: Size


class Normalization(BaseLayer):
    """``(x - mean) / sqrt(variance)`` with given statistics of the last axis, or of all of the input."""

    type: Literal["Normalization"] = "Normalization"
    mean: Annotated[tuple[Number, ...], Field(fail_fast=True, min_length=1, max_length=1_000)]
    variance: Annotated[tuple[NonNegative, ...], Field(fail_fast=True, min_length=1, max_length=1_000)]
    adapted: bool = False  # statistics that were learned from data count as parameters, given ones do not


FillMode = Literal["constant", "nearest", "reflect", "wrap"]
Interval = tuple[Annotated[float, Field(ge=-10, le=10)], Annotated[float, Field(ge=-10, le=10)]]


class RandomFlip(BaseLayer):
    """Acts while training alone, as do all layers of random changes."""

    type: Literal["RandomFlip"] = "RandomFlip"
    mode: Literal["horizontal", "vertical", "horizontal_and_vertical"] = "horizontal_and_vertical"


class RandomRotation(BaseLayer):
    """``factor`` in full turns."""

    type: Literal["RandomRotation"] = "RandomRotation"
    factor: Interval
    fill_mode: FillMode = "reflect"
    interpolation: Literal["nearest", "bilinear"] = "bilinear"
    fill_value: Number = 0.0


class RandomTranslation(BaseLayer):
    """Factors in parts of the height and width."""

    type: Literal["RandomTranslation"] = "RandomTranslation"
    height_factor: Interval
    width_factor: Interval
    fill_mode: FillMode = "reflect"
    interpolation: Literal["nearest", "bilinear"] = "bilinear"
    fill_value: Number = 0.0


class RandomZoom(BaseLayer):
    """Factors as in Keras: negative ones enlarge. No ``width_factor`` keeps the proportions."""

    type: Literal["RandomZoom"] = "RandomZoom"
    height_factor: Interval
    width_factor: Interval | None = None
    fill_mode: FillMode = "reflect"
    interpolation: Literal["nearest", "bilinear"] = "bilinear"
    fill_value: Number = 0.0


class RandomContrast(BaseLayer):
    type: Literal["RandomContrast"] = "RandomContrast"
    factor: Interval
    value_range: Interval | tuple[Number, Number] = (0.0, 255.0)


class RandomBrightness(BaseLayer):
    type: Literal["RandomBrightness"] = "RandomBrightness"
    factor: Interval
    value_range: Interval | tuple[Number, Number] = (0.0, 255.0)


class Concatenate(BaseLayer):
    """Along ``axis``: -1 for the last; others count the batch axis as 0."""

    type: Literal["Concatenate"] = "Concatenate"
    axis: Annotated[int, Field(ge=-1, le=6)] = -1


class Merge(BaseLayer):
    """Element-wise: Keras's Add, Subtract, Multiply, Average, Maximum and Minimum."""

    type: Literal["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"]


class Reported(Record):
    """A layer's own word: ``shape`` without the batch axis, parameters that train and that do not."""

    shape: Annotated[tuple[Size, ...], Field(fail_fast=True, max_length=6)]
    trainable: Annotated[int, Field(ge=0, le=10**12)] = 0
    non_trainable: Annotated[int, Field(ge=0, le=10**12)] = 0


class UnsupportedLayer(BaseLayer):
    """A layer outside this vocabulary. It is named, never imitated; nothing is assumed of it.

    What it ``reported`` of itself, its output shape and its parameters, counts in a replay alone
    (`grader.layers.shapes.analyse`).
    """

    type: Literal["UnsupportedLayer"] = "UnsupportedLayer"
    class_name: Name
    reason: Reason = Reason(code="no_record")
    reported: Reported | None = None


Layer = Annotated[
    InputLayer | Conv2D | Conv2DTranspose | DepthwiseConv2D | SeparableConv2D | Dense
    | BatchNormalization | LayerNormalization | Dropout | SpatialDropout2D | GaussianDropout
    | AlphaDropout | GaussianNoise | ActivationLayer | ReLU | LeakyReLU | ELU | PReLU
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
        """The same network with layers called by their place."""
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
        return tuple(x for x in self.layers if isinstance(x, UnsupportedLayer))
