"""What `grader.train.epochs` trains: a `Learner` of some engine, its input and its results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, Protocol

import numpy.typing as npt

from grader import records as r

Array = npt.NDArray[Any]


class Outcome(NamedTuple):
    """The mean loss, with penalties, of a mini-batch, an epoch or a split, and images that were right."""

    loss: float
    correct: int
    images: int

    @property
    def accuracy(self) -> float:
        """The images that were right, as a fraction."""
        return self.correct / self.images


class Pass(NamedTuple):
    """What one seed trains on in an epoch: rows of the training split for each batch, and its rate.

    In a ``still`` pass all rates are 0: weights stay as they are, moving averages move and Dropout drops. An
    engine may leave out the optimizer.
    """

    batches: Sequence[Array]
    rates: Sequence[float]
    still: bool = False


Progress = Callable[[int, Outcome], None]
"""Takes the number of batches of an epoch that are done, and their outcome so far."""


class Learner(Protocol):
    """A network with its weights, once for each seed of the job, and how it learns."""

    def begin(self, recipe: r.TrainingRecipe, fresh: bool) -> None:
        """Train by this recipe from now on; ``fresh``: with an optimizer that has no history."""

    def train(self, passes: Sequence[Pass | None], report: Progress) -> Sequence[Outcome | None]:
        """Train every seed that has a pass for one epoch; return its outcome, None for the other seeds.

        May end early when a loss is no number.
        """

    def evaluate(self, split: Literal["train", "test"], rows: Array | None = None) -> Sequence[Outcome]:
        """Evaluate every seed on a split or on ``rows`` of it, with moving averages and without Dropout."""

    def get_weights(self, seed: int) -> Any:
        """Return the weights of the seed at place ``seed`` in the job."""

    def set_weights(self, seed: int, weights: Any) -> None:
        """Set the weights of the seed at place ``seed`` in the job, as `get_weights` returned them."""

    def owners(self) -> Sequence[int]:
        """Return for each weight, in the order of `get_weights`, the place of the layer that holds it."""

    def get_state(self) -> Any:
        """Return weights and random numbers of all seeds as they are now, without an optimizer's state."""

    def set_state(self, state: Any) -> None:
        """Go back to a state that `get_state` returned."""

    def close(self) -> None:
        """Give back threads and memory."""

    whole_epochs: bool
    """Whether a part of an epoch, or of a split, takes longer than the whole: it is a program of its own."""
