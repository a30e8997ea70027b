"""Learns by Keras's own `fit` on TensorFlow: a `grader.train.learner.Learner` for any job, with one seed.

Each epoch is a `fit` of its own. The model stays compiled between them, so the optimizer keeps its state and
nothing is traced anew.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from grader import records as r
from grader.train.keras import build
from grader.train.keras.feeding import Feed, Images
from grader.train.learner import Array, Outcome, Pass, Progress
from grader.train.rows import steps

EVALUATED = 1_000  # images at a time
# At most without Python on a GPU, which would wait for each step; only where rates do not change by step.
STEPS_ON_GPU = 32


class Learner:
    """One network with one seed."""

    whole_epochs = False

    def __init__(self, job: r.TrainJob, arrays: dict[str, Array]) -> None:
        keras.utils.set_random_seed(job.seed)
        self.job, self.arrays = job, arrays
        self.model = build.model(job.network)
        # By identity: two fits may have equal recipes.
        self.numbers = {id(recipe): number for number, recipe in enumerate(job.training)}
        self.compiled = False
        self._prepare(job.training[0])

    def begin(self, recipe: r.TrainingRecipe, fresh: bool) -> None:
        """Train by this recipe from now on; `train` compiles, as layers are frozen as before until then."""
        if fresh:
            self.compiled = False
        # Augmentation draws from NumPy's global generator.
        np.random.seed((self.job.seed + self.numbers[id(recipe)]) % 2**32)
        if recipe is not self.recipe:
            self._prepare(recipe)

    def _prepare(self, recipe: r.TrainingRecipe) -> None:
        """Prepare the images for this recipe, and forget what was traced for another one."""
        self.recipe = recipe
        self.feed = Feed(recipe, self.arrays, self.model.input_shape[1:], self.model.output_shape[-1])
        self.shown: dict[tuple[str, int], tuple[Array | None, Images]] = {}
        self.traced: dict[bool, Callable[..., Any]] = {}

    def _compile(self) -> None:
        recipe = self.recipe
        build.freeze(self.model, self.job.network, recipe.frozen)
        self.model.compile(
            optimizer=build.optimizer(recipe),
            loss=build.loss(recipe.loss),
            metrics=[build.accuracy(recipe.loss)],
            jit_compile="auto" if _has_gpu() else False,  # XLA is twice as slow on a CPU
            steps_per_execution=_steps_at_once(self.job, len(self.arrays["y_train"])),
        )
        self.compiled, self.traced = True, {}  # other layers may be frozen now

    # --- one epoch ------------------------------------------------------------------------------

    def train(self, passes: Sequence[Pass | None], report: Progress) -> Sequence[Outcome | None]:
        """Train one epoch by Keras's `fit`; end early when the loss is no number."""
        (own,) = passes
        assert own is not None
        if own.still:  # without the optimizer, and without augmentation
            return [self._go_over(self.feed.images, map(self.feed.places, own.batches), training=True)]
        if not self.compiled:
            self._compile()
        watch = _Watch(own, report)
        self.model.fit(
            self.feed.epoch(own.batches),
            steps_per_epoch=len(own.batches),
            shuffle=False,  # already done
            verbose=0,
            callbacks=[watch],
        )
        return [watch.so_far]

    def evaluate(self, split: Literal["train", "test"], rows: Array | None = None) -> Sequence[Outcome]:
        """Evaluate in batches of `EVALUATED` images."""
        images = self._shown(split, rows)
        starts = range(0, len(images.numbers), EVALUATED)
        parts = (slice(start, start + EVALUATED) for start in starts)
        return [self._go_over(images, parts, training=False)]

    def _shown(self, split: str, rows: Array | None) -> Images:
        """Return those rows of a split, prepared once for each recipe."""
        key = (split, id(rows))
        if key not in self.shown:
            pixels, labels = self.arrays[f"x_{split}"], self.arrays[f"y_{split}"]
            if rows is not None:
                pixels, labels = pixels[rows], labels[rows]
            shape, classes = self.model.input_shape[1:], self.model.output_shape[-1]
            self.shown[key] = rows, Images.of(pixels, labels, self.recipe, shape, classes)
        return self.shown[key][1]

    def _go_over(self, images: Images, parts: Iterable[Any], training: bool) -> Outcome:
        """Return what the network makes of these parts of the images, one after the other."""
        if training not in self.traced:
            self.traced[training] = _traced(self.model, build.loss(self.recipe.loss), training)
        loss, correct, seen = 0.0, 0, 0
        for part in parts:
            batch = [array[part] for array in images]
            hits, mean = self.traced[training](*batch)
            seen, correct = seen + len(batch[0]), correct + int(hits)
            loss += float(mean) * len(batch[0])
        return Outcome(loss / seen, correct, seen)

    # --- variables ------------------------------------------------------------------------------

    def get_weights(self, seed: int) -> list[Array]:
        """Return the weights in Keras's order."""
        return list(self.model.get_weights())

    def set_weights(self, seed: int, weights: Sequence[Array]) -> None:
        """Set the weights, in the order of `get_weights`."""
        self.model.set_weights(list(weights))

    def owners(self) -> Sequence[int]:
        """Return the layer of each weight, in the order of `get_weights`, by its place in the network."""
        return build.owners(self.model)

    def get_state(self) -> list[Array]:
        """Return all variables of the model, those of random generators among them."""
        return [variable.numpy() for variable in self.model.variables]

    def set_state(self, state: list[Array]) -> None:
        """Assign what `get_state` returned."""
        for variable, value in zip(self.model.variables, state, strict=True):
            variable.assign(value)

    def close(self) -> None:
        """Do nothing: there is nothing to give back."""


class _Single(Outcome):
    """An outcome whose accuracy is a quotient in single precision, as Keras shows it to callbacks."""

    __slots__ = ()

    @property
    def accuracy(self) -> float:
        return float(np.float32(self.correct) / np.float32(self.images))


class _Watch(keras.callbacks.Callback):  # type: ignore[misc]
    """Sets the learning rates of an epoch, and reports the outcome so far after every batch."""

    def __init__(self, own: Pass, report: Progress) -> None:
        super().__init__()
        self.rates, self.report = own.rates, report
        self.images = np.cumsum([len(batch) for batch in own.batches])
        self.rate: float | None = None
        self.so_far: Outcome | None = None

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if self.rates[batch] != self.rate:
            self.rate = self.rates[batch]
            self.model.optimizer.learning_rate = self.rate

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """``logs`` are means over the epoch so far."""
        loss, images = float(logs["loss"]), int(self.images[batch])
        self.so_far = _Single(loss, round(float(logs["accuracy"]) * images), images)
        self.report(batch + 1, self.so_far)
        if not math.isfinite(loss):
            self.model.stop_training = True


def _has_gpu() -> bool:
    return bool(tf.config.list_physical_devices("GPU"))


def _steps_at_once(job: r.TrainJob, images: int) -> int:
    """Return a number that divides the steps of every epoch of the job, of a split of ``images``."""
    if not _has_gpu() or any(recipe.rates_per == "step" for recipe in job.training):
        return 1
    common = math.gcd(*(steps(recipe, images) for recipe in job.training))
    return max(n for n in range(1, STEPS_ON_GPU + 1) if common % n == 0)


def _traced(model: keras.Model, criterion: Any, training: bool) -> Callable[..., Any]:
    """Trace a function of a batch's inputs, targets and class numbers: images right, mean loss."""

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def on_batch(inputs: Any, targets: Any, numbers: Any) -> tuple[Any, Any]:
        outputs = model(inputs, training=training)
        hits = tf.argmax(outputs, axis=-1) == tf.cast(numbers, tf.int64)
        # Regularizers of weights, and of this batch's activations.
        penalty = tf.add_n(model.losses) if model.losses else 0.0
        return tf.reduce_sum(tf.cast(hits, tf.int64)), criterion(targets, outputs) + penalty

    return on_batch
