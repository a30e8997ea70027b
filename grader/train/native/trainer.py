"""Train a network with its recipe: as `grader.train.loop` does, on the processor and without Keras.

Every epoch trains on the images that the submission chose in a new order, the last partial batch included,
and then counts the correct images of the whole test split.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator

import numpy as np

from grader import records as r
from grader.train.native.callbacks import EarlyStopping, Keeper, ReduceOnPlateau, StopAt
from grader.train.native.fields import Array
from grader.train.native.machine import parts
from grader.train.native.network import Network, Outcome
from grader.train.native.optimizers import Optimizer
from grader.train.native.team import Team, cores
from grader.train.rows import chosen

Emit = Callable[[r.TrainEvent], None]
_REPORT_EVERY = 0.5  # seconds


class Trainer:
    """One attempt: one network, one seed. `run` emits an event per epoch and says how it ended."""

    def __init__(self, job: r.TrainJob, arrays: dict[str, Array], emit: Emit) -> None:
        self.job, self.emit = job, emit
        # More threads than parts of a batch would only wait.
        self.team = Team(min(cores(), max(parts(recipe.batch_size) for recipe in job.training)))
        self.x_train, self.x_test = (_rows(arrays[name]) for name in ("x_train", "x_test"))
        self.y_train, self.y_test = (np.array(arrays[name], np.int64) for name in ("y_train", "y_test"))
        self.network = Network(job.network, job.training[0], job.seed, self.team)
        self.shuffling = np.random.Generator(np.random.PCG64([job.seed, 1]))
        self.optimizer: Optimizer | None = None
        self.compiled: r.TrainingRecipe | None = None
        self.last_rate: float | None = None  # set last by a recipe, not by ReduceLROnPlateau
        self.done = 0
        self.ended: r.Ended = "finished"
        self.kept: int | None = None  # the epoch whose weights the network has, if not the last one

    def run(self) -> r.Ended:
        try:
            with np.errstate(all="ignore"):  # a run that diverges is told by its loss
                for recipe in self.job.training:
                    epochs = min(recipe.epochs, self.job.max_epochs - self.done)
                    if epochs < 1 or self.ended != "finished":
                        break
                    self._fit(recipe, epochs)
        finally:
            self.team.close()
        return self.ended

    def _fit(self, recipe: r.TrainingRecipe, epochs: int) -> None:
        self.network = self._network(recipe)
        if not (recipe.continues and self.compiled and self.compiled.loss == recipe.loss):
            self.compiled = recipe
            variables, size = self.network.plan.variables, self.network.plan.parameters
            self.optimizer = Optimizer(recipe.optimizer, recipe.learning_rates[0], variables, size)
        if not recipe.continues:
            self.last_rate = None
        assert self.optimizer is not None
        fit, begun = _Fit(self, recipe, self.optimizer), self.done
        self.kept = None
        for epoch in range(epochs):
            stop = fit.epoch(epoch)
            if self.ended != "finished":
                return
            if stop:
                break
        if fit.keeper is not None and fit.keeper.epoch:
            self.network.set_weights(fit.keeper.weights)
            self.kept = begun + fit.keeper.epoch
        if self.done - begun < epochs and recipe is self.job.training[-1]:
            self.ended = "early_stopping"

    def _network(self, recipe: r.TrainingRecipe) -> Network:
        """The same weights, planned for this recipe's batch, loss and scaling."""
        if self.done == 0:
            return self.network
        made = Network(self.job.network, recipe, self.job.seed, self.team)
        made.set_weights(self.network.get_weights())
        made.random = self.network.random
        return made


class _Fit:
    """One recipe being trained."""

    def __init__(self, trainer: Trainer, recipe: r.TrainingRecipe, optimizer: Optimizer) -> None:
        self.trainer, self.recipe, self.optimizer = trainer, recipe, optimizer
        self.stopping: list[EarlyStopping | StopAt] = [
            EarlyStopping(c) for c in recipe.callbacks if isinstance(c, r.EarlyStopping)
        ]
        self.stopping += [StopAt(c) for c in recipe.callbacks if isinstance(c, r.StopAt)]
        self.keeper = Keeper(recipe.keeps) if recipe.keeps else None
        self.reducing = [ReduceOnPlateau(c) for c in recipe.callbacks if isinstance(c, r.ReduceLROnPlateau)]
        self.rows = chosen(recipe.rows, len(trainer.y_train))
        self.steps = recipe.steps_per_epoch or math.ceil(len(self.rows) / recipe.batch_size)
        self.batches = self._endless()
        self.step = 0
        self.last_report = 0.0

    def epoch(self, number: int) -> bool:
        """Train, evaluate and report one epoch; whether the student's callbacks stop here."""
        trainer, started = self.trainer, time.monotonic()
        if self.recipe.rates_per == "epoch":
            self._set_rate(number)
        loss, accuracy = self._batches()
        seconds = time.monotonic() - started
        tested = trainer.network.evaluate(trainer.x_test, trainer.y_test)
        trainer.done += 1
        self._report(loss, accuracy, tested, started, seconds)
        stop_at = trainer.job.stop_at
        if stop_at is not None and tested.correct >= stop_at and trainer.ended == "finished":
            trainer.ended = "threshold_reached"
        shown, images = self._held_out() or (tested, len(trainer.y_test))
        logs = {"loss": loss, "accuracy": accuracy, "val_loss": shown.loss}
        return self._callbacks(number, logs | {"val_accuracy": shown.correct / images})

    def _held_out(self) -> tuple[Outcome, int] | None:
        """What the submission showed to its callbacks, where those were training images."""
        recipe, trainer = self.recipe, self.trainer
        if not recipe.held_out or not (recipe.callbacks or recipe.keeps):
            return None
        rows = chosen(recipe.held_out, len(trainer.y_train))
        return trainer.network.evaluate(trainer.x_train[rows], trainer.y_train[rows]), len(rows)

    def _endless(self) -> Iterator[Array]:
        """Batches of positions, pass after pass over the images, each in an order of its own."""
        size, count = self.recipe.batch_size, len(self.rows)
        while True:
            order = self.trainer.shuffling.permutation(count) if self.recipe.shuffle else np.arange(count)
            for start in range(0, count, size):
                yield self.rows[order[start : start + size]]

    def _batches(self) -> tuple[float, float]:
        """The steps of an epoch: mean loss, accuracy. Ends early when the loss is no number."""
        trainer = self.trainer
        loss, correct, seen = 0.0, 0, 0
        for batch in range(self.steps):
            if self.recipe.rates_per == "step":
                self._set_rate(self.step)
            self.step += 1
            part = next(self.batches)
            outcome = trainer.network.step(trainer.x_train, trainer.y_train, part, self.optimizer)
            seen += len(part)
            loss, correct = loss + outcome.loss * len(part), correct + outcome.correct
            self._progress(batch, loss / seen, correct / seen)
            if not math.isfinite(loss):
                trainer.ended = "diverged"
                break
        return loss / seen, correct / seen

    def _set_rate(self, index: int) -> None:
        rate = self.recipe.learning_rates[min(index, len(self.recipe.learning_rates) - 1)]
        if rate != self.trainer.last_rate:
            self.optimizer.rate = float(np.float32(rate))
            self.trainer.last_rate = rate

    def _progress(self, batch: int, loss: float, accuracy: float) -> None:
        now = time.monotonic()
        if now - self.last_report > _REPORT_EVERY:
            self.last_report = now
            event = r.BatchEvent(
                epoch=self.trainer.done + 1,
                batch=batch + 1,
                batches=self.steps,
                loss=_finite(loss),
                accuracy=accuracy,
            )
            self.trainer.emit(event)

    def _report(self, loss: float, accuracy: float, tested: Outcome, started: float, seconds: float) -> None:
        self.trainer.emit(r.EpochResult(
            epoch=self.trainer.done,
            learning_rate=self.optimizer.rate,
            train_loss=_finite(loss),
            train_accuracy=accuracy,
            validation_loss=_finite(tested.loss),
            correct=tested.correct,
            images=len(self.trainer.y_test),
            seconds=round(time.monotonic() - started, 3),
            training_seconds=round(seconds, 3),
        ))  # fmt: skip

    def _callbacks(self, number: int, logs: dict[str, float]) -> bool:
        if self.keeper is not None:
            self.keeper.epoch_ended(number, logs, self.trainer.network.get_weights)
        for callback in self.reducing:
            self.optimizer.rate = callback.epoch_ended(logs, self.optimizer.rate)
        return max([callback.epoch_ended(number, logs) for callback in self.stopping], default=False)


def _rows(images: Array) -> Array:
    """uint8 images, each a row of numbers."""
    return np.array(images, np.uint8).reshape(len(images), -1)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
