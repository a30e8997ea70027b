"""A training recipe as handed in, and the policy under which it is retrained."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from grader.reasons import Reason
from grader.record import Name, NonNegative, Number, Positive, Rate, Record, Text

MAX_REASONS = 100  # in one fit
MAX_SAMPLES = 350_000  # learning rates in one recipe: 20 epochs of batches of four; they fit into an answer

Beta = Annotated[float, Field(ge=0.0, lt=1.0)]


class _Optimizer(Record):
    weight_decay: NonNegative | None = None
    clipnorm: Positive | None = None
    clipvalue: Positive | None = None
    global_clipnorm: Positive | None = None

    @model_validator(mode="after")
    def _one_clipping(self) -> Self:
        if sum(x is not None for x in (self.clipnorm, self.clipvalue, self.global_clipnorm)) > 1:
            raise ValueError("only one kind of gradient clipping at a time")
        return self


class SGD(_Optimizer):
    """Gradient descent, with ``momentum`` if it is not 0."""

    type: Literal["SGD"] = "SGD"
    momentum: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    nesterov: bool = False


class Adam(_Optimizer):
    """Adam (Kingma and Ba, 2015), or AMSGrad; settings by Keras's names."""

    type: Literal["Adam"] = "Adam"
    beta_1: Beta = 0.9
    beta_2: Beta = 0.999
    epsilon: NonNegative = 1e-7
    amsgrad: bool = False


class Adamax(_Optimizer):
    """Adam with the largest gradient in place of their squares (Kingma and Ba, 2015)."""

    type: Literal["Adamax"] = "Adamax"
    beta_1: Beta = 0.9
    beta_2: Beta = 0.999
    epsilon: NonNegative = 1e-7


class Nadam(_Optimizer):
    """Adam with Nesterov momentum (Dozat, 2016).

    ``schedule_decay`` is Keras 2's exponent of the momentum schedule; Keras 3 has 1.
    """

    type: Literal["Nadam"] = "Nadam"
    beta_1: Beta = 0.9
    beta_2: Beta = 0.999
    epsilon: NonNegative = 1e-7
    schedule_decay: NonNegative = 1.0


class RMSprop(_Optimizer):
    """RMSprop (Tieleman and Hinton, 2012); ``centered`` scales by the variance of gradients."""

    type: Literal["RMSprop"] = "RMSprop"
    rho: Beta = 0.9
    momentum: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    epsilon: NonNegative = 1e-7
    centered: bool = False


class Adagrad(_Optimizer):
    """Adagrad (Duchi, Hazan and Singer, 2011)."""

    type: Literal["Adagrad"] = "Adagrad"
    initial_accumulator_value: NonNegative = 0.1
    epsilon: NonNegative = 1e-7


class Adadelta(_Optimizer):
    """Adadelta (Zeiler, 2012)."""

    type: Literal["Adadelta"] = "Adadelta"
    rho: Beta = 0.95
    epsilon: NonNegative = 1e-7


Optimizer = Annotated[SGD | Adam | Adamax | Nadam | RMSprop | Adagrad | Adadelta, Field(discriminator="type")]


class Loss(Record):
    """A loss by its name in Keras; ``from_logits`` as in Keras, labels one-hot unless the loss is sparse."""

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


Monitor = Literal["loss", "accuracy", "val_loss", "val_accuracy"]


class EarlyStopping(Record):
    """As in Keras; `TrainingRecipe.keeps` says whether the best weights come back."""

    type: Literal["EarlyStopping"] = "EarlyStopping"
    monitor: Monitor
    min_delta: Number = 0.0
    patience: Annotated[int, Field(ge=0)] = 0
    mode: Literal["auto", "min", "max"] = "auto"
    baseline: Number | None = None
    start_from_epoch: Annotated[int, Field(ge=0)] = 0


class ReduceLROnPlateau(Record):
    """As in Keras: ``factor`` lowers the rate after ``patience`` epochs in which ``monitor`` is no better."""

    type: Literal["ReduceLROnPlateau"] = "ReduceLROnPlateau"
    monitor: Monitor
    factor: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.1
    patience: Annotated[int, Field(ge=0)] = 10
    mode: Literal["auto", "min", "max"] = "auto"
    min_delta: Number = 1e-4
    cooldown: Annotated[int, Field(ge=0)] = 0
    min_lr: NonNegative = 0.0


class StopAt(Record):
    """A callback of the student's own: training ends once ``monitor`` is ``above`` or ``below`` a value."""

    type: Literal["StopAt"] = "StopAt"
    monitor: Monitor
    value: Number
    side: Literal["above", "below"]


Callback = Annotated[EarlyStopping | ReduceLROnPlateau | StopAt, Field(discriminator="type")]


class Kept(Record):
    """The weights that a model goes on with after a fit, where these are not the last epoch's.

    They are those of the best epoch by ``monitor``, or of ``epoch`` (from 1, within its fit).
    """

    monitor: Monitor = "val_loss"
    mode: Literal["min", "max"] = "min"
    epoch: Annotated[int, Field(ge=1)] | None = None


# --- what the network was fed -------------------------------------------------------------------

Factor = Annotated[float, Field(ge=-1e6, le=1e6)]
PixelMap = Annotated[tuple[Factor, ...], Field(fail_fast=True, max_length=200_000)]


class InputScaling(Record):
    """What the network was fed: ``pixels * scale + offset``, with pixels from 0 to 255.

    ``pixel_scale`` and ``pixel_offset`` hold one number per pixel and channel, in row-major order, where
    each has its own; ``scale`` and ``offset`` mean nothing then, nor do they where ``per_image`` says that
    every image was normalised by itself (`grader.data.images` has the formulas).
    """

    scale: Factor = 1 / 255
    offset: Factor = 0.0
    pixel_scale: PixelMap = ()
    pixel_offset: PixelMap = ()
    per_image: Literal["", "standardized", "unit_columns", "unit_rows", "unit_image", "unit_range"] = ""


Resize = Literal["nearest", "nearest_corner", "bilinear", "bilinear_corner", "bilinear_aligned", "bicubic",
                 "bicubic_cv", "area"]  # fmt: skip
Edge = Annotated[int, Field(ge=1, le=1_000)]
Border = Annotated[int, Field(ge=0, le=500)]


class Geometry(Record):
    """What was done to the images before they were scaled: resized, padded, repeated along channels.

    ``resized`` is (rows, columns) by ``method`` (`grader.data.images` has the formulas); ``padding`` is
    ((top, bottom), (left, right)) of the pixel value ``padded_with``; ``channels`` repeats a single one.
    """

    resized: tuple[Edge, Edge] | None = None
    method: Resize = "bilinear"
    padding: tuple[tuple[Border, Border], tuple[Border, Border]] = ((0, 0), (0, 0))
    padded_with: Factor = 0.0
    channels: Annotated[int, Field(ge=1, le=4)] = 1

    def shape_of(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """Return (rows, columns, channels) of images of ``shape`` after these changes."""
        rows, columns = self.resized or shape[:2]
        (top, bottom), (left, right) = self.padding
        return rows + top + bottom, columns + left + right, shape[2] * self.channels


Range = Annotated[float, Field(ge=-1e4, le=1e4)]
Shift = Annotated[int, Field(ge=-1_000, le=1_000)] | Range
Zoom = Annotated[float, Field(gt=0, le=100)]


class Augmentation(Record):
    """Random changes to each training image, by the names and units of Keras's ImageDataGenerator.

    Rotation in degrees; shear in degrees. A shift is drawn from a range in pixels or, below 1, in parts of
    the image; for a whole number, from the whole pixels below that number.
    """

    rotation_range: Annotated[float, Field(ge=0, le=360)] = 0.0
    width_shift_range: Shift = 0.0
    height_shift_range: Shift = 0.0
    shear_range: Range = 0.0
    zoom_range: tuple[Zoom, Zoom] = (1.0, 1.0)
    channel_shift_range: Range = 0.0
    fill_mode: Literal["constant", "nearest", "reflect", "wrap"] = "nearest"
    cval: Range = 0.0
    horizontal_flip: bool = False
    vertical_flip: bool = False
    samplewise_center: bool = False
    samplewise_std_normalization: bool = False


Rows = Annotated[
    tuple[tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=1)]], ...],
    Field(fail_fast=True, max_length=200_000),
]


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
    ``steps_per_epoch`` batches make an epoch where that is not one pass over the images.
    ``rows`` are the images of the training split that were trained on, as ranges [first, last + 1);
    none for all of them. ``held_out`` are those that callbacks were shown as validation data; none for the
    test split. ``sample_weights`` stand in the order of ``rows``. ``frozen`` names layers that did not
    train in this fit, where those differ from the network's. ``pretrained`` names the weights it started
    from, where these came with the submission and no fit made them. ``unsupported`` lists what
    was handed in and cannot be retrained from this record.
    """

    optimizer: Optimizer
    loss: Loss = Loss()
    batch_size: Annotated[int, Field(ge=1, le=1_000_000)] = 32
    epochs: Annotated[int, Field(ge=1, le=1_000_000)]
    shuffle: bool = True
    learning_rates: Annotated[
        tuple[NonNegative, ...], Field(fail_fast=True, min_length=1, max_length=MAX_SAMPLES)
    ]
    rates_per: Literal["epoch", "step"] = "epoch"
    callbacks: Annotated[tuple[Callback, ...], Field(fail_fast=True, max_length=50)] = ()
    scaling: InputScaling = InputScaling()
    geometry: Geometry = Geometry()
    augmentation: Augmentation | None = None
    steps_per_epoch: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    rows: Rows = ()
    held_out: Rows = ()
    class_weights: Annotated[tuple[NonNegative, ...], Field(fail_fast=True, max_length=1_000)] = ()
    sample_weights: Annotated[tuple[NonNegative, ...], Field(fail_fast=True, max_length=MAX_SAMPLES)] = ()
    frozen: Annotated[tuple[Name, ...], Field(fail_fast=True, max_length=1_000)] | None = None
    keeps: Kept | None = None
    pretrained: Text = ""
    trained_on: DataUse = DataUse(split="unrecognised")
    validated_on: DataUse = DataUse(split="none")
    continues: bool = False
    cell: int | None = None
    unsupported: Annotated[tuple[Reason, ...], Field(fail_fast=True, max_length=MAX_REASONS)] = ()

    def passes(self, images: int) -> float:
        """Return how many passes over its images an epoch makes, of a training split of ``images``."""
        rows = sum(last - first for first, last in self.rows) or images
        once = math.ceil(rows / self.batch_size)
        return (self.steps_per_epoch or once) / once


# "auto": on a machine with a GPU Keras on JAX, an epoch as one program, if JAX is installed; without a GPU
# the native engine; for what these do not cover Keras's `fit` on TensorFlow. By name: wherever possible.
Engine = Literal["auto", "native", "jax", "keras"]

PASSES_SLACK = 0.5  # of a pass: many submissions round the steps of an epoch up

PUBLISHED_SEEDS = (2019, 2020, 2021, 2022, 2023, 2024, 2025)


class TrainingPolicy(Record):
    """How submissions are retrained, and how chance is dealt with. The same for everyone.

    Retraining ends after ``epochs``, and after ``passes`` over the images, where a submission's epochs are
    longer than one pass.

    What cannot be described is replayed, where ``replay`` allows it: see `grader.ask.replay`.

    A network with more than ``max_parameters``, or more than ``max_activations`` values or
    ``max_multiplications`` per image, is not retrained but left to a person. ``engine`` "native" is
    the fast one for processors ("auto" takes it on machines without a GPU), "jax" the one for GPUs ("auto"
    takes it there, where JAX is installed); what they do not cover, Keras trains. "jax" may train several
    ``seeds_at_once`` in one program: worth it on a GPU that one network leaves idle.
    """

    epochs: Annotated[int, Field(ge=1, le=10_000)] = 20
    passes: Annotated[float, Field(gt=0, le=1_000_000)] | None = (
        None  # over the images; None: as many as epochs
    )
    replay: Literal["allowed", "forbidden"] = "allowed"
    replay_seconds: Annotated[int, Field(ge=10)] = 7_200  # for one attempt
    attempts: Annotated[int, Field(ge=1, le=100)] = 3
    seeds: Annotated[
        tuple[Annotated[int, Field(ge=0, lt=2**32)], ...], Field(fail_fast=True, min_length=1)
    ] = PUBLISHED_SEEDS
    metric: Literal["best_epoch", "final", "mean_last_k"] = "best_epoch"
    last_k: Annotated[int, Field(ge=1)] = 3
    decide: Literal["majority", "any", "all"] = "majority"
    stop_when_settled: bool = True
    engine: Engine = "auto"
    seeds_at_once: Annotated[int, Field(ge=1, le=100)] = 1
    max_parameters: Annotated[int, Field(ge=1)] = 5_000_000
    max_activations: Annotated[int, Field(ge=1)] = 1_000_000
    max_multiplications: Annotated[int, Field(ge=1)] = 500_000_000

    @property
    def passes_at_most(self) -> float:
        """The most passes over the images: ``passes``, or as many as epochs."""
        return self.epochs if self.passes is None else self.passes

    def epochs_of(self, recipe: Sequence[TrainingRecipe], images: int) -> int:
        """Return the epochs of a recipe's fits within the limits on epochs and on passes over the images."""
        passes, count = 0.0, 0
        for fit in recipe:
            for _ in range(min(fit.epochs, self.epochs - count)):
                passes += fit.passes(images)
                if passes > self.passes_at_most + PASSES_SLACK:
                    return count
                count += 1
        return count

    @model_validator(mode="after")
    def _enough_seeds(self) -> TrainingPolicy:
        if len(self.seeds) < self.attempts:
            raise ValueError(f"{self.attempts} attempts need as many seeds; {len(self.seeds)} are listed")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("a seed is listed twice")
        return self
