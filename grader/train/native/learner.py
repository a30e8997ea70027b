"""The native engine as a `grader.train.learner.Learner`: learns on the processor and without Keras."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from grader import records as r
from grader.train.learner import Outcome, Pass, Progress
from grader.train.native.fields import Array
from grader.train.native.machine import parts
from grader.train.native.network import Network
from grader.train.native.optimizers import Optimizer
from grader.train.native.team import Team, cores


class Learner:
    """Trains one network with one seed."""

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
        """Plan again for a recipe with other settings; the weights stay. Make an optimizer if ``fresh``."""
        if recipe is not self.recipe:
            self.network = self._planned_for(recipe)
            self.recipe = recipe
        if fresh:
            variables, size = self.network.plan.variables, self.network.plan.parameters
            self.optimizer = Optimizer(recipe.optimizer, recipe.learning_rates[0], variables, size)

    def _planned_for(self, recipe: r.TrainingRecipe) -> Network:
        """Return a network with the same weights, planned for this recipe's batch, loss and scaling."""
        made = Network(self.job.network, recipe, self.job.seed, self.team)
        made.set_weights(self.network.get_weights())
        made.random = self.network.random
        return made

    def train(self, passes: Sequence[Pass | None], report: Progress) -> Sequence[Outcome | None]:
        """Make the steps of an epoch; end early when the loss is no number."""
        (own,) = passes
        assert own is not None
        assert self.optimizer is not None
        loss, correct, seen = 0.0, 0, 0
        with np.errstate(all="ignore"):  # the loss shows that a run diverges
            for number, (batch, rate) in enumerate(zip(own.batches, own.rates, strict=True), 1):
                self.optimizer.rate = rate
                images, labels = self.images["train"], self.labels["train"]
                outcome = self.network.step(images, labels, batch, self.optimizer)
                seen += outcome.images
                loss, correct = loss + outcome.loss * outcome.images, correct + outcome.correct
                report(number, Outcome(loss / seen, correct, seen))
                if not math.isfinite(loss):
                    break
        return [Outcome(loss / seen, correct, seen)]

    def evaluate(self, split: Literal["train", "test"], rows: Array | None = None) -> Sequence[Outcome]:
        """Evaluate all images of a split, or the given rows of it."""
        chosen = slice(None) if rows is None else rows
        with np.errstate(all="ignore"):
            return [self.network.evaluate(self.images[split][chosen], self.labels[split][chosen])]

    def get_weights(self, seed: int) -> Any:
        """The weights of the only seed, in Keras's order."""
        return self.network.get_weights()

    def set_weights(self, seed: int, weights: Any) -> None:
        """Set the weights of the only seed, in Keras's order."""
        self.network.set_weights(weights)

    def owners(self) -> Sequence[int]:
        """The number of each weight's layer."""
        return [variable.layer for variable in self.network.plan.variables]

    def get_state(self) -> Any:
        """The weights, and the state of the random numbers."""
        return self.network.get_weights(), self.network.random.bit_generator.state

    def set_state(self, state: Any) -> None:
        """Go back to a state that `get_state` returned."""
        weights, self.network.random.bit_generator.state = state
        self.network.set_weights(weights)

    def close(self) -> None:
        """End the threads."""
        self.team.close()


def _rows(images: Array) -> Array:
    """Return uint8 images (n, rows * columns * channels)."""
    return np.array(images, np.uint8).reshape(len(images), -1)
