"""Train a rebuilt network with its recipe: Keras's own `fit`, watched by a few callbacks.

Every epoch trains on the images that the submission chose (`grader.train.keras.feeding`), the last partial
batch included, and then counts the correct images of the whole test split.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from grader import records as r
from grader.train.epochs import TRIED_BATCHES, TRIED_ON, has_moving_averages
from grader.train.keras import build, effects, reacting
from grader.train.keras.feeding import Feed, inputs, targets
from grader.train.rows import chosen, shuffling, steps

Emit = Callable[[r.TrainEvent], None]
Array = npt.NDArray[Any]

EVALUATION_BATCH = 1_000
# At most in one go on a GPU, which would wait for Python in between; not where rates change by step.
STEPS_ON_GPU = 32


class Trainer:
    """One attempt: one network, one seed. `run` emits an event per epoch and says how it ended."""

    def __init__(self, job: r.TrainJob, arrays: dict[str, Array], emit: Emit) -> None:
        keras.utils.set_random_seed(job.seed)
        self.job, self.arrays, self.emit = job, arrays, emit
        self.model = build.model(job.network)
        self.done = 0
        self.ended: r.Ended = "finished"
        self.kept: int | None = None  # the epoch whose weights the model has, if not the last one
        self.compiled: r.TrainingRecipe | None = None
        self.last_rate: float | None = None  # set last by a recipe, not by ReduceLROnPlateau
        self.started = time.monotonic()

    def run(self) -> r.Ended:
        last = self.job.training[0]
        self._measure_untrained(last)
        for number, recipe in enumerate(self.job.training):
            np.random.seed((self.job.seed + number) % 2**32)  # a generator may have run ahead of its fit
            epochs = min(recipe.epochs, self.job.max_epochs - self.done)
            if epochs < 1 or self.ended != "finished":
                break
            self._fit(number, recipe, epochs)
            last = recipe
        if self.ended != "diverged":
            found = effects.measure(self.job.network, _Trained(self, last), self.job.seed)
            if found is not None:
                self.emit(found)
        return self.ended

    def _measure_untrained(self, recipe: r.TrainingRecipe) -> None:
        """What the network gets right before it learns anything, and once its averages have moved."""
        order = shuffling(self.job.seed, 0)
        shape, classes = self.model.input_shape[1:], self.model.output_shape[-1]
        count = evaluator(
            self.model, inputs(self.arrays["x_test"], recipe, shape), self.arrays["y_test"], recipe.loss
        )
        initial, settled = count()[0], None
        if has_moving_averages(self.job.network):
            before = [variable.numpy() for variable in self.model.variables]
            settle(self.model, Feed(recipe, self.arrays, shape, classes, order))
            settled = count()[0]
            for variable, value in zip(self.model.variables, before, strict=True):
                variable.assign(value)
        images = len(self.arrays["y_test"])
        self.emit(r.Untrained(initial=initial, settled=settled, images=images))

    def _fit(self, number: int, recipe: r.TrainingRecipe, epochs: int) -> None:
        on_gpu = _has_gpu()
        if not (recipe.continues and self.compiled and self.compiled.loss == recipe.loss):
            self.compiled = recipe
            build.freeze(self.model, self.job.network, recipe.frozen)
            self.model.compile(
                optimizer=build.optimizer(recipe),
                loss=build.loss(recipe.loss),
                metrics=[build.accuracy(recipe.loss)],
                jit_compile="auto" if on_gpu else False,  # XLA is twice as slow on a CPU
                steps_per_execution=_steps_at_once(self.job, len(self.arrays["y_train"])),
            )
        order = shuffling(self.job.seed, number)
        feed = Feed(recipe, self.arrays, self.model.input_shape[1:], self.model.output_shape[-1], order)
        callbacks = [_Rates(self, recipe), _Watch(self, recipe, feed.steps)]
        callbacks += map(reacting.callback, recipe.callbacks)
        keeper = reacting.Keeper(recipe.keeps) if recipe.keeps else None
        offset = self.done
        self.model.fit(
            **feed.arguments(),
            epochs=epochs,
            verbose=0,
            callbacks=[*callbacks, *([keeper] if keeper else [])],
        )
        self.kept = None
        if keeper and self.ended == "finished" and keeper.restore():
            self.kept = offset + keeper.epoch
        stopped_early = self.done - offset < epochs and self.ended == "finished"
        if stopped_early and recipe is self.job.training[-1]:
            self.ended = "early_stopping"


def _has_gpu() -> bool:
    return bool(tf.config.list_physical_devices("GPU"))


def _steps_at_once(job: r.TrainJob, images: int) -> int:
    """A number that divides the steps of every epoch: Keras would go on into the next one."""
    if not _has_gpu() or any(recipe.rates_per == "step" for recipe in job.training):
        return 1
    common = math.gcd(*(steps(recipe, images) for recipe in job.training))
    return max(n for n in range(1, STEPS_ON_GPU + 1) if common % n == 0)


class _Trained:
    """The network after its last fit, for `grader.train.keras.effects`."""

    def __init__(self, trainer: Trainer, recipe: r.TrainingRecipe) -> None:
        self.model, arrays = trainer.model, trainer.arrays
        kept = slice(TRIED_ON)
        self.x = inputs(arrays["x_train"][kept], recipe, self.model.input_shape[1:])
        labels = arrays["y_train"][kept]
        self.count = evaluator(self.model, self.x, labels, recipe.loss)
        self.wanted = targets(labels, recipe.loss, self.model.output_shape[-1])
        self.criterion = build.loss(recipe.loss)
        self.size = recipe.batch_size

    def owners(self) -> list[int]:
        return build.owners(self.model)

    def get(self) -> list[Any]:
        return list(self.model.get_weights())

    def set(self, weights: Any) -> None:
        self.model.set_weights(list(weights))

    def correct(self) -> tuple[int, int]:
        return self.count()[0], len(self.x)

    def loss(self) -> float:
        starts = range(0, min(len(self.x), TRIED_BATCHES * self.size), self.size)
        parts = [slice(start, start + self.size) for start in starts]
        losses = [self.criterion(self.wanted[p], self.model(self.x[p], training=True)) for p in parts]
        return sum(map(float, losses)) / len(losses)


class _Rates(keras.callbacks.Callback):  # type: ignore[misc]
    """Sets the sampled learning rates, before each epoch or each step.

    A rate that stays as it was is not set again, so that ReduceLROnPlateau keeps its say.
    """

    def __init__(self, trainer: Trainer, recipe: r.TrainingRecipe) -> None:
        super().__init__()
        self.trainer = trainer
        self.rates, self.per_step = recipe.learning_rates, recipe.rates_per == "step"
        self.step = 0
        if not recipe.continues:
            trainer.last_rate = None

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if not self.per_step:
            self._set(epoch)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if self.per_step:
            self._set(self.step)
            self.step += 1

    def _set(self, index: int) -> None:
        rate = self.rates[min(index, len(self.rates) - 1)]
        if rate != self.trainer.last_rate:
            self.model.optimizer.learning_rate = rate
            self.trainer.last_rate = rate


class _Watch(keras.callbacks.Callback):  # type: ignore[misc]
    """Evaluates after every epoch, reports progress, and ends a run whose outcome is known."""

    def __init__(self, trainer: Trainer, recipe: r.TrainingRecipe, steps: int) -> None:
        super().__init__()
        self.trainer, self.recipe, self.steps = trainer, recipe, steps
        self.last_report = 0.0

    def on_train_begin(self, logs: Any = None) -> None:
        arrays, recipe = self.trainer.arrays, self.recipe
        shape = self.model.input_shape[1:]
        self.evaluate = evaluator(
            self.model, inputs(arrays["x_test"], recipe, shape), arrays["y_test"], recipe.loss
        )
        self.held_out = None
        if recipe.held_out and (recipe.callbacks or recipe.keeps):
            rows = chosen(recipe.held_out, len(arrays["x_train"]))
            x, y = inputs(arrays["x_train"][rows], recipe, shape), arrays["y_train"][rows]
            self.held_out = (evaluator(self.model, x, y, recipe.loss), len(rows))

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch_started = time.monotonic()
        self.epoch = self.trainer.done + 1

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        logs = logs or {}
        if not math.isfinite(float(logs.get("loss", 0.0))):
            self.trainer.ended = "diverged"
            self.model.stop_training = True
        now = time.monotonic()
        if now - self.last_report > 0.5:
            self.last_report = now
            self.trainer.emit(
                r.BatchEvent(
                    epoch=self.epoch,
                    batch=batch + 1,
                    batches=self.steps,
                    loss=_finite(logs.get("loss")),
                    accuracy=_finite(logs.get("accuracy")),
                )
            )

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        trained = time.monotonic() - self.epoch_started
        correct, validation_loss = self.evaluate()
        images = len(self.trainer.arrays["y_test"])
        logs = logs if logs is not None else {}
        logs["val_accuracy"], logs["val_loss"] = correct / images, validation_loss
        if self.held_out is not None:  # what the submission showed to its callbacks
            hits, logs["val_loss"] = self.held_out[0]()
            logs["val_accuracy"] = hits / self.held_out[1]
        self.trainer.done += 1
        self.trainer.emit(r.EpochResult(
            epoch=self.epoch,
            learning_rate=float(np.asarray(self.model.optimizer.learning_rate)),
            train_loss=_finite(logs.get("loss")),
            train_accuracy=_finite(logs.get("accuracy")),
            validation_loss=_finite(validation_loss),
            correct=correct,
            images=images,
            seconds=round(time.monotonic() - self.epoch_started, 3),
            training_seconds=round(trained, 3),
        ))  # fmt: skip
        stop_at = self.trainer.job.stop_at
        if stop_at is not None and correct >= stop_at and self.trainer.ended == "finished":
            self.trainer.ended = "threshold_reached"
            self.model.stop_training = True


def _finite(value: Any) -> float | None:
    return float(value) if value is not None and math.isfinite(float(value)) else None


def settle(model: keras.Model, feed: Feed) -> None:
    """One pass over the images of a fit, as in training but without a step of the optimizer."""

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def on_batch(images: Any) -> None:
        model(images, training=True)

    for rows, _ in zip(feed.positions(), range(feed.steps), strict=False):
        on_batch(feed.x[rows])


def evaluator(model: keras.Model, x: Array, labels: Array, loss: r.Loss) -> Callable[[], tuple[int, float]]:
    """A function that counts correct images of a split and averages its loss."""
    classes = model.output_shape[-1]
    y = targets(labels, loss, classes)
    criterion = build.loss(loss)

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def on_batch(images: Any, wanted: Any, numbers: Any) -> tuple[Any, Any]:
        outputs = model(images, training=False)
        hits = tf.argmax(outputs, axis=-1) == tf.cast(numbers, tf.int64)
        # Regularizers of weights, and of this batch's activations.
        penalty = tf.add_n(model.losses) if model.losses else 0.0
        return tf.reduce_sum(tf.cast(hits, tf.int64)), criterion(wanted, outputs) + penalty

    def evaluate() -> tuple[int, float]:
        correct, total = 0, 0.0
        for start in range(0, len(x), EVALUATION_BATCH):
            part = slice(start, start + EVALUATION_BATCH)
            hits, mean = on_batch(x[part], y[part], labels[part])
            correct += int(hits)
            total += float(mean) * len(x[part])
        return correct, total / len(x)

    return evaluate
