"""One attempt at retraining as a piece of work: what makes two of them the same, and how it is done.

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

TRAINER = 3  # counted up whenever `grader.train` would come to other numbers
LIBRARIES = ("tensorflow", "keras", "numba", "numpy", "jax")  # what the engines compute with, if installed


Work = Training | Replaying
"""An attempt under way: `run` for its runs, `stop` from another thread, and the `pid` of its child."""


@dataclass(frozen=True)
class Attempt:
    """The ``number``-th of at most ``attempts`` runs of one network; ``job`` names its seed.

    The job may name those of the next attempts beside it, which are then made with it if the engine can.

    With a ``replay`` it is the submission's own code that trains, and of the job no more than seed, epochs
    and threshold count.
    """

    job: r.TrainJob
    number: int = 1
    attempts: int = 1
    replay: Replay | None = None

    @property
    def epochs(self) -> int:
        if self.replay is not None:
            return self.job.max_epochs
        return min(self.job.max_epochs, sum(fit.epochs for fit in self.job.training))

    @cached_property
    def key(self) -> str:
        """The same for the same work, however far it may go: see `usable`."""
        if self.replay is not None:
            told: dict[str, Any] = {
                "replay": self.replay.digest, "model": self.replay.model, "seed": self.job.seed,
                "reading": self.replay.reading, "grader": __version__,
                "isolated": self.replay.asker.isolation.closed,
            }  # fmt: skip
        else:
            told = self.job.model_dump(
                mode="json",
                exclude={"dataset": True, "max_epochs": True, "stop_at": True, "beside": True},
            )
        told |= {"dataset": self.job.dataset.sha256, "trainer": trainer()}
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()

    def of(self, seed: int) -> Attempt:
        """The same with another seed: one of those beside it, whose run came with this one's."""
        beside = (self.job.seed, *self.job.beside).index(seed)
        job = self.job.model_copy(update={"seed": seed, "beside": ()})
        return replace(self, job=job, number=self.number + beside)

    def training(self, watcher: Watcher, setting: Mapping[str, str] | None = None) -> Work:
        """The work itself, to be run at once; ``setting`` is added to the environment of a training child."""
        watcher.attempt(self.number, self.attempts, self.job.seed, self.epochs)
        if self.replay is not None:
            return Replaying(self.replay, self.job, watcher)
        return Training(self.job, watcher, setting)


@cache
def trainer() -> str:
    """What trains, as far as its numbers depend on it."""
    installed = []
    for name in LIBRARIES:
        with suppress(PackageNotFoundError):
            installed.append(f"{name} {version(name)}")
    return ", ".join([*installed, f"trainer {TRAINER}"])


def bare(recipe: r.TrainingRecipe, network: r.ModelDescription) -> r.TrainingRecipe:
    """The recipe of a network without what only tells where it came from, layers called by their place."""
    told = ("trained_on", "validated_on", "cell", "unsupported")
    changed: dict[str, Any] = {name: r.TrainingRecipe.model_fields[name].default for name in told}
    if recipe.frozen is not None:
        places = {layer.name: f"layer_{number}" for number, layer in enumerate(network.layers)}
        changed["frozen"] = tuple(places[name] for name in recipe.frozen if name in places)
    return recipe.model_copy(update=changed)


class Made(r.Record):
    """A run that came to its end, and how far it was allowed to go."""

    run: r.TrainingRun
    max_epochs: int
    stop_at: int | None = None


def made(attempt: Attempt, run: r.TrainingRun) -> Made:
    return Made(run=run, max_epochs=attempt.job.max_epochs, stop_at=attempt.job.stop_at)


def usable(made: Made, job: r.TrainJob) -> r.TrainingRun | None:
    """What training for ``job`` would have come to, by a run that may have gone further; None if it did not.

    Training is the same from epoch to epoch whatever ends it, so that a run is cut where this job
    would have ended; but not where a fit's end brings other weights back.
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
    """A run that ended here by itself keeps saying so."""
    by_itself = count == len(run.epochs) and run.ended in ("diverged", "early_stopping")
    kept = run.kept if count == len(run.epochs) else None
    epochs = run.epochs[:count]
    return run.model_copy(update={"epochs": epochs, "ended": run.ended if by_itself else ended, "kept": kept})
