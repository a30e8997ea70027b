"""Draws initial weights: the distributions of Keras's initializers (not its random numbers).

Fans, and the truncation of normal distributions at two deviations, are as Keras documents them
(https://keras.io/api/layers/initializers/).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from grader import records as r
from grader.train.native.fields import Array
from grader.train.native.plan import Variable

_TRUNCATED = 0.87962566103423978  # deviation of a standard normal cut off at two deviations


def values(variable: Variable, random: np.random.Generator) -> Array:
    """Draw values for one weight, of its shape, in float32."""
    made = _drawn(variable.initializer, variable.shape, random)
    return np.asarray(made, np.float32).reshape(variable.shape)


def _drawn(initializer: Any, shape: tuple[int, ...], random: np.random.Generator) -> Array:
    match initializer:
        case r.Constant():
            return np.full(shape, initializer.value)
        case r.RandomNormal():
            return random.normal(initializer.mean, initializer.stddev, shape)
        case r.TruncatedNormal():
            return initializer.mean + initializer.stddev * _truncated(shape, random)
        case r.RandomUniform():
            low, high = sorted((initializer.minval, initializer.maxval))  # Keras takes them in any order
            return random.uniform(low, high, shape)
        case r.Orthogonal():
            return _orthogonal(initializer.gain, shape, random)
        case r.VarianceScaling():
            return _scaled(initializer, shape, random)
    raise TypeError(f"no initializer: {initializer!r}")


def _scaled(initializer: r.VarianceScaling, shape: tuple[int, ...], random: np.random.Generator) -> Array:
    fan_in, fan_out = fans(shape)
    fan = {"fan_in": fan_in, "fan_out": fan_out}.get(initializer.mode, (fan_in + fan_out) / 2)
    variance = initializer.scale / max(1.0, fan)
    if initializer.distribution == "uniform":
        limit = math.sqrt(3 * variance)
        return random.uniform(-limit, limit, shape)
    if initializer.distribution == "untruncated_normal":
        return random.normal(0.0, math.sqrt(variance), shape)
    return math.sqrt(variance) / _TRUNCATED * _truncated(shape, random)


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return the inputs and outputs of one unit: the last two axes, times the size of the kernel."""
    if len(shape) == 1:
        return shape[0], shape[0]
    kernel = math.prod(shape[:-2])
    return shape[-2] * kernel, shape[-1] * kernel


def _truncated(shape: tuple[int, ...], random: np.random.Generator) -> Array:
    """Draw standard normal numbers; numbers beyond two deviations are drawn again."""
    drawn = random.standard_normal(math.prod(shape))
    while (far := np.abs(drawn) > 2).any():
        drawn[far] = random.standard_normal(int(far.sum()))
    return drawn.reshape(shape)


def _orthogonal(gain: float, shape: tuple[int, ...], random: np.random.Generator) -> Array:
    rows, columns = math.prod(shape[:-1]), shape[-1]
    q, upper = np.linalg.qr(random.standard_normal((max(rows, columns), min(rows, columns))))
    q *= np.sign(np.diag(upper))
    return gain * (q.T if rows < columns else q).reshape(shape)
