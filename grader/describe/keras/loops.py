"""Watches training loops of a submission's own, for `replayer`: how many images they have trained on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np

from grader.describe.keras import models


class Replaying(Protocol):
    """What a loop needs of the replay."""

    data: Any
    fitting: bool
    handed_in: int

    def is_watched(self, model: Any) -> bool:
        """Whether ``model`` is the one whose predictions are handed in."""

    def hand_in(self, model: Any) -> None:
        """Hand in the predictions of ``model`` for the test images."""


class Loop:
    """Counts the images that the watched model was trained on outside `fit`.

    Eager steps are counted as they happen; steps within a `tf.function` are read from the optimizer's own
    counter after each call of the function.
    """

    def __init__(self, replayer: Replaying) -> None:
        self.replayer = replayer
        self.model: Any = None
        self.optimizers: dict[int, tuple[Any, int]] = {}
        self.batch = 0  # images in the last batch
        self.seen = 0
        self.depth = 0

    @property
    def size(self) -> int:
        """The images of an epoch: those of the training split."""
        return len(self.replayer.data.x_train)

    def applied(self, optimizer: Any, variables: Any) -> None:
        """Watch an optimizer that was applied to ``variables`` of the watched model, or traced so."""
        if id(optimizer) in self.optimizers:
            return
        for model in models.holding(variables):
            if self.replayer.is_watched(model):
                self.model = model
                self.optimizers[id(optimizer)] = (optimizer, 0)

    def stepped(self, images: int) -> None:
        """Count ``images`` more that the watched model has learned from; hand in after each epoch."""
        self.seen += images
        while self.model is not None and self.seen >= (self.replayer.handed_in + 1) * self.size - images:
            self.replayer.hand_in(self.model)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Count nothing within this block: what Keras does there is one step, counted already."""
        self.depth += 1
        try:
            yield
        finally:
            self.depth -= 1

    def calls(self, arguments: tuple[Any, ...]) -> None:
        """Take the batch size from the ``arguments`` with which a model is about to be called."""
        if not self.replayer.fitting:
            self.batch = leading(arguments) or self.batch

    def called(self, arguments: list[Any]) -> None:
        """Take the batch size from the ``arguments`` of a `tf.function` that was called; count its steps."""
        if not self.replayer.fitting and not self.depth:
            self.batch = leading(arguments) or self.batch
            self.look()

    def look(self) -> None:
        """Count the steps that the optimizers have made since the last look."""
        for key, (optimizer, known) in list(self.optimizers.items()):
            steps = int(np.asarray(optimizer.iterations))
            if steps > known:
                self.optimizers[key] = (optimizer, steps)
                self.stepped((steps - known) * max(1, self.batch))

    def finish(self) -> None:
        """Hand in once more, if the loop went on for a tenth of an epoch after the last hand-in."""
        if self.model is not None and self.seen > (self.replayer.handed_in + 0.1) * self.size:
            self.replayer.hand_in(self.model)


def leading(values: Any) -> int:
    """Return the batch axis of the first array among some arguments; 0 if there is no array."""
    for value in values:
        shape = getattr(value, "shape", None)
        if shape is not None and len(shape) >= 2 and shape[0]:
            return int(shape[0])
    return 0
