"""Training loops of a submission's own, watched: how many images they have trained on; for `replayer`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np

from grader.describe.keras import models


class Replaying(Protocol):
    """What a loop needs to know of the replay, and what it asks of it."""

    data: Any
    fitting: bool
    handed_in: int

    def is_watched(self, model: Any) -> bool: ...
    def hand_in(self, model: Any) -> None: ...


class Loop:
    """Counts the images that the watched model was trained on outside `fit`.

    Eager steps are seen as they happen; steps within a `tf.function` by the optimizer's own counter, after
    each call of the function.
    """

    def __init__(self, replayer: Replaying) -> None:
        self.replayer = replayer
        self.model: Any = None
        self.optimizers: dict[int, tuple[Any, int]] = {}
        self.batch = 0  # images in the last batch seen
        self.seen = 0
        self.depth = 0

    @property
    def size(self) -> int:
        return len(self.replayer.data.x_train)

    def applied(self, optimizer: Any, variables: Any) -> None:
        """An optimizer was applied to some variables, or a function that does so was traced."""
        if id(optimizer) in self.optimizers:
            return
        for model in models.holding(variables):
            if self.replayer.is_watched(model):
                self.model = model
                self.optimizers[id(optimizer)] = (optimizer, 0)

    def stepped(self, images: int) -> None:
        """The watched model has learned from so many images more."""
        self.seen += images
        while self.model is not None and self.seen >= (self.replayer.handed_in + 1) * self.size - images:
            self.replayer.hand_in(self.model)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """What Keras does within this is one step, which is counted already."""
        self.depth += 1
        try:
            yield
        finally:
            self.depth -= 1

    def calls(self, arguments: tuple[Any, ...]) -> None:
        """A model is about to be called with ``arguments``: a batch perhaps, of as many images."""
        if not self.replayer.fitting:
            self.batch = leading(arguments) or self.batch

    def called(self, arguments: list[Any]) -> None:
        """A `tf.function` has been called, with so many images perhaps."""
        if not self.replayer.fitting and not self.depth:
            self.batch = leading(arguments) or self.batch
            self.look()

    def look(self) -> None:
        """Ask the optimizers how many steps they have made."""
        for key, (optimizer, known) in list(self.optimizers.items()):
            steps = int(np.asarray(optimizer.iterations))
            if steps > known:
                self.optimizers[key] = (optimizer, steps)
                self.stepped((steps - known) * max(1, self.batch))

    def finish(self) -> None:
        if self.model is not None and self.seen > (self.replayer.handed_in + 0.1) * self.size:
            self.replayer.hand_in(self.model)


def leading(values: Any) -> int:
    """The batch axis of the first array among some arguments."""
    for value in values:
        shape = getattr(value, "shape", None)
        if shape is not None and len(shape) >= 2 and shape[0]:
            return int(shape[0])
    return 0
