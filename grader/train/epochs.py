"""Epoch by epoch, seed by seed: what our own engines do alike, and `grader.train.keras.fit` by Keras's `fit`.

Every epoch trains on the images that the submission chose, in a new order, the last partial batch included,
and then counts the correct images of the whole test split. How a network learns is the affair of a `Learner`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from grader import records as r
from grader.train.callbacks import EarlyStopping, Keeper, ReduceOnPlateau, StopAt
from grader.train.keras import effects
from grader.train.rows import batches, chosen, shuffling, steps

Array = npt.NDArray[Any]
Emit = Callable[[r.TrainEvent], None]
_REPORT_EVERY = 0.5  # seconds


class Outcome(NamedTuple):
    """Of a mini-batch, an epoch or a split: mean loss with penalties, and images that were right."""

    loss: float
    correct: int
    images: int


class Pass(NamedTuple):
    """What one seed trains on in an epoch: positions of images batch by batch, and the rate of each batch."""

    batches: Sequence[Array]
    rates: Sequence[float]


Told = Callable[[int, Outcome], None]
"""Told how many batches of an epoch are done, and what they came to so far."""


class Learner(Protocol):
    """A network with its weights, once for each seed of the job, and how it learns."""

    def begin(self, recipe: r.TrainingRecipe, fresh: bool) -> None:
        """Train by this recipe from now on; ``fresh``: with an optimizer that has no history."""

    def train(self, passes: Sequence[Pass | None], told: Told) -> Sequence[Outcome | None]:
        """One epoch of every seed that has a pass. May end early when a loss is no number."""

    def evaluate(self, split: Literal["train", "test"], rows: Array | None = None) -> Sequence[Outcome]:
        """Of every seed on a split, or on these rows of it, with moving averages and without Dropout."""

    def get_weights(self, seed: int) -> Any:
        """The weights of the seed at this place of the job's."""

    def set_weights(self, seed: int, weights: Any) -> None: ...

    def owners(self) -> Sequence[int]:
        """For each weight, in the order of `get_weights`, the place of the layer that holds it."""

    def get_state(self) -> Any:
        """Weights and random numbers of all seeds as they are now; not what an optimizer remembers."""

    def set_state(self, state: Any) -> None: ...

    def close(self) -> None: ...

    whole_epochs: bool
    """Whether a part of an epoch, or of a split, takes longer than the whole: it is a program of its own."""


class Seed:
    """One seed of a job: how far its run has come."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.untrained: r.Untrained | None = None
        self.epochs: list[r.EpochResult] = []
        self.ended: r.Ended = "finished"
        self.kept: int | None = None  # the epoch whose weights the network has, if not the last one
        self.rate = 0.0
        self.last_rate: float | None = None  # set last by a recipe, not by ReduceLROnPlateau

    def as_run(self) -> r.SeedRun:
        return r.SeedRun(
            seed=self.seed,
            untrained=self.untrained,
            epochs=tuple(self.epochs),
            ended=self.ended,
            kept=self.kept,
        )


class Trainer:
    """An attempt for each seed of a job; events tell of the first one. `run` makes them all."""

    def __init__(self, job: r.TrainJob, arrays: dict[str, Array], emit: Emit, learner: Learner) -> None:
        self.job, self.emit, self.learner = job, emit, learner
        self.labels = {"train": arrays["y_train"], "test": arrays["y_test"]}
        self.seeds = [Seed(seed) for seed in (job.seed, *job.beside)]

    def run(self) -> list[Seed]:
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
        """What every seed's network gets right before it learns, and once its averages have moved."""
        self.learner.begin(recipe, True)
        initial = self.learner.evaluate("test")
        settled: Sequence[Outcome | None] = [None] * len(self.seeds)
        if has_moving_averages(self.job.network):
            state = self.learner.get_state()
            fits = [_Fit(self, place, 0, 0) for place in range(len(self.seeds))]
            self.learner.train([fit.still_pass() for fit in fits], lambda batches, so_far: None)
            settled = self.learner.evaluate("test")
            self.learner.set_state(state)
        for seed, first, then in zip(self.seeds, initial, settled, strict=True):
            after = then.correct if then else None
            seed.untrained = r.Untrained(initial=first.correct, settled=after, images=first.images)
        assert self.seeds[0].untrained is not None
        self.emit(self.seeds[0].untrained)

    def _measure_effects(self, number: int) -> None:
        """Which layers of the first seed's network do something, after the fit of this number."""
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
        fits = [
            _Fit(self, place, number, min(recipe.epochs, self._left(seed)))
            for place, seed in enumerate(self.seeds)
        ]
        while any(fit.going for fit in fits):
            self._epoch(fits)
        for fit in fits:
            fit.end(last=recipe is self.job.training[-1])

    def _epoch(self, fits: list[_Fit]) -> None:
        """Train, evaluate and report one epoch of every seed that still goes on."""
        started = time.monotonic()
        going = [fit if fit.going else None for fit in fits]
        trained = self.learner.train([fit.next_pass() if fit else None for fit in going], self._told(fits[0]))
        seconds = time.monotonic() - started
        tested = self.learner.evaluate("test")
        shown = tested
        if any(fit and fit.held_out is not None for fit in going):  # alike for all seeds
            shown = self.learner.evaluate("train", fits[0].held_out)
        for fit, outcome, test, show in zip(going, trained, tested, shown, strict=True):
            if fit is not None and outcome is not None:
                result = fit.result(outcome, test, time.monotonic() - started, seconds)
                if fit is fits[0]:
                    self.emit(result)
                fit.epoch_ended(outcome, test, show)

    def _told(self, fit: _Fit) -> Told:
        """Reports progress within an epoch, not too often."""
        last = 0.0

        def told(batches: int, so_far: Outcome) -> None:
            nonlocal last
            if fit.going and time.monotonic() - last > _REPORT_EVERY:
                last = time.monotonic()
                self.emit(r.BatchEvent(
                    epoch=len(fit.seed.epochs) + 1,
                    batch=batches,
                    batches=fit.steps,
                    loss=_finite(so_far.loss),
                    accuracy=so_far.correct / so_far.images,
                ))  # fmt: skip

        return told


TRIED_ON = 2_000  # images of the training split
TRIED_BATCHES = 8


class _Trained:
    """The first seed's network after its last fit, for `grader.train.keras.effects`."""

    def __init__(self, trainer: Trainer, number: int) -> None:
        self.learner, self.recipe = trainer.learner, trainer.job.training[number]
        whole, self.others = self.learner.whole_epochs, [None] * (len(trainer.seeds) - 1)
        still = _Fit(trainer, 0, number, 0).still_pass()
        kept = slice(None) if whole else slice(TRIED_BATCHES)
        self.still = Pass(still.batches[kept], still.rates[kept])
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


class _Fit:
    """One recipe being trained with one seed."""

    def __init__(self, trainer: Trainer, place: int, number: int, epochs: int) -> None:
        """The fit of this number of the job, with the seed at this place of it."""
        self.trainer, self.place, self.epochs = trainer, place, epochs
        self.seed, self.recipe = trainer.seeds[place], trainer.job.training[number]
        recipe = self.recipe
        self.begun, self.done, self.step, self.stopped = len(self.seed.epochs), 0, 0, False
        self.stopping: list[EarlyStopping | StopAt] = [
            EarlyStopping(c) for c in recipe.callbacks if isinstance(c, r.EarlyStopping)
        ]
        self.stopping += [StopAt(c) for c in recipe.callbacks if isinstance(c, r.StopAt)]
        self.reducing = [ReduceOnPlateau(c) for c in recipe.callbacks if isinstance(c, r.ReduceLROnPlateau)]
        self.keeper = Keeper(recipe.keeps) if recipe.keeps else None
        images = len(trainer.labels["train"])
        self.rows = chosen(recipe.rows, images)
        watched = recipe.held_out and (recipe.callbacks or recipe.keeps)
        # What the submission showed to its callbacks, where those were training images.
        self.held_out = chosen(recipe.held_out, images) if watched else None
        self.steps = steps(recipe, images)
        order = shuffling(self.seed.seed, number)
        self.batches = batches(len(self.rows), recipe.batch_size, recipe.shuffle, order)
        if epochs > 0:
            self.seed.kept = None

    @property
    def going(self) -> bool:
        return self.done < self.epochs and not self.stopped and self.seed.ended == "finished"

    def next_pass(self) -> Pass:
        given = [self.rows[next(self.batches)] for _ in range(self.steps)]
        if self.recipe.rates_per == "epoch":
            self._set_rate(self.done)
            return Pass(given, [self.seed.rate] * self.steps)
        rates = []
        for _ in given:
            self._set_rate(self.step)
            self.step += 1
            rates.append(self.seed.rate)
        return Pass(given, rates)

    def still_pass(self) -> Pass:
        """An epoch at a learning rate of 0, in which weights stay as they are."""
        return Pass([self.rows[next(self.batches)] for _ in range(self.steps)], [0.0] * self.steps)

    def _set_rate(self, index: int) -> None:
        rate = self.recipe.learning_rates[min(index, len(self.recipe.learning_rates) - 1)]
        if rate != self.seed.last_rate:
            self.seed.rate = float(np.float32(rate))
            self.seed.last_rate = rate

    def result(self, trained: Outcome, tested: Outcome, seconds: float, training: float) -> r.EpochResult:
        """The epoch that has just been trained, as it is reported."""
        result = r.EpochResult(
            epoch=len(self.seed.epochs) + 1,
            learning_rate=self.seed.rate,
            train_loss=_finite(trained.loss),
            train_accuracy=trained.correct / trained.images,
            validation_loss=_finite(tested.loss),
            correct=tested.correct,
            images=tested.images,
            seconds=round(seconds, 3),
            training_seconds=round(training, 3),
        )
        self.seed.epochs.append(result)
        return result

    def epoch_ended(self, trained: Outcome, tested: Outcome, shown: Outcome) -> None:
        """Callbacks have their say, and so has the outcome."""
        stop_at = self.trainer.job.stop_at
        if not math.isfinite(trained.loss):
            self.seed.ended = "diverged"
        elif stop_at is not None and tested.correct >= stop_at:
            self.seed.ended = "threshold_reached"
        logs = {
            "loss": trained.loss, "accuracy": trained.correct / trained.images,
            "val_loss": shown.loss, "val_accuracy": shown.correct / shown.images,
        }  # fmt: skip
        learner, epoch = self.trainer.learner, self.done
        if self.keeper is not None:
            self.keeper.epoch_ended(epoch, logs, lambda: learner.get_weights(self.place))
        for reducing in self.reducing:
            self.seed.rate = reducing.epoch_ended(logs, self.seed.rate)
        self.stopped = max([each.epoch_ended(epoch, logs) for each in self.stopping], default=False)
        self.done += 1

    def end(self, last: bool) -> None:
        """The weights that are kept come back, unless the run is over."""
        if self.seed.ended != "finished":
            return
        if self.keeper is not None and self.keeper.epoch and self.epochs > 0:
            self.trainer.learner.set_weights(self.place, self.keeper.weights)
            self.seed.kept = self.begun + self.keeper.epoch
        if self.done < self.epochs and last:
            self.seed.ended = "early_stopping"


def has_moving_averages(network: r.ModelDescription) -> bool:
    return any(isinstance(layer, r.BatchNormalization) for layer in network.layers)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
