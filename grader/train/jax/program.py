"""The compiled programs: an epoch of training, and counting correct images. Pure functions of their arrays.

A state is (trained variables, other variables, optimizer's variables), each a list in Keras's order. Random
numbers of Dropout are among the other variables.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import keras

from grader import records as r
from grader.train.keras import build

Array = Any
State = tuple[list[Array], list[Array], list[Array]]


class Data(NamedTuple):
    """A split on the device; ``weights`` is None where all images count alike."""

    images: Array  # as the network takes them, or bytes that are still to be scaled
    labels: Array  # int32
    weights: Array | None


class Run(NamedTuple):
    """Batches of one size: positions (batches, size) of images, and the learning rate of each batch."""

    rows: Array
    rates: Array


class Counted(NamedTuple):
    """Sums over images: of their loss, and of images that were right."""

    loss: Array
    correct: Array


def logits_of(network: r.ModelDescription, loss: r.Loss) -> tuple[r.ModelDescription, r.Loss]:
    """Return a network that ends before its softmax or sigmoid, and a cross-entropy of logits.

    Keras on TensorFlow takes the cross-entropy of the input of a last softmax or sigmoid; Keras on JAX of its
    output, clipped. The largest output is the same with and without the softmax or sigmoid.
    """
    last = next(layer for layer in network.layers if layer.name == network.outputs[0])
    ends = getattr(last, "activation", None) in ("softmax", "sigmoid")
    if not ends or "crossentropy" not in loss.name or getattr(last, "activity_regularizer", None):
        return network, loss
    before = last.model_copy(update={"activation": "linear"})
    layers = tuple(before if layer is last else layer for layer in network.layers)
    return network.model_copy(update={"layers": layers}), loss.model_copy(update={"from_logits": True})


class Programs:
    """What is compiled for one model, recipe and optimizer; ``seeds`` at a time, each with its own state."""

    def __init__(
        self, model: Any, recipe: r.TrainingRecipe, loss: r.Loss, optimizer: Any, seeds: int, raw: bool
    ) -> None:
        """``raw``: images are bytes that a formula of one factor and one offset scales."""
        self.model, self.recipe, self.optimizer, self.raw = model, recipe, optimizer, raw
        self.sparse, self.criterion = build.is_sparse(loss), build.loss(loss)
        self.rate = next(n for n, v in enumerate(optimizer.variables) if v is optimizer._learning_rate)
        many = seeds > 1
        train: Callable[..., Any] = self._train
        evaluate: Callable[..., Any] = self._evaluate
        if many:
            train = jax.vmap(train, in_axes=(0, 0, None))
            evaluate = jax.vmap(evaluate, in_axes=(0, None, None))
        self.train = jax.jit(train, donate_argnums=0)
        self.evaluate = jax.jit(evaluate)

    def _train(self, state: State, runs: tuple[Run, ...], data: Data) -> tuple[State, Counted]:
        """Train batch after batch; sum over all of them."""

        def step(state: State, run: Run) -> tuple[State, Counted]:
            return self._step(state, run.rows, run.rates, data)

        total = Counted(jnp.float32(0), jnp.int32(0))
        for run in runs:
            state, counted = _each(step, state, run)
            total = Counted(total.loss + counted.loss.sum(), total.correct + counted.correct.sum())
        return state, total

    def _step(self, state: State, rows: Array, rate: Array, data: Data) -> tuple[State, Counted]:
        trained, others, slots = state
        images, labels, wanted = self._batch(data, rows)
        weights = None if data.weights is None else data.weights[rows]

        def objective(trained: list[Array]) -> tuple[Array, tuple[Array, list[Array]]]:
            outputs, after, penalties = self.model.stateless_call(
                trained, others, images, training=True, return_losses=True
            )
            loss = self.criterion(wanted, outputs, sample_weight=weights) + sum(penalties)
            return loss, (outputs, after)

        (loss, (outputs, others)), slopes = jax.value_and_grad(objective, has_aux=True)(trained)
        slots[self.rate] = rate
        trained, slots = self.optimizer.stateless_apply(slots, slopes, trained)
        return (trained, others, slots), Counted(loss * rows.size, _hits(outputs, labels))

    def _evaluate(self, state: State, batches: Array, data: Data) -> Counted:
        """Sum over the images at the positions of ``batches``, (batches, size)."""
        trained, others, _ = state

        def count(_: None, rows: Array) -> tuple[None, Counted]:
            images, labels, wanted = self._batch(data, rows)
            outputs, _others, penalties = self.model.stateless_call(
                trained, others, images, training=False, return_losses=True
            )
            loss = self.criterion(wanted, outputs) + sum(penalties)
            return None, Counted(loss * rows.size, _hits(outputs, labels))

        _, counted = _each(count, None, batches)
        return Counted(counted.loss.sum(), counted.correct.sum())

    def _batch(self, data: Data, rows: Array) -> tuple[Array, Array, Array]:
        """Return images as the network takes them, class numbers, and targets as the loss takes them."""
        images, labels = data.images[rows], data.labels[rows]
        if self.raw:
            scaling = self.recipe.scaling
            images = images.astype(jnp.float32) * jnp.float32(scaling.scale) + jnp.float32(scaling.offset)
        classes = self.model.output_shape[-1]
        return images, labels, labels if self.sparse else jax.nn.one_hot(labels, classes)


def _each(step: Callable[..., Any], state: Any, batches: Any) -> Any:
    """`jax.lax.scan`, without a loop around a single batch."""
    if jax.tree.leaves(batches)[0].shape[0] > 1:
        return jax.lax.scan(step, state, batches)
    return step(state, jax.tree.map(lambda x: x[0], batches))


def _hits(outputs: Array, labels: Array) -> Array:
    return (jnp.argmax(outputs, axis=-1) == labels).sum(dtype=jnp.int32)


def optimizer_for(recipe: r.TrainingRecipe, model: keras.Model) -> Any:
    """Return the recipe's optimizer, with state for the model's trainable variables."""
    made = build.optimizer(recipe)
    made.build(model.trainable_variables)
    return made
