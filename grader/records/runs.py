"""The trusted child: its job, its events, and the training runs that come of them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from grader.record import Name, Record
from grader.records.network import ModelDescription
from grader.records.training import Engine, TrainingRecipe


class DatasetSpec(Record):
    """Where a data set lies, its digest, and the `keras.datasets` names it is served under."""

    name: Name
    path: str
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    served_as: tuple[Name, ...] = ()


Ended = Literal[
    "finished", "threshold_reached", "early_stopping", "diverged", "interrupted"
]  # fmt: skip


class Environment(Record):
    """What a run ran on, to reproduce it. The first event of a training child.

    ``engine_note`` says why it was this engine, where another one would have been faster, and which seeds
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
    """How many of some changed test images were right: shifted by a pixel, with faint noise."""

    correct: int
    images: int


class EpochResult(Record):
    """One epoch; losses are None when they are not finite numbers.

    ``seconds`` is the whole epoch, ``training_seconds`` leaves out the evaluation. ``changed`` is what a
    replay makes of changed images, which nobody can know by heart.
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

    By its ``initial`` weights, and ``settled`` after one pass over its training images that moved nothing but
    moving averages (None where it has none).
    """

    event: Literal["untrained"] = "untrained"
    initial: int
    settled: int | None = None
    images: int

    @property
    def accuracy(self) -> float:
        """The larger of the two, as a fraction."""
        return max(self.initial, self.settled or 0) / self.images


class Effects(Record):
    """What experiments on a trained network showed, see `grader.train.effects`.

    ``idle`` are the places (from 0, in the network's list) of layers whose weights change no answer to
    ``images`` images; ``random``, whether the loss of a batch depends on chance: on Dropout, noise or random
    changes of images.
    """

    event: Literal["effects"] = "effects"
    idle: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(fail_fast=True, max_length=1_000)] = ()
    random: bool
    images: int


class SeedRun(Record):
    """What became of a seed that was trained beside another one."""

    seed: int
    untrained: Untrained | None = None
    effects: Effects | None = None
    epochs: tuple[EpochResult, ...]
    ended: Ended
    kept: int | None = None


class EndEvent(Record):
    """``kept`` is the epoch whose weights the model has in the end, where that is not the last one.

    ``beside`` are the runs of the other seeds, where the engine has trained them too.
    """

    event: Literal["end"] = "end"
    ended: Ended
    kept: int | None = None
    beside: tuple[SeedRun, ...] = ()


TrainEvent = Environment | Untrained | Effects | BatchEvent | EpochResult | EndEvent


class Symmetry(Record):
    """What an attempt trains on, see `grader.judge.symmetry`.

    Images of class c have the number ``classes[c]``, or their own where there are none; ``transposed`` ones
    have their rows and columns exchanged.
    """

    classes: Annotated[
        tuple[Annotated[int, Field(ge=0)], ...], Field(fail_fast=True, max_length=100_000)
    ] = ()
    transposed: bool = False


AS_HANDED_IN = Symmetry()


class TrainJob(Record):
    """What the trusted child is asked: one attempt. ``stop_at`` correct images end it early.

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

    ``untrained`` is what the network gets right without learning, ``effects`` which of its layers do
    something; None where that was not measured.
    ``kept`` is the epoch whose weights the model has in the end, where that is not the last one.
    ``replayed`` ones ran the submission's own code, see `grader.ask.replay`; ``touched`` counts the
    parameters that its optimizers changed.
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
        """The first of the epochs with the most correct images."""
        return max(self.epochs, key=lambda e: (e.correct, -e.epoch), default=None)
