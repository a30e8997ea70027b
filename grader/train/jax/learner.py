"""Learns as compiled programs on JAX's device: a `grader.train.learner.Learner` for one or several seeds."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import keras
import numpy as np

from grader import records as r
from grader.train.jax.program import Counted, Data, Programs, Run, State, logits_of, optimizer_for
from grader.train.keras import build, feeding
from grader.train.learner import Array, Outcome, Pass, Progress
from grader.train.rows import chosen

EVALUATED = 1_000  # images at a time
CHUNK = 32  # batches in one program where epochs are not alike


class Learner:
    """One network with the weights of every seed of a job; of several, arrays have an axis of seeds first."""

    def __init__(self, job: r.TrainJob, arrays: dict[str, Array]) -> None:
        self.job, self.arrays = job, arrays
        self.seeds = (job.seed, *job.beside)
        self.many = len(self.seeds) > 1
        # On a processor convolutions take four times as long within a loop of XLA's.
        self.whole_epochs = jax.default_backend() != "cpu"
        self.chunk = 1 if jax.default_backend() == "cpu" else CHUNK
        self.network, _ = logits_of(job.network, job.training[0].loss)
        values = [self._fresh(seed) for seed in self.seeds]
        self.values = dict(zip(map(id, self.model.variables), map(self._stacked, *values), strict=True))
        self.slots: list[Any] = []
        self.recipe: r.TrainingRecipe | None = None

    def _fresh(self, seed: int) -> list[Any]:
        """Return the variables of the network as a seed draws them."""
        _set_random_seed(seed)
        self.model = build.model(self.network)
        return [variable.value for variable in self.model.variables]

    def _stacked(self, *values: Any) -> Any:
        return jnp.stack(values) if self.many else values[0]

    def begin(self, recipe: r.TrainingRecipe, fresh: bool) -> None:
        """Compile programs for a recipe that was not trained just before."""
        begun, self.recipe = self.recipe, recipe
        network, loss = logits_of(self.job.network, recipe.loss)
        if network != self.network:
            self._rebuild(network)
        if fresh and recipe is not begun:
            build.freeze(self.model, self.job.network, recipe.frozen)
            self.optimizer = optimizer_for(recipe, self.model)
        if fresh:
            alike = [jnp.copy(variable.value) for variable in self.optimizer.variables]
            self.slots = [self._stacked(*[value] * len(self.seeds)) for value in alike]
        if recipe is not begun:  # else everything is compiled already
            self._prepare(recipe, loss)

    def _prepare(self, recipe: r.TrainingRecipe, loss: r.Loss) -> None:
        raw = recipe.geometry == r.Geometry() and recipe.scaling == r.InputScaling(
            scale=recipe.scaling.scale, offset=recipe.scaling.offset
        )
        self.data = {split: self._data(split, recipe, raw) for split in ("train", "test")}
        self.programs = Programs(self.model, recipe, loss, self.optimizer, len(self.seeds), raw)

    def _rebuild(self, network: r.ModelDescription) -> None:
        """Put the same weights into a network with another end, as another loss needs it."""
        values = [self.values[id(variable)] for variable in self.model.variables]
        self.network, self.model = network, build.model(network)
        self.values = dict(zip(map(id, self.model.variables), values, strict=True))

    def _data(self, split: str, recipe: r.TrainingRecipe, raw: bool) -> Data:
        images, labels = self.arrays[f"x_{split}"], self.arrays[f"y_{split}"].astype(np.int32)
        shape = self.model.input_shape[1:]
        inputs = images.reshape(-1, *shape) if raw else feeding.inputs(images, recipe, shape)
        weights = None
        if split == "train" and (recipe.sample_weights or recipe.class_weights):
            rows = chosen(recipe.rows, len(images))
            weights = np.ones(len(images), np.float32)
            weights[rows] = feeding.weights(recipe, labels[rows])
        return jax.device_put(Data(inputs, labels, weights))

    # --- one epoch ------------------------------------------------------------------------------

    def train(self, passes: Sequence[Pass | None], report: Progress) -> Sequence[Outcome | None]:
        """Train one epoch, in one program on a GPU if it is regular; a seed without a pass stays as it is."""
        some = next(own for own in passes if own is not None)
        filled = [own or some for own in passes]
        before = None if all(passes) else jax.tree.map(jnp.copy, self._state())
        total, seen = np.zeros((2, len(passes))), 0
        for first, last, runs in self._programs(filled):
            state, counted = self.programs.train(self._state(), runs, self.data["train"])
            self._take(state)
            total += self._sums(counted)
            seen += sum(len(batch) for batch in some.batches[first:last])
            report(last, Outcome(total[0, 0] / seen, int(total[1, 0]), seen))
        if before is not None:
            goes = jnp.array([own is not None for own in passes])
            self._take(jax.tree.map(lambda new, old: _chosen(goes, new, old), self._state(), before))
        return [
            Outcome(float(loss) / seen, int(hits), seen) if own is not None else None
            for own, loss, hits in zip(passes, *total, strict=True)
        ]

    def _programs(self, passes: list[Pass]) -> Iterator[tuple[int, int, tuple[Run, ...]]]:
        """Yield what the device does at once: batches from ``first`` to ``last``, in runs of one size."""
        runs = list(_runs([len(batch) for batch in passes[0].batches]))
        regular = self.recipe is not None and self.recipe.steps_per_epoch is None
        if self.chunk == CHUNK and regular:
            yield 0, runs[-1][1], tuple(self._run(passes, *run) for run in runs)
            return
        for first, last in runs:  # of another length in every epoch: in pieces that are alike
            while first < last:
                step = self.chunk if last - first >= self.chunk else 1
                yield first, first + step, (self._run(passes, first, first + step),)
                first += step

    def _run(self, passes: list[Pass], first: int, last: int) -> Run:
        rows = self._stacked(*[np.stack(own.batches[first:last]).astype(np.int32) for own in passes])
        return Run(rows, self._stacked(*[np.array(own.rates[first:last], np.float32) for own in passes]))

    def evaluate(self, split: Literal["train", "test"], rows: Array | None = None) -> Sequence[Outcome]:
        """Evaluate all seeds in batches of `EVALUATED` images."""
        data, total = self.data[split], np.zeros((2, len(self.seeds)))
        rows = np.arange(len(data.labels)) if rows is None else rows
        whole = len(rows) // EVALUATED * EVALUATED
        batches = rows[:whole].reshape(-1, EVALUATED).astype(np.int32)
        pieces = [batches] if self.chunk > 1 else np.split(batches, max(1, len(batches)))
        for piece in [*pieces, rows[None, whole:].astype(np.int32)]:
            if piece.size:
                total += self._sums(self.programs.evaluate(self._state(), piece, data))
        return [Outcome(float(loss) / len(rows), int(hits), len(rows)) for loss, hits in total.T]

    def _sums(self, counted: Counted) -> Array:
        """Return (2, seeds): sums of the loss, and of images that were right."""
        return np.array([counted.loss, counted.correct], np.float64).reshape(2, -1)

    # --- variables ------------------------------------------------------------------------------

    def _state(self) -> State:
        trained, others = self.model.trainable_variables, self.model.non_trainable_variables
        return [self.values[id(v)] for v in trained], [self.values[id(v)] for v in others], self.slots

    def _take(self, state: State) -> None:
        variables = [*self.model.trainable_variables, *self.model.non_trainable_variables]
        self.values = dict(zip(map(id, variables), [*state[0], *state[1]], strict=True))
        self.slots = state[2]

    def get_weights(self, seed: int) -> list[Array]:
        """Return a seed's weights in Keras's order, as `Model.get_weights` does."""
        held = [np.array(self.values[id(weight)]) for weight in self.model.weights]
        return [value[seed] for value in held] if self.many else held

    def set_weights(self, seed: int, weights: Sequence[Array]) -> None:
        """Set the weights of the seed at this place, in the order of `get_weights`."""
        for weight, value in zip(self.model.weights, weights, strict=True):
            now = self.values[id(weight)]
            self.values[id(weight)] = now.at[seed].set(value) if self.many else jnp.array(value)

    def owners(self) -> Sequence[int]:
        """Return the layer of each weight, in the order of `get_weights`, by its place in the network."""
        return build.owners(self.model)

    def get_state(self) -> dict[int, Any]:
        """Return copies, because a program takes over the arrays that it is given."""
        return {key: jnp.copy(value) for key, value in self.values.items()}

    def set_state(self, state: dict[int, Any]) -> None:
        """Take the arrays over: a state that is to be used again is copied first."""
        self.values = state

    def close(self) -> None:
        """Do nothing: there is nothing to give back."""


def _set_random_seed(seed: int) -> None:
    """Set Keras's seed, which would load TensorFlow only to seed that too."""
    absent = sys.modules.setdefault("tensorflow", None) is None  # type: ignore[arg-type]
    try:
        keras.utils.set_random_seed(seed)
    finally:
        if absent:
            del sys.modules["tensorflow"]


def _chosen(goes: Any, new: Any, old: Any) -> Any:
    """Return the new values of seeds that go on, the old ones of the others."""
    return jnp.where(goes.reshape(-1, *[1] * (new.ndim - 1)), new, old)


def _runs(sizes: list[int]) -> Iterator[tuple[int, int]]:
    """Yield ranges of neighbours of one size."""
    first = 0
    for place in range(1, len(sizes) + 1):
        if place == len(sizes) or sizes[place] != sizes[first]:
            yield first, place
            first = place
