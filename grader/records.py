"""The frozen records that flow between the stages.

They are what a sandboxed child may answer with and what every later stage trusts, so every
field is typed, ranged and closed (``extra="forbid"``). This module only holds data: shapes and
parameter counts are computed in `grader.shapes`, points in `grader.score`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

MAX_LAYERS = 1_000
MAX_SAMPLES = 4_000_000  # learning rates in one recipe: 20 epochs of batch size 1 fit easily


def writable(value: Any) -> Any:
    """Text as UTF-8 can write it: a lone surrogate (half a character) becomes a question mark."""
    return value.encode("utf-8", "replace").decode("utf-8") if isinstance(value, str) else value


class Record(BaseModel):
    """Base of all records: immutable, no unknown fields, no NaN, text that UTF-8 can write."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="after")
    @classmethod
    def _writable(cls, value: Any) -> Any:
        return writable(value)


Name = Annotated[str, Field(min_length=1, max_length=200), BeforeValidator(writable)]
Text = Annotated[str, Field(max_length=20_000), BeforeValidator(writable)]
Size = Annotated[int, Field(ge=1, le=1_000_000)]
Pair = tuple[Size, Size]
Rate = Annotated[float, Field(ge=0.0, lt=1.0)]
NonNegative = Annotated[float, Field(ge=0.0)]
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
    mean: float = 0.0
    stddev: NonNegative = 0.05


class TruncatedNormal(Record):
    type: Literal["TruncatedNormal"] = "TruncatedNormal"
    mean: float = 0.0
    stddev: NonNegative = 0.05


class RandomUniform(Record):
    type: Literal["RandomUniform"] = "RandomUniform"
    minval: float = -0.05
    maxval: float = 0.05


class Constant(Record):
    """A scalar only: a whole matrix of weights cannot be smuggled in through an initializer."""

    type: Literal["Constant"] = "Constant"
    value: float = 0.0


class Orthogonal(Record):
    type: Literal["Orthogonal"] = "Orthogonal"
    gain: float = 1.0


Initializer = Annotated[
    VarianceScaling | RandomNormal | TruncatedNormal | RandomUniform | Constant | Orthogonal,
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
    inbound: tuple[Name, ...] = ()
    trainable: bool = True


class InputLayer(BaseLayer):
    """``shape`` without the batch axis, e.g. ``(28, 28, 1)``."""

    type: Literal["InputLayer"] = "InputLayer"
    shape: Annotated[tuple[Size, ...], Field(min_length=1, max_length=6)]


class _Convolution(BaseLayer):
    """Images are channels-last throughout: ``(rows, columns, channels)``."""

    kernel_size: Pair
    strides: Pair = (1, 1)
    padding: Padding = "valid"
    dilation_rate: Pair = (1, 1)
    activation: Activation = "linear"
    use_bias: bool = True
    bias_initializer: Initializer = ZEROS
    bias_regularizer: L1L2 | None = None
    activity_regularizer: L1L2 | None = None


class Conv2D(_Convolution):
    type: Literal["Conv2D"] = "Conv2D"
    filters: Size
    groups: Size = 1
    kernel_initializer: Initializer = GLOROT_UNIFORM
    kernel_regularizer: L1L2 | None = None


class Conv2DTranspose(_Convolution):
    type: Literal["Conv2DTranspose"] = "Conv2DTranspose"
    filters: Size
    kernel_initializer: Initializer = GLOROT_UNIFORM
    kernel_regularizer: L1L2 | None = None


class DepthwiseConv2D(_Convolution):
    type: Literal["DepthwiseConv2D"] = "DepthwiseConv2D"
    depth_multiplier: Size = 1
    depthwise_initializer: Initializer = GLOROT_UNIFORM
    depthwise_regularizer: L1L2 | None = None


class SeparableConv2D(_Convolution):
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
    bias_initializer: Initializer = ZEROS
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
    beta_initializer: Initializer = ZEROS
    gamma_initializer: Initializer = ONES
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
    stddev: NonNegative


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
    alpha: float = 1.0


class PReLU(BaseLayer):
    """One learned slope per element, shared along ``shared_axes`` (batch axis = 0)."""

    type: Literal["PReLU"] = "PReLU"
    shared_axes: tuple[Annotated[int, Field(ge=1, le=6)], ...] = ()
    alpha_initializer: Initializer = ZEROS
    alpha_regularizer: L1L2 | None = None


class _Pooling(BaseLayer):
    pool_size: Pair = (2, 2)
    strides: Pair = (2, 2)
    padding: Padding = "valid"


class MaxPooling2D(_Pooling):
    type: Literal["MaxPooling2D"] = "MaxPooling2D"


class AveragePooling2D(_Pooling):
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
    target_shape: Annotated[tuple[Annotated[int, Field(ge=-1, le=1_000_000)], ...], Field(max_length=6)]


class Permute(BaseLayer):
    """``dims`` count from 1, the batch axis stays (as in Keras)."""

    type: Literal["Permute"] = "Permute"
    dims: Annotated[tuple[Annotated[int, Field(ge=1, le=6)], ...], Field(max_length=6)]


class Rescaling(BaseLayer):
    """``x * scale + offset``."""

    type: Literal["Rescaling"] = "Rescaling"
    scale: float
    offset: float = 0.0


class Concatenate(BaseLayer):
    """Along ``axis``: -1 for the last; others count the batch axis as 0."""

    type: Literal["Concatenate"] = "Concatenate"
    axis: Annotated[int, Field(ge=-1, le=6)] = -1


class Merge(BaseLayer):
    """Element-wise: Keras's Add, Subtract, Multiply, Average, Maximum and Minimum."""

    type: Literal["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"]


class UnsupportedLayer(BaseLayer):
    """A layer outside this vocabulary. It is named, never imitated; nothing is assumed of it."""

    type: Literal["UnsupportedLayer"] = "UnsupportedLayer"
    class_name: Name
    reason: Text = ""


Layer = Annotated[
    InputLayer | Conv2D | Conv2DTranspose | DepthwiseConv2D | SeparableConv2D | Dense
    | BatchNormalization | LayerNormalization | Dropout | SpatialDropout2D | GaussianDropout
    | AlphaDropout | GaussianNoise | ActivationLayer | ReLU | LeakyReLU | ELU | PReLU
    | MaxPooling2D | AveragePooling2D | GlobalMaxPooling2D | GlobalAveragePooling2D
    | ZeroPadding2D | Cropping2D | UpSampling2D | Flatten | Reshape | Permute | Rescaling
    | Concatenate | Merge | UnsupportedLayer,
    Field(discriminator="type"),
]  # fmt: skip


class ModelDescription(Record):
    """A network as a directed acyclic graph of layers, listed so that inputs come first.

    A Sequential model is the special case in which every layer has one inbound layer.
    """

    inputs: Annotated[tuple[Name, ...], Field(min_length=1, max_length=16)]
    layers: Annotated[tuple[Layer, ...], Field(min_length=1, max_length=MAX_LAYERS)]
    outputs: Annotated[tuple[Name, ...], Field(min_length=1, max_length=16)]

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
        return self

    @property
    def unsupported(self) -> tuple[UnsupportedLayer, ...]:
        return tuple(x for x in self.layers if isinstance(x, UnsupportedLayer))


# --- training -----------------------------------------------------------------------------------

Beta = Annotated[float, Field(ge=0.0, lt=1.0)]
Positive = Annotated[float, Field(gt=0.0)]


class _Optimizer(Record):
    weight_decay: NonNegative | None = None
    clipnorm: Positive | None = None
    clipvalue: Positive | None = None
    global_clipnorm: Positive | None = None


class SGD(_Optimizer):
    type: Literal["SGD"] = "SGD"
    momentum: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    nesterov: bool = False


class Adam(_Optimizer):
    type: Literal["Adam"] = "Adam"
    beta_1: Beta = 0.9
    beta_2: Beta = 0.999
    epsilon: NonNegative = 1e-7
    amsgrad: bool = False


class Adamax(_Optimizer):
    type: Literal["Adamax"] = "Adamax"
    beta_1: Beta = 0.9
    beta_2: Beta = 0.999
    epsilon: NonNegative = 1e-7


class Nadam(_Optimizer):
    """``schedule_decay`` is Keras 2's exponent of the momentum schedule; Keras 3 has 1."""

    type: Literal["Nadam"] = "Nadam"
    beta_1: Beta = 0.9
    beta_2: Beta = 0.999
    epsilon: NonNegative = 1e-7
    schedule_decay: NonNegative = 1.0


class RMSprop(_Optimizer):
    type: Literal["RMSprop"] = "RMSprop"
    rho: Beta = 0.9
    momentum: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    epsilon: NonNegative = 1e-7
    centered: bool = False


class Adagrad(_Optimizer):
    type: Literal["Adagrad"] = "Adagrad"
    initial_accumulator_value: NonNegative = 0.1
    epsilon: NonNegative = 1e-7


class Adadelta(_Optimizer):
    type: Literal["Adadelta"] = "Adadelta"
    rho: Beta = 0.95
    epsilon: NonNegative = 1e-7


Optimizer = Annotated[SGD | Adam | Adamax | Nadam | RMSprop | Adagrad | Adadelta, Field(discriminator="type")]


class Loss(Record):
    """``from_logits`` as in Keras; labels are one-hot unless the loss is sparse."""

    name: Literal[
        "categorical_crossentropy",
        "sparse_categorical_crossentropy",
        "binary_crossentropy",
        "mean_squared_error",
        "mean_absolute_error",
        "kl_divergence",
        "categorical_hinge",
        "squared_hinge",
        "hinge",
        "poisson",
    ] = "categorical_crossentropy"
    from_logits: bool = False
    label_smoothing: Rate = 0.0


class EarlyStopping(Record):
    type: Literal["EarlyStopping"] = "EarlyStopping"
    monitor: Name
    min_delta: float = 0.0
    patience: Annotated[int, Field(ge=0)] = 0
    mode: Literal["auto", "min", "max"] = "auto"
    baseline: float | None = None
    start_from_epoch: Annotated[int, Field(ge=0)] = 0


class ReduceLROnPlateau(Record):
    type: Literal["ReduceLROnPlateau"] = "ReduceLROnPlateau"
    monitor: Name
    factor: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.1
    patience: Annotated[int, Field(ge=0)] = 10
    mode: Literal["auto", "min", "max"] = "auto"
    min_delta: float = 1e-4
    cooldown: Annotated[int, Field(ge=0)] = 0
    min_lr: NonNegative = 0.0


Callback = Annotated[EarlyStopping | ReduceLROnPlateau, Field(discriminator="type")]


class InputScaling(Record):
    """What the network was fed: ``pixels * scale + offset``, with pixels from 0 to 255."""

    scale: Annotated[float, Field(ge=-1e6, le=1e6)] = 1 / 255
    offset: Annotated[float, Field(ge=-1e6, le=1e6)] = 0.0


class DataUse(Record):
    """Which images of the data set an array holds, as far as they were recognised."""

    split: Literal["train", "test", "mixed", "unrecognised", "none"]
    images: Annotated[int, Field(ge=0)] = 0
    whole_split: bool = False


class TrainingRecipe(Record):
    """One ``fit``: enough to train the same network again.

    ``learning_rates`` holds one value per epoch, or per step (batch) where a schedule changes
    within an epoch, as sampled from the student's own schedule. ``continues`` means that the
    model was not compiled again since the fit before, so the optimizer keeps its state.
    ``unsupported`` lists what was handed in and cannot be retrained from this record.
    """

    optimizer: Optimizer
    loss: Loss = Loss()
    batch_size: Annotated[int, Field(ge=1, le=1_000_000)] = 32
    epochs: Annotated[int, Field(ge=1, le=1_000_000)]
    shuffle: bool = True
    learning_rates: Annotated[tuple[NonNegative, ...], Field(min_length=1, max_length=MAX_SAMPLES)]
    rates_per: Literal["epoch", "step"] = "epoch"
    callbacks: tuple[Callback, ...] = ()
    scaling: InputScaling = InputScaling()
    trained_on: DataUse = DataUse(split="unrecognised")
    validated_on: DataUse = DataUse(split="none")
    continues: bool = False
    cell: int | None = None
    unsupported: tuple[Text, ...] = ()


PUBLISHED_SEEDS = (2019, 2020, 2021, 2022, 2023, 2024, 2025)


class TrainingPolicy(Record):
    """How submissions are retrained, and how chance is dealt with. The same for everyone.

    A network with more than ``max_parameters``, or more than ``max_activations`` values per image,
    is not retrained but left to a person.
    """

    epochs: Annotated[int, Field(ge=1, le=10_000)] = 20
    attempts: Annotated[int, Field(ge=1, le=100)] = 3
    seeds: Annotated[tuple[Annotated[int, Field(ge=0, lt=2**32)], ...], Field(min_length=1)] = PUBLISHED_SEEDS
    metric: Literal["best_epoch", "final", "mean_last_k"] = "best_epoch"
    last_k: Annotated[int, Field(ge=1)] = 3
    decide: Literal["majority", "any", "all"] = "majority"
    stop_when_settled: bool = True
    max_parameters: Annotated[int, Field(ge=1)] = 5_000_000
    max_activations: Annotated[int, Field(ge=1)] = 5_000_000

    @model_validator(mode="after")
    def _enough_seeds(self) -> TrainingPolicy:
        if len(self.seeds) < self.attempts:
            raise ValueError(f"{self.attempts} attempts need as many seeds; {len(self.seeds)} are listed")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("a seed is listed twice")
        return self


# --- what the describing child answers ----------------------------------------------------------


class Note(Record):
    """Something worth telling: what was skipped, read in one of two ways, or failed softly."""

    message: Text
    cell: int | None = None


class CellFailure(Record):
    """A cell that raised: 1-based cell number among the code cells, and the line in it."""

    cell: int
    line: int | None
    error: Text
    excerpt: Text


class DescribedModel(Record):
    """One model of a submission: its network and the fits it went through, in order."""

    name: Name
    network: ModelDescription
    training: tuple[TrainingRecipe, ...] = ()
    fit_order: Annotated[int, Field(ge=0)] = 0  # 0: never fitted; else the rank of its last fit
    cell: int | None = None  # where it was first seen
    compiled: TrainingRecipe | None = None  # of a model compiled but never fitted; epochs are void


Reading = Literal["rows_columns", "strides"]


class Description(Record):
    """All that the untrusted child reports about a submission."""

    models: Annotated[tuple[DescribedModel, ...], Field(max_length=200)] = ()
    notes: tuple[Note, ...] = ()
    failures: tuple[CellFailure, ...] = ()
    keras_era: Literal["keras2", "keras3"] = "keras3"
    ambiguous_calls: Annotated[int, Field(ge=0)] = 0
    reading: Reading | None = None


# --- submissions and claims ---------------------------------------------------------------------


class Cell(Record):
    """A cell of code (with its saved text output) or prose, in document order."""

    kind: Literal["code", "markdown"]
    source: str
    output: str = ""


class Program(Record):
    """A submission as text: cells to run, or the path of a saved model."""

    name: str
    path: str
    digest: str
    cells: tuple[Cell, ...] = ()
    model_file: str | None = None
    python: str | None = None
    notes: tuple[Note, ...] = ()


class Claims(Record):
    """What the saved outputs say: a claim, never a grade."""

    total_parameters: tuple[int, ...] = ()
    epochs_logged: int | None = None
    best_accuracy: float | None = None
    accuracy_source: str = ""


class Problem(Record):
    """Why a submission could not be graded in full, and by whose fault."""

    kind: Literal["student", "unsupported", "broken", "interrupted"]
    message: str
    hint: str = ""
    cell: int | None = None
    excerpt: str = ""


class DatasetSpec(Record):
    """Where a data set lies, its digest, and the `keras.datasets` names it is served under."""

    name: Name
    path: str
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    served_as: tuple[Name, ...] = ()


class DescribeJob(Record):
    """What the describing child is asked: a program, and data without test labels.

    ``files`` is a folder with what came beside the program, ``data`` an npz whose test labels are
    permuted, ``dataset`` the names under which `keras.datasets` serves it; ``reading`` forces one
    reading of `Conv2D(16, 3, 3)`.
    """

    program: Program
    files: str
    data: str
    dataset: tuple[str, ...]
    image_shape: tuple[int, ...]
    seconds: Annotated[int, Field(ge=1)]
    reading: Reading | None = None


class DescribeAnswer(Record):
    """Either a description or the reason why there is none."""

    description: Description | None = None
    problem: Problem | None = None


# --- training runs ------------------------------------------------------------------------------


Ended = Literal[
    "finished", "threshold_reached", "early_stopping", "diverged", "interrupted"
]  # fmt: skip


class Environment(Record):
    """What a run ran on, to reproduce it. The first event of a training child."""

    event: Literal["start"] = "start"
    device: str
    threads: int
    versions: dict[str, str]


class BatchEvent(Record):
    """Progress within an epoch; loss and accuracy are means over the epoch so far."""

    event: Literal["batch"] = "batch"
    epoch: int
    batch: int
    batches: int
    loss: float | None = None
    accuracy: float | None = None


class EpochResult(Record):
    """One epoch; losses are None when they are not finite numbers.

    ``seconds`` is the whole epoch, ``training_seconds`` leaves out the evaluation.
    """

    event: Literal["epoch"] = "epoch"
    epoch: int
    learning_rate: float
    train_loss: float | None
    train_accuracy: float | None
    validation_loss: float | None
    correct: int
    images: int
    seconds: float
    training_seconds: float


class EndEvent(Record):
    event: Literal["end"] = "end"
    ended: Ended


TrainEvent = Environment | BatchEvent | EpochResult | EndEvent


class TrainJob(Record):
    """What the trusted child is asked: one attempt. ``stop_at`` correct images end it early."""

    network: ModelDescription
    training: Annotated[tuple[TrainingRecipe, ...], Field(min_length=1)]
    dataset: DatasetSpec
    seed: int
    max_epochs: Annotated[int, Field(ge=1)]
    stop_at: int | None = None


class TrainingRun(Record):
    """One attempt: one seed, trained from scratch."""

    seed: int
    epochs: tuple[EpochResult, ...]
    ended: Ended
    environment: Environment

    @property
    def best(self) -> EpochResult | None:
        """The first of the epochs with the most correct images."""
        return max(self.epochs, key=lambda e: (e.correct, -e.epoch), default=None)


# --- verdicts -----------------------------------------------------------------------------------

Outcome = Literal["pass", "fail", "borderline", "not_reached", "broken"]


class Evidence(Record):
    """One fact behind a verdict, and where it was found."""

    text: str
    layer: str | None = None
    cell: int | None = None
    epoch: int | None = None


class Verdict(Record):
    """The answer to one criterion."""

    criterion: str
    title: str
    kind: str
    outcome: Outcome
    points: float
    max_points: float
    required: bool
    message: str
    hint: str = ""
    evidence: tuple[Evidence, ...] = ()
    needs_review: bool = False


class ClaimCheck(Record):
    """One claim of the saved outputs held against what was recomputed."""

    claim: str
    found: str
    agrees: bool | None
    remark: str = ""


class LayerRow(Record):
    """A layer as reports list it; shapes without the batch axis, receptive field in pixels."""

    name: str
    type: str
    output_shape: tuple[int, ...] | None
    trainable_parameters: int | None
    non_trainable_parameters: int | None
    receptive_field: tuple[int, int] | None


class GradedModel(Record):
    """The network that was graded, as reports show it."""

    name: str
    total_parameters: int | None
    trainable_parameters: int | None
    non_trainable_parameters: int | None
    layers: tuple[LayerRow, ...]
    recipe: tuple[TrainingRecipe, ...]
    recipe_source: Literal["submission", "compile", "rubric"]


class Provenance(Record):
    """Enough to reproduce the verdict."""

    grader_version: str
    submission_digest: str
    rubric_digest: str
    dataset: str
    dataset_digest: str
    seeds: tuple[int, ...]
    isolation: str
    created: str


class Grade(Record):
    """The whole result for one submission; the JSON report is this record."""

    schema_version: Literal["grader/report/1"] = "grader/report/1"
    submission: str
    rubric: str
    status: Literal["passed", "not_passed", "structure_only", "needs_person", "interrupted"]
    points: float
    max_points: float
    needs_review: bool
    verdicts: tuple[Verdict, ...]
    problem: Problem | None = None
    model: GradedModel | None = None
    runs: tuple[TrainingRun, ...] = ()
    claims: tuple[ClaimCheck, ...] = ()
    notes: tuple[Note, ...] = ()
    provenance: Provenance
