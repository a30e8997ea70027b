"""Learns on the processor and without Keras: the native engine as a `grader.train.learner.Learner`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from grader import records as r
from grader.train.learner import Outcome, Pass, Told
from grader.train.native.fields import Array
from grader.train.native.machine import parts
from grader.train.native.network import Network
from grader.train.native.optimizers import Optimizer
from grader.train.native.team import Team, cores


class Learner:
    """One network, one seed."""

    whole_epochs = False

    def __init__(self, job: r.TrainJob, arrays: dict[str, Array]) -> None:
        self.job = job
        # More threads than parts of a batch would only wait.
        self.team = Team(min(cores(), max(parts(recipe.batch_size) for recipe in job.training)))
        self.images = {split: _rows(arrays[f"x_{split}"]) for split in ("train", "test")}
        self.labels = {split: np.array(arrays[f"y_{split}"], np.int64) for split in ("train", "test")}
        self.network = Network(job.network, job.training[0], job.seed, self.team)
        self.recipe = job.training[0]
        self.optimizer: Optimizer | None = None

    def begin(self, recipe: r.TrainingRecipe, fresh: bool) -> None:
        """Plan programs for another recipe than before, around the same weights."""
        if recipe is not self.recipe:
            self.network = self._planned_for(recipe)
            self.recipe = recipe
        if fresh:
            variables, size = self.network.plan.variables, self.network.plan.parameters
            self.optimizer = Optimizer(recipe.optimizer, recipe.learning_rates[0], variables, size)

    def _planned_for(self, recipe: r.TrainingRecipe) -> Network:
        """The same weights, planned for this recipe's batch, loss and scaling."""
        made = Network(self.job.network, recipe, self.job.seed, self.team)
        made.set_weights(self.network.get_weights())
        made.random = self.network.random
        return made

    def train(self, passes: Sequence[Pass | None], told: Told) -> Sequence[Outcome | None]:
        """The steps of an epoch. Ends early when the loss is no number."""
        (own,) = passes
        assert own is not None
        assert self.optimizer is not None
        loss, correct, seen = 0.0, 0, 0
        with np.errstate(all="ignore"):  # a run that diverges is told by its loss
            for number, (batch, rate) in enumerate(zip(own.batches, own.rates, strict=True), 1):
                self.optimizer.rate = rate
                images, labels = self.images["train"], self.labels["train"]
                outcome = self.network.step(images, labels, batch, self.optimizer)
                seen += outcome.images
                loss, correct = loss + outcome.loss * outcome.images, correct + outcome.correct
                told(number, Outcome(loss / seen, correct, seen))
                if not math.isfinite(loss):
                    break
        return [Outcome(loss / seen, correct, seen)]

    def evaluate(self, split: Literal["train", "test"], rows: Array | None = None) -> Sequence[Outcome]:
        """Any number of images; each part of them is as fast as the whole."""
        chosen = slice(None) if rows is None else rows
        with np.errstate(all="ignore"):
            return [self.network.evaluate(self.images[split][chosen], self.labels[split][chosen])]

    def get_weights(self, seed: int) -> Any:
        """In Keras's order."""
        return self.network.get_weights()

    def set_weights(self, seed: int, weights: Any) -> None:
        """In the order of `get_weights`."""
        self.network.set_weights(weights)

    def owners(self) -> Sequence[int]:
        """In the order of `get_weights`, places among the layers of the network."""
        return [variable.layer for variable in self.network.plan.variables]

    def get_state(self) -> Any:
        """All weights, and the state of the generator that draws Dropout's masks."""
        return self.network.get_weights(), self.network.random.bit_generator.state

    def set_state(self, state: Any) -> None:
        """Set what `get_state` returned."""
        weights, self.network.random.bit_generator.state = state
        self.network.set_weights(weights)

    def close(self) -> None:
        """End the threads."""
        self.team.close()


def _rows(images: Array) -> Array:
    """uint8 images, each a row of numbers."""
    return np.array(images, np.uint8).reshape(len(images), -1)
