"""What a fit is fed: the images of the training split as the submission prepared, chose, weighed and
augmented them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from grader import records as r
from grader.data import images
from grader.train.rows import batches, chosen, steps

Array = npt.NDArray[Any]


def inputs(pixels: Array, recipe: r.TrainingRecipe, shape: tuple[int, ...]) -> Array:
    """uint8 images -> float32 inputs of the network's shape, as the submission prepared them."""
    return images.prepared(pixels, recipe.scaling, recipe.geometry).reshape(-1, *shape)


def targets(labels: Array, loss: r.Loss, classes: int) -> Array:
    """Class numbers for a sparse loss, one-hot rows for any other."""
    if loss.name.startswith("sparse"):
        return labels.astype(np.int32)
    return np.eye(classes, dtype=np.float32)[labels]


class Feed:
    """The arguments of one `fit` of Keras: batches in an order of ours, without end.

    Where the seed of TensorFlow is set, Keras's own shuffling draws the same order in every epoch.
    """

    def __init__(
        self,
        recipe: r.TrainingRecipe,
        arrays: dict[str, Array],
        shape: tuple[int, ...],
        classes: int,
        shuffling: np.random.Generator,
    ) -> None:
        rows = chosen(recipe.rows, len(arrays["x_train"]))
        labels = arrays["y_train"][rows]
        self.recipe, self.shuffling = recipe, shuffling
        self.x = inputs(arrays["x_train"][rows], recipe, shape)
        self.y = targets(labels, recipe.loss, classes)
        self.weights = weights(recipe, labels)
        self.steps = steps(recipe, len(arrays["x_train"]))

    def arguments(self) -> dict[str, Any]:
        """An endless data set; with augmentation, which is made image by image, an endless generator."""
        endless = self.dataset() if self.recipe.augmentation is None else self.changed()
        return {"x": endless, "steps_per_epoch": self.steps, "shuffle": False}

    def dataset(self) -> Any:
        """Batches picked by TensorFlow, so that none is copied twice."""
        import tensorflow as tf

        arrays = tuple(map(tf.constant, self._arrays()))
        order = tf.data.Dataset.from_generator(
            self.positions, output_signature=tf.TensorSpec((None,), tf.int64)
        )
        return order.map(lambda rows: tuple(tf.gather(array, rows) for array in arrays)).prefetch(2)

    def changed(self) -> Iterator[tuple[Array, ...]]:
        """Draws from NumPy's global generator, as Keras's augmentation does."""
        change = _changer(self.recipe.augmentation, self.x.shape[1:])
        for rows in self.positions():
            _, *others = self._arrays()
            yield (np.stack([change(image) for image in self.x[rows]]), *(x[rows] for x in others))

    def positions(self) -> Iterator[Array]:
        """Batch after batch; see `grader.train.rows`."""
        return batches(len(self.x), self.recipe.batch_size, self.recipe.shuffle, self.shuffling)

    def _arrays(self) -> tuple[Array, ...]:
        return (self.x, self.y) if self.weights is None else (self.x, self.y, self.weights)


def weights(recipe: r.TrainingRecipe, labels: Array) -> Array | None:
    """What each image counts for in the loss; None where all count alike."""
    if recipe.sample_weights:
        if len(recipe.sample_weights) != len(labels):
            raise ValueError(f"{len(recipe.sample_weights):,} weights do not fit {len(labels):,} images")
        return np.asarray(recipe.sample_weights, np.float32)
    if recipe.class_weights:
        given = np.ones(max(len(recipe.class_weights), int(labels.max()) + 1), np.float32)
        given[: len(recipe.class_weights)] = recipe.class_weights
        return given[labels]
    return None


def _changer(augmentation: r.Augmentation | None, shape: tuple[int, ...]) -> Any:
    """One image -> the same image changed at random, by Keras's own ImageDataGenerator."""
    assert augmentation is not None
    if len(shape) != 3:
        raise ValueError(f"images of shape {shape} cannot be moved")
    generator = keras.src.legacy.preprocessing.image.ImageDataGenerator(**augmentation.model_dump())

    def change(image: Array) -> Array:
        return np.asarray(generator.standardize(generator.random_transform(image)), np.float32)

    return change
