"""One attempt at retraining as a piece of work: when two attempts are the same, and how one is made.

Identical work is done once: same network, recipe, data, seed, trainer and backend. Names of layers and
cells make no difference to training, so they make none here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from grader import __version__
from grader import records as r
from grader.ask.replay import Replay, Replaying
from grader.ask.training import Training, Watcher

TRAINER = 3  # raised whenever `grader.train` computes other numbers for the same job
LIBRARIES = ("tensorflow", "keras", "numba", "numpy", "jax")  # what the engines compute with, if installed


Work = Training | Replaying
"""An attempt under way: `run` for its runs, `stop` from another thread, and the `pid` of its child."""


@dataclass(frozen=True)
class Attempt:
    """The ``number``-th of at most ``attempts`` runs of one network; ``job`` names its seed.

    The job's ``beside`` may name the seeds of the next attempts: an engine that can trains them together.

    With a ``replay`` the submission's own code trains; of the job only seed, epochs and threshold count.
    """

    job: r.TrainJob
    number: int = 1
    attempts: int = 1
    replay: Replay | None = None

    @property
    def epochs(self) -> int:
        """The most epochs that the attempt may train."""
        if self.replay is not None:
            return self.job.max_epochs
        return min(self.job.max_epochs, sum(fit.epochs for fit in self.job.training))

    @cached_property
    def key(self) -> str:
        """A digest of the work: the same for equal work, however far it may go (see `usable`)."""
        if self.replay is not None:
            parts: dict[str, Any] = {
                "replay": self.replay.digest, "model": self.replay.model, "seed": self.job.seed,
                "reading": self.replay.reading, "grader": __version__,
                "isolated": self.replay.asker.isolation.closed,
            }  # fmt: skip
        else:
            parts = self.job.model_dump(
                mode="json",
                exclude={"dataset": True, "max_epochs": True, "stop_at": True, "beside": True},
            )
        parts |= {"dataset": self.job.dataset.sha256, "trainer": trainer()}
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def of(self, seed: int) -> Attempt:
        """Return the attempt with another ``seed``: the job's own, or one that is trained beside it."""
        beside = (self.job.seed, *self.job.beside).index(seed)
        job = self.job.model_copy(update={"seed": seed, "beside": ()})
        return replace(self, job=job, number=self.number + beside)

    def training(self, watcher: Watcher, setting: Mapping[str, str] | None = None) -> Work:
        """Return the work, to be run at once; ``setting`` is added to a training child's environment."""
        watcher.attempt(self.number, self.attempts, self.job.seed, self.epochs)
        if self.replay is not None:
            return Replaying(self.replay, self.job, watcher)
        return Training(self.job, watcher, setting)


@cache
def trainer() -> str:
    """Return in one text the versions that a run's numbers depend on: of libraries, and `TRAINER`."""
    installed = []
    for name in LIBRARIES:
        with suppress(PackageNotFoundError):
            installed.append(f"{name} {version(name)}")
    return ", ".join([*installed, f"trainer {TRAINER}"])


def bare(recipe: r.TrainingRecipe, network: r.ModelDescription) -> r.TrainingRecipe:
    """Return a recipe without the fields that do not change training; ``frozen`` gives layers by place."""
    unused = ("trained_on", "validated_on", "cell", "unsupported")
    changed: dict[str, Any] = {name: r.TrainingRecipe.model_fields[name].default for name in unused}
    if recipe.frozen is not None:
        places = {layer.name: f"layer_{number}" for number, layer in enumerate(network.layers)}
        changed["frozen"] = tuple(places[name] for name in recipe.frozen if name in places)
    return recipe.model_copy(update=changed)


class Made(r.Record):
    """A run that came to its end, and the limits it had: epochs, and correct images to stop at."""

    run: r.TrainingRun
    max_epochs: int
    stop_at: int | None = None


def made(attempt: Attempt, run: r.TrainingRun) -> Made:
    """Return the ``run`` of an ``attempt``, with the limits of the attempt's job."""
    return Made(run=run, max_epochs=attempt.job.max_epochs, stop_at=attempt.job.stop_at)


def usable(made: Made, job: r.TrainJob) -> r.TrainingRun | None:
    """Truncate a stored run to what ``job`` asks for; None if it stopped too early.

    Training is the same from epoch to epoch whatever ends it, so a run is cut where ``job`` would have ended.
    Where the end of a fit brings kept weights back, only a run with the same limits will do.
    """
    as_asked = (made.max_epochs, made.stop_at) == (job.max_epochs, job.stop_at)
    if not as_asked and any(fit.keeps for fit in job.training):
        return None
    epochs = made.run.epochs[: job.max_epochs]
    for count, epoch in enumerate(epochs, 1):
        if job.stop_at is not None and epoch.correct >= job.stop_at:
            return _cut(made.run, count, "threshold_reached")
    if len(epochs) == job.max_epochs:
        return _cut(made.run, len(epochs), "finished")
    complete = made.max_epochs >= job.max_epochs and made.run.ended != "threshold_reached"
    all_epochs = len(epochs) == sum(fit.epochs for fit in job.training)
    if not complete and not all_epochs:
        return None
    return made.run if complete else _cut(made.run, len(epochs), "finished")


def _cut(run: r.TrainingRun, count: int, ended: r.Ended) -> r.TrainingRun:
    """Return the first ``count`` epochs of a run; one that ended there by itself keeps its own ``ended``."""
    by_itself = count == len(run.epochs) and run.ended in ("diverged", "early_stopping")
    kept = run.kept if count == len(run.epochs) else None
    epochs = run.epochs[:count]
    return run.model_copy(update={"epochs": epochs, "ended": run.ended if by_itself else ended, "kept": kept})
