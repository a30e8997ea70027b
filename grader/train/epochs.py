"""Trains a job epoch by epoch, seed by seed, whatever the engine: the one `Trainer`.

Every epoch trains on the images that the submission chose, in a new order, the last partial batch included,
and then counts the correct images of the whole test split. A `grader.train.learner.Learner` has the network
learn; a `grader.train.fit.Fit` has callbacks decide how to go on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np

from grader import records as r
from grader.train import effects
from grader.train.fit import Fit, Seed, finite
from grader.train.learner import Array, Learner, Outcome, Progress

Emit = Callable[[r.TrainEvent], None]
_REPORT_EVERY = 0.5  # seconds
TRIED_ON = 2_000  # images of the training split
TRIED_BATCHES = 8


class Trainer:
    """An attempt for each seed of a job; events report the first seed. `run` makes all attempts."""

    def __init__(self, job: r.TrainJob, arrays: dict[str, Array], emit: Emit, learner: Learner) -> None:
        self.job, self.emit, self.learner = job, emit, learner
        self.labels = {"train": arrays["y_train"], "test": arrays["y_test"]}
        self.seeds = [Seed(seed) for seed in (job.seed, *job.beside)]

    def run(self) -> list[Seed]:
        """Train every fit of the job with every seed; emit the events of the first seed, return all seeds."""
        compiled: r.TrainingRecipe | None = None
        try:
            self._measure_untrained(self.job.training[0])
            last = 0
            for number, recipe in enumerate(self.job.training):
                if all(self._left(seed) < 1 for seed in self.seeds):
                    break
                fresh = not (recipe.continues and compiled and compiled.loss == recipe.loss)
                compiled = recipe if fresh else compiled
                self.learner.begin(recipe, fresh)
                self._fit(number, recipe, fresh)
                last = number
            self._measure_effects(last)
        finally:
            self.learner.close()
        return self.seeds

    def _measure_untrained(self, recipe: r.TrainingRecipe) -> None:
        """Count what every seed's network gets right before it learns, and once its averages have moved."""
        self.learner.begin(recipe, True)
        initial = self.learner.evaluate("test")
        settled: Sequence[Outcome | None] = [None] * len(self.seeds)
        if has_moving_averages(self.job.network):
            state = self.learner.get_state()
            fits = [self.begun(seed, 0, epochs=0) for seed in self.seeds]
            self.learner.train([fit.still_pass() for fit in fits], lambda batches, so_far: None)
            settled = self.learner.evaluate("test")
            self.learner.set_state(state)
        for seed, first, then in zip(self.seeds, initial, settled, strict=True):
            after = then.correct if then else None
            seed.untrained = r.Untrained(initial=first.correct, settled=after, images=first.images)
        assert self.seeds[0].untrained is not None
        self.emit(self.seeds[0].untrained)

    def _measure_effects(self, number: int) -> None:
        """Emit which layers of the first seed's network do something, after fit ``number``."""
        if self.seeds[0].ended != "diverged":
            found = effects.measure(self.job.network, _Trained(self, number), self.job.seed)
            if found is not None:
                self.emit(found)

    def _left(self, seed: Seed) -> int:
        return self.job.max_epochs - len(seed.epochs) if seed.ended == "finished" else 0

    def _fit(self, number: int, recipe: r.TrainingRecipe, fresh: bool) -> None:
        if fresh:
            for seed in self.seeds:
                seed.last_rate = None
        fits = [self.begun(seed, number, min(recipe.epochs, self._left(seed))) for seed in self.seeds]
        while any(fit.going for fit in fits):
            self._epoch(fits)
        last = number == len(self.job.training) - 1
        for place, fit in enumerate(fits):
            fit.end(last, partial(self.learner.set_weights, place))

    def begun(self, seed: Seed, number: int, epochs: int) -> Fit:
        """Return the fit ``number`` of the job, from 0, with one of its seeds."""
        return Fit(self.job, len(self.labels["train"]), seed, number, epochs)

    def _epoch(self, fits: list[Fit]) -> None:
        """Train, evaluate and report one epoch of every seed that still goes on."""
        started = time.monotonic()
        going = [fit if fit.going else None for fit in fits]
        trained = self.learner.train(
            [fit.next_pass() if fit else None for fit in going], self._progress(fits[0])
        )
        seconds = time.monotonic() - started
        tested = self.learner.evaluate("test")
        shown = tested
        if any(fit and fit.held_out is not None for fit in going):  # the same for all seeds
            shown = self.learner.evaluate("train", fits[0].held_out)
        for place, (fit, outcome, test, show) in enumerate(zip(going, trained, tested, shown, strict=True)):
            if fit is not None and outcome is not None:
                result = fit.result(outcome, test, time.monotonic() - started, seconds)
                if fit is fits[0]:
                    self.emit(result)
                fit.epoch_ended(outcome, test, show, partial(self.learner.get_weights, place))

    def _progress(self, fit: Fit) -> Progress:
        """Return what reports progress within an epoch, at most every `_REPORT_EVERY` seconds."""
        last = 0.0

        def report(batches: int, so_far: Outcome) -> None:
            nonlocal last
            if fit.going and time.monotonic() - last > _REPORT_EVERY:
                last = time.monotonic()
                self.emit(r.BatchEvent(
                    epoch=len(fit.seed.epochs) + 1,
                    batch=batches,
                    batches=fit.steps,
                    loss=finite(so_far.loss),
                    accuracy=so_far.accuracy,
                ))  # fmt: skip

        return report


class _Trained:
    """The first seed's network after its last fit, for `grader.train.effects`."""

    def __init__(self, trainer: Trainer, number: int) -> None:
        self.learner, self.recipe = trainer.learner, trainer.job.training[number]
        whole, self.others = self.learner.whole_epochs, [None] * (len(trainer.seeds) - 1)
        still = trainer.begun(trainer.seeds[0], number, epochs=0).still_pass()
        kept = slice(None) if whole else slice(TRIED_BATCHES)
        self.still = still._replace(batches=still.batches[kept], rates=still.rates[kept])
        self.rows = None if whole else np.arange(min(TRIED_ON, len(trainer.labels["train"])))

    def owners(self) -> Sequence[int]:
        return self.learner.owners()

    def get(self) -> list[Any]:
        return list(self.learner.get_weights(0))

    def set(self, weights: Sequence[Any]) -> None:
        self.learner.set_weights(0, weights)

    def correct(self) -> tuple[int, int]:
        split: Literal["train", "test"] = "test" if self.rows is None else "train"
        counted = self.learner.evaluate(split, self.rows)[0]
        return counted.correct, counted.images

    def loss(self) -> float:
        self.learner.begin(self.recipe, True)  # no momentum that would move weights at a rate of 0
        outcome = self.learner.train([self.still, *self.others], lambda batches, so_far: None)[0]
        assert outcome is not None
        return outcome.loss


def has_moving_averages(network: r.ModelDescription) -> bool:
    """Whether a network can change without learning."""
    return any(isinstance(layer, r.BatchNormalization) for layer in network.layers)
