"""The images that a fit is fed: prepared, chosen, weighed and augmented as the submission did it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import keras
import numpy as np
import numpy.typing as npt

from grader import records as r
from grader.data import images
from grader.train.keras import build
from grader.train.rows import chosen

Array = npt.NDArray[Any]


def inputs(pixels: Array, recipe: r.TrainingRecipe, shape: tuple[int, ...]) -> Array:
    """Turn uint8 images into float32 inputs of the network's shape, as the submission prepared them."""
    return images.prepared(pixels, recipe.scaling, recipe.geometry).reshape(-1, *shape)


def targets(labels: Array, loss: r.Loss, classes: int) -> Array:
    """Return class numbers for a sparse loss, one-hot rows for any other."""
    if build.is_sparse(loss):
        return labels.astype(np.int32)
    return np.eye(classes, dtype=np.float32)[labels]


class Images(NamedTuple):
    """Inputs of a network, the targets that its loss compares its outputs with, and class numbers."""

    inputs: Array
    targets: Array
    numbers: Array

    @classmethod
    def of(
        cls, pixels: Array, labels: Array, recipe: r.TrainingRecipe, shape: tuple[int, ...], classes: int
    ) -> Images:
        """Prepare uint8 images and their class numbers for a network of this input shape and class count."""
        return cls(inputs(pixels, recipe, shape), targets(labels, recipe.loss, classes), labels)


class Feed:
    """What Keras's `fit` is fed in a recipe, epoch by epoch, in an order of ours.

    Where the seed of TensorFlow is set, Keras's own shuffling draws the same order in every epoch.
    """

    def __init__(
        self, recipe: r.TrainingRecipe, arrays: dict[str, Array], shape: tuple[int, ...], classes: int
    ) -> None:
        """Raises `ValueError` for rows or weights that do not fit the training split."""
        rows = chosen(recipe.rows, len(arrays["x_train"]))
        labels = arrays["y_train"][rows]
        self.images = Images.of(arrays["x_train"][rows], labels, recipe, shape, classes)
        self.weights = weights(recipe, labels)
        self._places = np.zeros(len(arrays["x_train"]), np.int64)
        self._places[rows] = np.arange(len(rows))
        self._batches: Sequence[Array] = ()
        self._change = _changer(recipe.augmentation, shape) if recipe.augmentation is not None else None

    def places(self, rows: Array) -> Array:
        """Return where these rows of the training split are among the images of the recipe."""
        return self._places[rows]

    def epoch(self, batches: Sequence[Array]) -> Any:
        """Return a data set of these batches of rows; good until the next call."""
        self._batches = batches
        return self._dataset

    @cached_property
    def _dataset(self) -> Any:
        import tensorflow as tf

        options = tf.data.Options()
        # There is nothing to tune, and the end of an epoch may wait a second for the thread that tunes.
        options.autotune.enabled = False
        made = self._picked() if self._change is None else self._made_one_by_one()
        return made.prefetch(2).with_options(options)

    def _picked(self) -> Any:
        """Return batches picked by TensorFlow, so that none is copied twice."""
        import tensorflow as tf

        arrays = tuple(map(tf.constant, self._given()))
        order = tf.data.Dataset.from_generator(
            lambda: map(self.places, self._batches), output_signature=tf.TensorSpec((None,), tf.int64)
        )
        return order.map(lambda rows: tuple(tf.gather(array, rows) for array in arrays))

    def _made_one_by_one(self) -> Any:
        """Return batches of augmented images."""
        import tensorflow as tf

        kinds = tuple(tf.TensorSpec((None, *array.shape[1:]), array.dtype) for array in self._given())
        return tf.data.Dataset.from_generator(self.changed, output_signature=kinds)

    def _given(self) -> tuple[Array, ...]:
        weights = () if self.weights is None else (self.weights,)
        return self.images.inputs, self.images.targets, *weights

    def changed(self) -> Iterator[tuple[Array, ...]]:
        """Yield the epoch's batches, augmented: draws from NumPy's global generator, as Keras does."""
        assert self._change is not None
        _, *others = self._given()
        for rows in map(self.places, self._batches):
            moved = np.stack([self._change(image) for image in self.images.inputs[rows]])
            yield (moved, *(array[rows] for array in others))


def weights(recipe: r.TrainingRecipe, labels: Array) -> Array | None:
    """Return what each image counts for in the loss, (n,); None where all count alike."""
    if recipe.sample_weights:
        if len(recipe.sample_weights) != len(labels):
            raise ValueError(f"{len(recipe.sample_weights):,} weights do not fit {len(labels):,} images")
        return np.asarray(recipe.sample_weights, np.float32)
    if recipe.class_weights:
        given = np.ones(max(len(recipe.class_weights), int(labels.max()) + 1), np.float32)
        given[: len(recipe.class_weights)] = recipe.class_weights
        return given[labels]
    return None


def _changer(augmentation: r.Augmentation, shape: tuple[int, ...]) -> Callable[[Array], Array]:
    """Return what changes one image at random, by Keras's own ImageDataGenerator."""
    if len(shape) != 3:
        raise ValueError(f"images of shape {shape} cannot be moved")
    generator = keras.src.legacy.preprocessing.image.ImageDataGenerator(**augmentation.model_dump())

    def change(image: Array) -> Array:
        return np.asarray(generator.standardize(generator.random_transform(image)), np.float32)

    return change
