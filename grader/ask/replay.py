"""Replay: what cannot be retrained from a description is trained by its own code, in its box.

That is a lower assurance than retraining, and reports say so: it never passes unattended. The child gets the
training split, and the test images in an order that it does not know, without their labels; after each epoch
it hands over a class for each test image, and for some test images that were changed a little. Only this
process knows the labels and counts. So the predictions are measured; that the network learned to make them
within N epochs, from nothing but the training split, is the child's word, within bounds: the child gets no
weights that came with the submission and a limited time, its network must be the one that was described, and
it is stopped after the last epoch that counts.
"""

from __future__ import annotations

import base64
import binascii
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import TYPE_CHECKING

from grader import __version__
from grader.ask.answer import LINE_BYTES
from grader.ask.asker import Asker, ReplayWish
from grader.ask.training import Runs, Stopped, Watcher
from grader.box.sandbox import Child
from grader.box.sandbox import Ended as ChildEnded
from grader.data import datasets
from grader.errors import BrokenError, GraderError
from grader.intake.load import load
from grader.layers.shapes import analyse
from grader.records import (
    Changed,
    Ended,
    Environment,
    EpochResult,
    ModelDescription,
    Reading,
    ReplayAnswer,
    ReplayEnd,
    ReplayEpoch,
    TrainingRun,
    TrainJob,
    because,
)
from grader.safe import strict_json

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True)
class Replay:
    """What to replay: the submission at ``path``, the number of its model, and seconds for an attempt.

    ``network`` is the described model; ``parameters`` counts those of all described models, if known.
    """

    path: Path
    digest: str
    model: int
    seconds: int
    asker: Asker
    network: ModelDescription
    parameters: int | None = None
    reading: Reading | None = None


class _Enough(Exception):
    """Raised to end the child, when nothing that it could still answer would count."""


class Replaying:
    """One attempt: a replaying child, and how many of its predictions were correct."""

    def __init__(self, replay: Replay, job: TrainJob, watcher: Watcher) -> None:
        """Take the seed, the threshold count and the most epochs from ``job``, and nothing else."""
        self.replay, self.job, self.watcher = replay, job, watcher
        self.labels: npt.NDArray[np.int64] = replay.asker.dataset.y_test
        self.changed_labels = self.labels
        self.seen = False  # whether the child has described the network that trains
        self.touched = 0  # parameters that optimizers of the child have changed
        self.epochs: list[EpochResult] = []
        self.ready = self.reached = self._stopped = False
        self.end: ReplayEnd | None = None
        self._child: Child | None = None
        self.began = time.monotonic()

    def run(self) -> Runs:
        """Replay to the end. Raises `Unsupported` if that cannot be done, `Stopped` on ^C, `BrokenError`."""
        try:
            ended = self._replay()
        except KeyboardInterrupt:
            raise Stopped(self._so_far("interrupted")) from None
        if ended is not None and (self.end is None or self.end.refused is not None):
            raise self._failure(ended)
        if not self.epochs:
            raise because("replay_empty").error()
        return (self._so_far("threshold_reached" if self.reached else "finished"),)

    def stop(self) -> None:
        """End the attempt from another thread; `run` then raises `BrokenError`."""
        self._stopped = True
        if self._child is not None:
            self._child.kill()

    @property
    def pid(self) -> int | None:
        """The process id of the child, once it has started."""
        return self._child.pid if self._child is not None else None

    def _started(self, child: Child) -> None:
        self._child = child
        if self._stopped:
            child.kill()

    def _replay(self) -> ChildEnded | None:
        """Run the child; return how it ended, None if this process ended it, as nothing more would count."""
        dataset = self.replay.asker.dataset
        with tempfile.TemporaryDirectory(prefix="grader-") as scratch:
            loaded = load(self.replay.path, Path(scratch))
            if loaded.program.digest != self.replay.digest:
                raise BrokenError("the submission was changed while it was graded", "Grade it again.")
            data = Path(scratch) / "data" / Path(dataset.spec.path).name
            data.parent.mkdir()
            order, changed = datasets.write_shuffled(dataset, data)
            self.labels, self.changed_labels = dataset.y_test[order], dataset.y_test[changed]
            try:
                return self.replay.asker.replay(loaded, data, self._wish(), self._answer, self._started)
            except _Enough:
                return None

    def _wish(self) -> ReplayWish:
        images = len(self.labels) + len(self.changed_labels)
        # A class has four bytes, in base64; two lines more hold the description of the network.
        size = images * 6 + 2_000
        return ReplayWish(
            seconds=self.replay.seconds,
            answer_bytes=size * (self.job.max_epochs + 2) + 2 * LINE_BYTES,
            seed=self.job.seed,
            model=self.replay.model,
            reading=self.replay.reading,
        )

    def _answer(self, line: bytes) -> None:
        try:
            event = strict_json.parse(line, ReplayAnswer, LINE_BYTES).event
        except ValueError as error:
            raise because("replay_invalid", detail=error).error() from None
        self.ready = True
        if isinstance(event, ReplayEnd):
            self.end = event
        elif isinstance(event, ReplayEpoch):
            self._epoch(event)

    def _epoch(self, event: ReplayEpoch) -> None:
        self._check(event)
        correct = self._count(event.predictions, self.labels)
        seconds = round(time.monotonic() - self.began, 3)
        self.began = time.monotonic()
        result = EpochResult(
            epoch=len(self.epochs) + 1,
            learning_rate=event.learning_rate,
            train_loss=event.train_loss,
            train_accuracy=event.train_accuracy,
            validation_loss=None,
            correct=correct,
            images=len(self.labels),
            seconds=seconds,
            training_seconds=seconds,
            changed=self._changed(event.changed) if event.changed else None,
        )
        self.epochs.append(result)
        self.watcher.epoch(result)
        self.reached = self.job.stop_at is not None and correct >= self.job.stop_at
        if self.reached or len(self.epochs) >= self.job.max_epochs:
            raise _Enough

    def _check(self, event: ReplayEpoch) -> None:
        """Raise `Unsupported` where another network trains than the described one, or too many weights."""
        described, self.touched = self.replay.network, event.touched
        if event.network is not None:
            self.seen = True
            if _thawed(event.network) != _thawed(described):
                raise because("replay_other_network", _size(described), _size(event.network)).error()
        if not self.seen:
            raise because("replay_no_network").error()
        if self.replay.parameters is not None and self.touched > self.replay.parameters:
            known = f"{self.replay.parameters:,}"
            raise because("replay_other_models", f"{self.touched:,}", known).error()

    def _changed(self, predictions: str) -> Changed:
        correct = self._count(predictions, self.changed_labels)
        return Changed(correct=correct, images=len(self.changed_labels))

    def _count(self, predictions: str, labels: npt.NDArray[np.int64]) -> int:
        """Count correct ``predictions``, npy (n,) in base64. Raises `Unsupported` unless they are classes."""
        from grader.safe import npy

        try:
            classes = npy.read(base64.b64decode(predictions, validate=True))
        except (ValueError, binascii.Error) as error:
            raise because("replay_unreadable", detail=error).error() from None
        if classes.dtype.kind not in "iu" or classes.shape != labels.shape:
            raise because("replay_misshapen", f"{classes.dtype} {classes.shape}").error()
        return int((classes == labels).sum())

    def _failure(self, ended: ChildEnded) -> GraderError:
        if self._stopped:
            return BrokenError("the replay was stopped")
        if not self.ready:
            return BrokenError(f"the process that replays submissions did not start:\n{ended.log[-2_000:]}")
        if self.end is not None and self.end.refused is not None:
            return because("replay_refused", detail=self.end.refused.sentence).error()
        why = {
            "time": f"it took longer than {self.replay.seconds:,} s",
            "memory": "it took too much memory",
            "": f"its process ended with status {ended.returncode}",
        }.get(ended.stopped, f"it was stopped ({ended.stopped})")
        return because("replay_ended", why, len(self.epochs)).error()

    def _so_far(self, how: Ended) -> TrainingRun:
        return TrainingRun(
            seed=self.job.seed,
            epochs=tuple(self.epochs),
            ended=how,
            replayed=True,
            touched=self.touched,
            environment=_environment(),
        )


def _thawed(network: ModelDescription) -> ModelDescription:
    """Return the network with layers called by place and all trainable, which may change from fit to fit."""
    layers = tuple(x.model_copy(update={"trainable": True}) for x in network.canonical().layers)
    return network.canonical().model_copy(update={"layers": layers})


def _size(network: ModelDescription) -> str:
    total = analyse(network, reported=True).total
    return "unknown" if total is None else f"{total:,}"


def _environment() -> Environment:
    """Return this process's environment: the child shares interpreter and libraries, and is not asked."""
    libraries = {name: version(name) for name in ("tensorflow", "keras", "numpy")}
    return Environment(
        device="CPU, in the submission's box",
        threads=2,
        versions={"grader": __version__, "python": python_version(), **libraries},
    )
