"""What a callback of the student's own does, found by trying copies of it with invented measurements.

Code shows too little: a helper, a base class or another hook may set what the callback sets.
"""

from __future__ import annotations

import copy
import math
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from grader.describe.keras.callbacks import LOG_NAMES, custom
from grader.errors import StudentsCode

_TRIED = 30  # epochs; patience is seldom longer


def reacting(fit: Any) -> set[int]:
    """Return the ids of the student's callbacks that do more than set rates regardless of measurements.

    Each is tried with three courses of measurements: better, worse, and good without an end.
    """
    courses = (
        [(0.5 + 0.5 * n / _TRIED, 2.0 * 0.8**n) for n in range(_TRIED)],  # accuracy, loss
        [(0.5 - 0.5 * n / _TRIED, 2.0 * 1.2**n) for n in range(_TRIED)],
        [(0.999, 0.001)] * _TRIED,
    )
    found = set()
    for callback in custom(fit.callbacks):
        done = [_course(callback, fit, measured) for measured in courses]
        if any(other.more for other in done) or len({repr(other.rates) for other in done}) > 1:
            found.add(id(callback))
    return found


@dataclass
class _Course:
    """What a callback did: the learning rates after each epoch, and whether it changed anything else."""

    rates: list[float] = field(default_factory=list)
    more: bool = False


def _course(callback: Any, fit: Any, measured: list[tuple[float, float]]) -> _Course:
    """Try a copy of a callback over epochs with these measurements; return what it did."""
    tried, done, before = _copy(callback), _Course(), _State(fit)
    with StudentsCode() as call, fit.memory.undone(fit.model) as touched:
        tried.set_model(fit.model)
        tried.set_params({"epochs": fit.epochs, "steps": fit.steps_per_epoch, "verbose": 0})
        tried.on_train_begin({})
        for epoch, (accuracy, loss) in enumerate(measured[: max(1, fit.epochs)]):
            logs = {name: accuracy if "acc" in name else loss for name in LOG_NAMES}
            tried.on_epoch_begin(epoch, {})
            for batch in range(2):
                tried.on_train_batch_begin(batch, {})
                tried.on_train_batch_end(batch, dict(logs))
            tried.on_epoch_end(epoch, dict(logs))
            done.rates.append(before.rate_now())
            if fit.model.stop_training:
                break
        done.more = bool(touched())
    if call.error is not None:
        done.rates.append(math.nan)  # which counts as another course; sampling reports the error
    done.more |= before.put_back()
    return done


class _State:
    """What a callback may change of a model and its optimizer, as it was, to be compared and put back."""

    _SETTINGS = ("momentum", "beta_1", "beta_2", "rho", "weight_decay", "clipnorm", "clipvalue")

    def __init__(self, fit: Any) -> None:
        self.model, self.optimizer = fit.model, fit.model.optimizer
        self.rate = self.optimizer._learning_rate
        scheduled = isinstance(self.rate, keras.optimizers.schedules.LearningRateSchedule)
        self.value = None if scheduled else self.rate_now()
        self.settings = {name: getattr(self.optimizer, name, None) for name in self._SETTINGS}
        self.weights = [np.array(weight) for weight in self.model.weights]
        self.trainable = [layer.trainable for layer in self.model.layers]
        self.model.stop_training = False

    def rate_now(self) -> float:
        if isinstance(self.optimizer._learning_rate, keras.optimizers.schedules.LearningRateSchedule):
            return 0.0
        return float(np.asarray(self.optimizer.learning_rate))

    def put_back(self) -> bool:
        """Put everything back; return whether anything but the learning rate was changed."""
        changed = bool(self.model.stop_training)
        for name, value in self.settings.items():
            if getattr(self.optimizer, name, None) is not value:
                changed = True
                setattr(self.optimizer, name, value)
        for weight, value in zip(self.model.weights, self.weights, strict=True):
            if not np.array_equal(np.array(weight), value, equal_nan=True):
                changed = True
                weight.assign(value)
        for layer, value in zip(self.model.layers, self.trainable, strict=True):
            if layer.trainable is not value:
                changed, layer.trainable = True, value
        self.model.stop_training = False
        if self.optimizer._learning_rate is not self.rate:
            self.optimizer._learning_rate = self.rate
        if self.value is not None:
            self.rate.assign(self.value)
        return changed


def _copy(callback: Any) -> Any:
    """Return a copy of a callback with containers of its own, and with the same model and functions."""
    made = copy.copy(callback)
    for name, value in vars(callback).items():
        if isinstance(value, list | dict | set | np.ndarray):
            with suppress(Exception):  # of what cannot be copied
                setattr(made, name, copy.deepcopy(value))
    return made
