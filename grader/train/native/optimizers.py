"""Makes steps of each optimizer as Keras 3 defines it, on all weights at once.

State is held in arrays of the weights' length. Where Keras computes in float32, so does this module.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from grader import records as r
from grader.train.covered import NotCovered, refuse_unknown
from grader.train.native.fields import Array
from grader.train.native.plan import Variable

_F = np.float32
_CHUNK = 1 << 14  # weights at a time, so that intermediate results stay in the cache
_COMMON = {"type", "weight_decay", "clipnorm", "clipvalue", "global_clipnorm"}
_HANDLED: dict[type[Any], set[str]] = {
    r.SGD: {"momentum", "nesterov"},
    r.Adam: {"beta_1", "beta_2", "epsilon", "amsgrad"},
    r.Adamax: {"beta_1", "beta_2", "epsilon"},
    r.Nadam: {"beta_1", "beta_2", "epsilon", "schedule_decay"},
    r.RMSprop: {"rho", "momentum", "epsilon", "centered"},
    r.Adagrad: {"initial_accumulator_value", "epsilon"},
    r.Adadelta: {"rho", "epsilon"},
}


def check(optimizer: r.Optimizer) -> None:
    """Raise `NotCovered` for an optimizer, or a setting of one, that this module does not handle."""
    if type(optimizer) not in _HANDLED:
        raise NotCovered(f"the optimizer {optimizer.type}")
    refuse_unknown(optimizer, _HANDLED[type(optimizer)] | _COMMON, optimizer.type)


class Optimizer:
    """An optimizer with its state; ``rate`` is the learning rate of the next step."""

    def __init__(self, record: r.Optimizer, rate: float, variables: list[Variable], size: int) -> None:
        self.record: Any = record
        self.rate = rate
        self.steps = 0
        self.parts = [slice(v.at, v.at + v.size) for v in variables if v.trained]
        self.state = [np.zeros(size, _F) for _ in range(3)]
        self.held = self.state  # the part at hand
        self.product = 1.0  # of Nadam's momentum schedule
        if isinstance(record, r.Adagrad):
            self.state[0][:] = record.initial_accumulator_value
        self.move = getattr(self, f"_{record.type.lower()}")

    def step(self, weights: Array, slopes: Array) -> None:
        """Change ``weights`` in place by their gradients ``slopes``."""
        self.steps += 1
        self.product *= self._momentum(self.steps) if isinstance(self.record, r.Nadam) else 1.0
        if self.record.weight_decay is not None:
            weights -= weights * _F(self.record.weight_decay) * _F(self.rate)
        slopes = self._clipped(slopes)
        for start in range(0, len(weights), _CHUNK):
            part = slice(start, start + _CHUNK)
            self.held = [state[part] for state in self.state]
            self.move(weights[part], slopes[part], _F(self.rate))

    def _clipped(self, slopes: Array) -> Array:
        record = self.record
        if record.clipnorm:
            for part in self.parts:
                norm = np.sqrt(np.sum(np.square(slopes[part])))
                slopes[part] = slopes[part] * _F(record.clipnorm) / max(norm, _F(record.clipnorm))
        elif record.global_clipnorm:
            norm = np.sqrt(np.sum(np.square(slopes)))
            with np.errstate(divide="ignore"):
                slopes = slopes * (_F(record.global_clipnorm) * min(1 / norm, _F(1 / record.global_clipnorm)))
        elif record.clipvalue:
            slopes = np.clip(slopes, -_F(record.clipvalue), _F(record.clipvalue))
        return slopes

    def _average(self, held: Array, seen: Array, beta: float) -> None:
        held += (seen - held) * _F(1 - beta)

    def _sgd(self, weights: Array, slopes: Array, rate: Any) -> None:
        momentum = _F(self.record.momentum)
        if not momentum:
            weights -= slopes * rate
            return
        m = self.held[0]
        m *= momentum
        m -= slopes * rate
        weights += m * momentum - slopes * rate if self.record.nesterov else m

    def _adam(self, weights: Array, slopes: Array, rate: Any) -> None:
        m, v, largest = self.held
        first, second = _F(self.record.beta_1), _F(self.record.beta_2)
        alpha = rate * np.sqrt(1 - second ** _F(self.steps)) / (1 - first ** _F(self.steps))
        self._average(m, slopes, self.record.beta_1)
        self._average(v, np.square(slopes), self.record.beta_2)
        if self.record.amsgrad:
            v = np.maximum(largest, v, out=largest)
        weights -= m * alpha / (np.sqrt(v) + _F(self.record.epsilon))

    def _adamax(self, weights: Array, slopes: Array, rate: Any) -> None:
        m, u, _ = self.held
        self._average(m, slopes, self.record.beta_1)
        np.maximum(u * _F(self.record.beta_2), np.abs(slopes), out=u)
        rest = 1 - _F(self.record.beta_1) ** _F(self.steps)
        weights -= rate * m / (rest * (u + _F(self.record.epsilon)))

    def _nadam(self, weights: Array, slopes: Array, rate: Any) -> None:
        m, v, _ = self.held
        now, following = self._momentum(self.steps), self._momentum(self.steps + 1)
        self._average(m, slopes, self.record.beta_1)
        self._average(v, np.square(slopes), self.record.beta_2)
        seen = _F(following / (1 - self.product * following)) * m
        seen += _F((1 - now) / (1 - self.product)) * slopes
        deviation = np.sqrt(v / (1 - _F(self.record.beta_2) ** _F(self.steps)))
        weights -= seen * rate / (deviation + _F(self.record.epsilon))

    def _momentum(self, step: int) -> float:
        decay: float = 0.96 ** (self.record.schedule_decay * step)
        return float(self.record.beta_1) * (1.0 - 0.5 * decay)

    def _rmsprop(self, weights: Array, slopes: Array, rate: Any) -> None:
        v, mean, m = self.held
        rho = self.record.rho
        v *= _F(rho)
        v += _F(1 - rho) * np.square(slopes)
        below = v + _F(self.record.epsilon)
        if self.record.centered:
            mean *= _F(rho)
            mean += _F(1 - rho) * slopes
            below = v - np.square(mean) + _F(self.record.epsilon)
        change = rate * slopes / np.sqrt(below)
        if self.record.momentum:
            m *= _F(self.record.momentum)
            m += change
            change = m
        weights -= change

    def _adagrad(self, weights: Array, slopes: Array, rate: Any) -> None:
        seen = self.held[0]
        seen += np.square(slopes)
        weights -= rate * slopes / np.sqrt(seen + _F(self.record.epsilon))

    def _adadelta(self, weights: Array, slopes: Array, rate: Any) -> None:
        seen, moved, _ = self.held
        rho, epsilon = self.record.rho, _F(self.record.epsilon)
        seen *= _F(rho)
        seen += _F(1 - rho) * np.square(slopes)
        change = -np.sqrt(moved + epsilon) * slopes / np.sqrt(seen + epsilon)
        moved *= _F(rho)
        moved += _F(1 - rho) * np.square(change)
        weights += rate * change
