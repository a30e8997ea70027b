"""A training recipe as handed in, and the policy under which it is retrained."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from grader.records.base import NonNegative, Number, Positive, Rate, Record, Text

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


Monitor = Literal["loss", "accuracy", "val_loss", "val_accuracy"]


class EarlyStopping(Record):
    type: Literal["EarlyStopping"] = "EarlyStopping"
    monitor: Monitor
    min_delta: Number = 0.0
    patience: Annotated[int, Field(ge=0)] = 0
    mode: Literal["auto", "min", "max"] = "auto"
    baseline: Number | None = None
    start_from_epoch: Annotated[int, Field(ge=0)] = 0


class ReduceLROnPlateau(Record):
    type: Literal["ReduceLROnPlateau"] = "ReduceLROnPlateau"
    monitor: Monitor
    factor: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.1
    patience: Annotated[int, Field(ge=0)] = 10
    mode: Literal["auto", "min", "max"] = "auto"
    min_delta: Number = 1e-4
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
    learning_rates: Annotated[
        tuple[NonNegative, ...], Field(fail_fast=True, min_length=1, max_length=MAX_SAMPLES)
    ]
    rates_per: Literal["epoch", "step"] = "epoch"
    callbacks: Annotated[tuple[Callback, ...], Field(fail_fast=True, max_length=50)] = ()
    scaling: InputScaling = InputScaling()
    trained_on: DataUse = DataUse(split="unrecognised")
    validated_on: DataUse = DataUse(split="none")
    continues: bool = False
    cell: int | None = None
    unsupported: Annotated[tuple[Text, ...], Field(fail_fast=True, max_length=100)] = ()


# "auto": on a machine without a GPU the native engine, wherever it covers network and recipe; else Keras.
# "native": also on a machine with one.
Engine = Literal["auto", "native", "keras"]

PUBLISHED_SEEDS = (2019, 2020, 2021, 2022, 2023, 2024, 2025)


class TrainingPolicy(Record):
    """How submissions are retrained, and how chance is dealt with. The same for everyone.

    A network with more than ``max_parameters``, or more than ``max_activations`` values or
    ``max_multiplications`` per image, is not retrained but left to a person. ``engine`` "native" is
    the fast one for processors ("auto" takes it on machines without a GPU); what it does not cover, Keras
    trains.
    """

    epochs: Annotated[int, Field(ge=1, le=10_000)] = 20
    attempts: Annotated[int, Field(ge=1, le=100)] = 3
    seeds: Annotated[
        tuple[Annotated[int, Field(ge=0, lt=2**32)], ...], Field(fail_fast=True, min_length=1)
    ] = PUBLISHED_SEEDS
    metric: Literal["best_epoch", "final", "mean_last_k"] = "best_epoch"
    last_k: Annotated[int, Field(ge=1)] = 3
    decide: Literal["majority", "any", "all"] = "majority"
    stop_when_settled: bool = True
    engine: Engine = "auto"
    max_parameters: Annotated[int, Field(ge=1)] = 5_000_000
    max_activations: Annotated[int, Field(ge=1)] = 1_000_000
    max_multiplications: Annotated[int, Field(ge=1)] = 500_000_000

    @model_validator(mode="after")
    def _enough_seeds(self) -> TrainingPolicy:
        if len(self.seeds) < self.attempts:
            raise ValueError(f"{self.attempts} attempts need as many seeds; {len(self.seeds)} are listed")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("a seed is listed twice")
        return self
