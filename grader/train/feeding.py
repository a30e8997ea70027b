"""What a fit is fed: the images of the training split as the submission prepared, chose, weighed and
augmented them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from grader import images
from grader import records as r
from grader.train.rows import chosen

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
    """The arguments of one `fit` of Keras."""

    def __init__(
        self, recipe: r.TrainingRecipe, arrays: dict[str, Array], shape: tuple[int, ...], classes: int
    ) -> None:
        rows = chosen(recipe.rows, len(arrays["x_train"]))
        labels = arrays["y_train"][rows]
        self.recipe = recipe
        self.x = inputs(arrays["x_train"][rows], recipe, shape)
        self.y = targets(labels, recipe.loss, classes)
        self.weights = weights(recipe, labels)
        self.steps = recipe.steps_per_epoch or math.ceil(len(self.x) / recipe.batch_size)

    def arguments(self) -> dict[str, Any]:
        """Arrays, or an endless generator of batches where an epoch is no plain pass over them."""
        recipe = self.recipe
        if recipe.augmentation is None and recipe.steps_per_epoch is None:
            return {
                "x": self.x, "y": self.y, "sample_weight": self.weights, "batch_size": recipe.batch_size,
                "shuffle": recipe.shuffle,
            }  # fmt: skip
        return {"x": self.batches(), "steps_per_epoch": self.steps, "shuffle": False}

    def batches(self) -> Iterator[tuple[Array, ...]]:
        """Pass after pass over the images, each in an order of its own; the last batch of a pass may be
        smaller. Draws from NumPy's global generator, as Keras's own augmentation does.
        """
        size, count = self.recipe.batch_size, len(self.x)
        change = _changer(self.recipe.augmentation, self.x.shape[1:])
        while True:
            order = np.random.permutation(count) if self.recipe.shuffle else np.arange(count)
            for start in range(0, count, size):
                part = order[start : start + size]
                x = self.x[part] if change is None else np.stack([change(image) for image in self.x[part]])
                batch = (x, self.y[part])
                yield batch if self.weights is None else (*batch, self.weights[part])


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
    if augmentation is None:
        return None
    if len(shape) != 3:
        raise ValueError(f"images of shape {shape} cannot be moved")
    generator = keras.src.legacy.preprocessing.image.ImageDataGenerator(**augmentation.model_dump())

    def change(image: Array) -> Array:
        return np.asarray(generator.standardize(generator.random_transform(image)), np.float32)

    return change
