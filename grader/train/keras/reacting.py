"""Callbacks that react to what is measured: Keras's own where it has them."""

from __future__ import annotations

import math
from typing import Any

import keras

from grader import records as r


def callback(record: r.Callback) -> Any:
    """A record as a Keras callback."""
    if isinstance(record, r.StopAt):
        return StopAt(record)
    settings = record.model_dump(exclude={"type"})
    return getattr(keras.callbacks, record.type)(**settings)


class StopAt(keras.callbacks.Callback):  # type: ignore[misc]
    """Ends training once a quantity is on one side of a value."""

    def __init__(self, record: r.StopAt) -> None:
        super().__init__()
        self.record = record

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        value = (logs or {}).get(self.record.monitor)
        if value is None:
            return
        beyond = value >= self.record.value if self.record.side == "above" else value <= self.record.value
        if beyond:
            self.model.stop_training = True


class Keeper(keras.callbacks.Callback):  # type: ignore[misc]
    """Holds the weights of the best epoch, or of one that is named, to go on with them after the fit."""

    def __init__(self, kept: r.Kept) -> None:
        super().__init__()
        self.kept = kept
        self.epoch = 0
        self.weights: list[Any] | None = None
        self.best = math.inf if kept.mode == "min" else -math.inf

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self.kept.epoch is not None:
            if epoch + 1 == self.kept.epoch:
                self._hold(epoch)
            return
        value = (logs or {}).get(self.kept.monitor)
        if value is not None and (value < self.best if self.kept.mode == "min" else value > self.best):
            self.best = value
            self._hold(epoch)

    def _hold(self, epoch: int) -> None:
        self.epoch, self.weights = epoch + 1, self.model.get_weights()

    def restore(self) -> bool:
        """Give the model those weights; False if there are none, or they are those it has."""
        if self.weights is None:
            return False
        self.model.set_weights(self.weights)
        return True
