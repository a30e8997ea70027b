"""Records of the trusted child: its job, its events, and the training runs that result."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from grader.layers.network import ModelDescription
from grader.record import Name, Record
from grader.records.training import Engine, TrainingRecipe


class DatasetSpec(Record):
    """The path of a data set, its digest, and the `keras.datasets` names under which it is served."""

    name: Name
    path: str
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    served_as: tuple[Name, ...] = ()


Ended = Literal[
    "finished", "threshold_reached", "early_stopping", "diverged", "interrupted"
]  # fmt: skip


class Environment(Record):
    """What a run needs to be reproduced: device and versions. The first event of a training child.

    ``engine_note`` says why this engine trained where another one would have been faster, and which seeds
    shared a program.
    """

    event: Literal["start"] = "start"
    device: str
    threads: int
    versions: dict[str, str]
    engine: Literal["native", "keras", "jax"] = "keras"
    engine_note: str = ""


class BatchEvent(Record):
    """Progress within an epoch; loss and accuracy are means over the epoch so far."""

    event: Literal["batch"] = "batch"
    epoch: int
    batch: int
    batches: int
    loss: float | None = None
    accuracy: float | None = None


class Changed(Record):
    """How many test images were right after a change: shifted by a pixel, with faint noise."""

    correct: int
    images: int


class EpochResult(Record):
    """One epoch; losses are None when they are not finite numbers.

    ``seconds`` is the whole epoch, ``training_seconds`` leaves out the evaluation. ``changed`` counts a
    replay's answers to changed images, which no code can have memorised.
    """

    event: Literal["epoch"] = "epoch"
    epoch: int
    learning_rate: float | None
    train_loss: float | None
    train_accuracy: float | None
    validation_loss: float | None
    correct: int
    images: int
    seconds: float
    training_seconds: float
    changed: Changed | None = None


class Untrained(Record):
    """Correct test images of a network that has learned nothing.

    ``initial`` counts with the initial weights, ``settled`` after one pass over the training images that
    changes nothing but moving averages (None for a network without any).
    """

    event: Literal["untrained"] = "untrained"
    initial: int
    settled: int | None = None
    images: int

    @property
    def accuracy(self) -> float:
        """The larger of the two counts, as a fraction."""
        return max(self.initial, self.settled or 0) / self.images


class Effects(Record):
    """The results of experiments on a trained network, see `grader.train.effects`.

    ``idle`` are the places (from 0, in the network's list) of layers whose weights change no answer to
    ``images`` images; ``random``, whether the loss of a batch depends on chance: on Dropout, noise or random
    changes of images.
    """

    event: Literal["effects"] = "effects"
    idle: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(fail_fast=True, max_length=1_000)] = ()
    random: bool
    images: int


class SeedRun(Record):
    """The run of a seed that was trained beside another one."""

    seed: int
    untrained: Untrained | None = None
    effects: Effects | None = None
    epochs: tuple[EpochResult, ...]
    ended: Ended
    kept: int | None = None


class EndEvent(Record):
    """The end of training. ``kept`` is the epoch whose weights the model has in the end, if not the last.

    ``beside`` are the runs of the other seeds, where the engine has trained them too.
    """

    event: Literal["end"] = "end"
    ended: Ended
    kept: int | None = None
    beside: tuple[SeedRun, ...] = ()


TrainEvent = Environment | Untrained | Effects | BatchEvent | EpochResult | EndEvent


class Symmetry(Record):
    """The symmetry under which an attempt trains, see `grader.judge.symmetry`.

    Images of class c have the number ``classes[c]``; their own where ``classes`` is empty. Where
    ``transposed``, rows and columns are exchanged.
    """

    classes: Annotated[
        tuple[Annotated[int, Field(ge=0)], ...], Field(fail_fast=True, max_length=100_000)
    ] = ()
    transposed: bool = False


AS_HANDED_IN = Symmetry()


class TrainJob(Record):
    """The job of the trusted child: one attempt. An epoch with ``stop_at`` correct images ends it early.

    The seeds ``beside`` may be trained in the same program, under the same ``symmetry``; only the engine
    "jax" does so.
    """

    network: ModelDescription
    training: Annotated[tuple[TrainingRecipe, ...], Field(fail_fast=True, min_length=1)]
    dataset: DatasetSpec
    seed: int
    beside: Annotated[tuple[int, ...], Field(fail_fast=True, max_length=100)] = ()
    max_epochs: Annotated[int, Field(ge=1)]
    stop_at: int | None = None
    engine: Engine = "auto"
    symmetry: Symmetry = AS_HANDED_IN


class TrainingRun(Record):
    """One attempt: one seed, trained from scratch.

    ``untrained`` counts what the network gets right without learning, ``effects`` names its layers without
    effect; None where that was not measured. ``kept`` is the epoch whose weights the model has in the end,
    where that is not the last one. A ``replayed`` run is the submission's own code, see `grader.ask.replay`;
    ``touched`` counts the parameters that its optimizers changed.
    """

    seed: int
    epochs: tuple[EpochResult, ...]
    ended: Ended
    kept: int | None = None
    replayed: bool = False
    touched: int | None = None
    symmetry: Symmetry = AS_HANDED_IN
    untrained: Untrained | None = None
    effects: Effects | None = None
    environment: Environment

    @property
    def best(self) -> EpochResult | None:
        """The first of the epochs with the most correct images; None without an epoch."""
        return max(self.epochs, key=lambda e: (e.correct, -e.epoch), default=None)
