"""EarlyStopping and ReduceLROnPlateau as Keras has them, and what submissions add to them; without Keras."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, assert_never

import numpy as np

from grader import records as r


class Watching:
    """What EarlyStopping and ReduceLROnPlateau share: monitored value, best value, and epochs waited."""

    def __init__(self, record: Any) -> None:
        self.record = record
        self.best: float | None = None
        self.waited = 0
        self.cooldown = 0

    def _improves(self, value: float, best: float | None) -> bool:
        """Whether a value beats the best by more than the margin: in single precision, as in Keras.

        One image more is an accuracy of 0.0001 more, which is the usual margin. In double precision rounding
        would decide, one way for 9,912 images and the other way for 9,913.
        """
        if best is None:
            return True
        mode = self.record.mode
        smaller = mode == "min" or (mode == "auto" and self.record.monitor.endswith("loss"))
        margin = abs(self.record.min_delta)
        with np.errstate(over="ignore"):  # of a loss that diverges
            moved, to_beat = np.float32(value + margin if smaller else value - margin), np.float32(best)
        return bool(moved < to_beat if smaller else moved > to_beat)


class EarlyStopping(Watching):
    """Ends training once the value has not improved for ``patience`` epochs."""

    def epoch_ended(self, epoch: int, logs: dict[str, float]) -> bool:
        """Return whether to stop after this epoch, counted from 0."""
        value = logs[self.record.monitor]
        if epoch < self.record.start_from_epoch:
            return False
        self.waited += 1
        if self._improves(value, self.best):
            self.best = value
            if self.record.baseline is None or self._improves(value, self.record.baseline):
                self.waited = 0
            return False
        return self.waited >= self.record.patience and epoch > 0


class ReduceOnPlateau(Watching):
    """Lowers the learning rate once the value has not improved for ``patience`` epochs."""

    def epoch_ended(self, logs: dict[str, float], rate: float) -> float:
        """Return the learning rate from now on."""
        value, record = logs[self.record.monitor], self.record
        if self.cooldown > 0:
            self.cooldown -= 1
            self.waited = 0
        if self._improves(value, self.best):
            self.best, self.waited = value, 0
        elif not self.cooldown:
            self.waited += 1
            if self.waited >= record.patience and rate > np.float32(record.min_lr):
                self.cooldown, self.waited = record.cooldown, 0
                return float(np.float32(max(rate * record.factor, record.min_lr)))
        return rate


class StopAt:
    """Ends training once a quantity is on one side of a value."""

    def __init__(self, record: r.StopAt) -> None:
        self.record = record

    def epoch_ended(self, epoch: int, logs: dict[str, float]) -> bool:
        """Return whether to stop after this epoch."""
        value, record = logs[self.record.monitor], self.record
        return value >= record.value if record.side == "above" else value <= record.value


def reaction(record: r.Callback) -> EarlyStopping | ReduceOnPlateau | StopAt:
    """Return what reacts to each epoch of a fit by this record, with nothing seen yet."""
    match record:
        case r.EarlyStopping():
            return EarlyStopping(record)
        case r.ReduceLROnPlateau():
            return ReduceOnPlateau(record)
        case r.StopAt():
            return StopAt(record)
        case _:
            assert_never(record)


class Keeper:
    """Holds the weights of the best epoch, or of a named one, for what follows the fit."""

    def __init__(self, kept: r.Kept) -> None:
        self.kept = kept
        self.epoch = 0  # whose weights are held, from 1 within the fit; 0: none yet
        self.weights: Any = None
        self.best = math.inf if kept.mode == "min" else -math.inf

    def epoch_ended(self, epoch: int, logs: dict[str, float], weights: Callable[[], Any]) -> None:
        """Hold what ``weights`` returns if this epoch, from 0, is the best so far or the named one."""
        value, kept = logs[self.kept.monitor], self.kept
        better = value < self.best if kept.mode == "min" else value > self.best
        if kept.epoch is None and better:
            self.best = value
        if epoch + 1 == kept.epoch or (kept.epoch is None and better):
            self.epoch, self.weights = epoch + 1, weights()
