"""One recipe with one seed: the batches of each epoch and their rates, and what callbacks decide."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from grader import records as r
from grader.train.callbacks import Keeper, ReduceOnPlateau, reaction
from grader.train.learner import Outcome, Pass
from grader.train.rows import batches, chosen, shuffling, steps


class Seed:
    """One seed of a job, and its run so far."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.untrained: r.Untrained | None = None
        self.epochs: list[r.EpochResult] = []
        self.ended: r.Ended = "finished"
        self.kept: int | None = None  # the epoch whose weights the network has, if not the last one
        self.rate = 0.0
        self.last_rate: float | None = None  # set last by a recipe, not by ReduceLROnPlateau

    def as_run(self) -> r.SeedRun:
        """Return the run as it is reported beside that of the first seed."""
        return r.SeedRun(
            seed=self.seed,
            untrained=self.untrained,
            epochs=tuple(self.epochs),
            ended=self.ended,
            kept=self.kept,
        )


class Fit:
    """Fit ``number`` of a job, from 0, for at most ``epochs`` epochs with one of its seeds."""

    def __init__(self, job: r.TrainJob, images: int, seed: Seed, number: int, epochs: int) -> None:
        """``images`` counts the training split."""
        recipe = job.training[number]
        self.seed, self.recipe, self.epochs, self.stop_at = seed, recipe, epochs, job.stop_at
        self.begun, self.done, self.step, self.stopped = len(seed.epochs), 0, 0, False
        self.reactions = [reaction(record) for record in recipe.callbacks]
        self.keeper = Keeper(recipe.keeps) if recipe.keeps else None
        self.rows = chosen(recipe.rows, images)
        watched = recipe.held_out and (recipe.callbacks or recipe.keeps)
        # The submission's validation images, where those were training images.
        self.held_out = chosen(recipe.held_out, images) if watched else None
        self.steps = steps(recipe, images)
        order = shuffling(seed.seed, number)
        self.batches = batches(len(self.rows), recipe.batch_size, recipe.shuffle, order)
        if epochs > 0:
            seed.kept = None

    @property
    def going(self) -> bool:
        """Whether another epoch follows."""
        return self.done < self.epochs and not self.stopped and self.seed.ended == "finished"

    def next_pass(self) -> Pass:
        """Return the next epoch's batches, each with its learning rate."""
        given = self._next_batches()
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
        """Return an epoch in which weights stay as they are."""
        return Pass(self._next_batches(), [0.0] * self.steps, still=True)

    def _next_batches(self) -> list[Any]:
        return [self.rows[next(self.batches)] for _ in range(self.steps)]

    def _set_rate(self, index: int) -> None:
        """Set the recipe's rate, but not one that stays as it was: ReduceLROnPlateau may have changed it."""
        rate = self.recipe.learning_rates[min(index, len(self.recipe.learning_rates) - 1)]
        if rate != self.seed.last_rate:
            self.seed.rate = float(np.float32(rate))
            self.seed.last_rate = rate

    def result(self, trained: Outcome, tested: Outcome, seconds: float, training: float) -> r.EpochResult:
        """Return the epoch that ended, as reports show it: ``seconds`` with evaluation, ``training`` not."""
        result = r.EpochResult(
            epoch=len(self.seed.epochs) + 1,
            learning_rate=self.seed.rate,
            train_loss=finite(trained.loss),
            train_accuracy=trained.accuracy,
            validation_loss=finite(tested.loss),
            correct=tested.correct,
            images=tested.images,
            seconds=round(seconds, 3),
            training_seconds=round(training, 3),
        )
        self.seed.epochs.append(result)
        return result

    def epoch_ended(
        self, trained: Outcome, tested: Outcome, shown: Outcome, weights: Callable[[], Any]
    ) -> None:
        """Decide by the outcome and then by the callbacks how to go on.

        ``shown`` is the outcome that callbacks see as validation; ``weights`` returns the network's weights.
        """
        if not math.isfinite(trained.loss):
            self.seed.ended = "diverged"
        elif self.stop_at is not None and tested.correct >= self.stop_at:
            self.seed.ended = "threshold_reached"
        logs = {
            "loss": trained.loss, "accuracy": trained.accuracy,
            "val_loss": shown.loss, "val_accuracy": shown.accuracy,
        }  # fmt: skip
        if self.keeper is not None:
            self.keeper.epoch_ended(self.done, logs, weights)
        for each in self.reactions:
            if isinstance(each, ReduceOnPlateau):
                self.seed.rate = each.epoch_ended(logs, self.seed.rate)
            elif each.epoch_ended(self.done, logs):
                self.stopped = True
        self.done += 1

    def end(self, last: bool, set_weights: Callable[[Any], None]) -> None:
        """Bring the kept weights back, unless the run is over; ``last``: no other fit follows."""
        if self.seed.ended != "finished":
            return
        if self.keeper is not None and self.keeper.epoch and self.epochs > 0:
            set_weights(self.keeper.weights)
            self.seed.kept = self.begun + self.keeper.epoch
        if self.done < self.epochs and last:
            self.seed.ended = "early_stopping"


def finite(value: float) -> float | None:
    """Return the value, or None for what JSON cannot write."""
    return value if math.isfinite(value) else None
