"""The values that layers are set to: activations, initializers and regularizers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from grader.record import NonNegative, Number, Record

Padding = Literal["valid", "same"]
Activation = Literal[
    "linear", "relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish",
    "sigmoid", "hard_sigmoid", "tanh", "softmax", "log_softmax", "softplus", "softsign",
    "exponential", "hard_silu",
]  # fmt: skip


class VarianceScaling(Record):
    """He, Glorot and LeCun initializers are settings of this one (Keras does the same)."""

    type: Literal["VarianceScaling"] = "VarianceScaling"
    scale: Annotated[float, Field(gt=0)] = 1.0
    mode: Literal["fan_in", "fan_out", "fan_avg"] = "fan_avg"
    distribution: Literal["truncated_normal", "untruncated_normal", "uniform"] = "uniform"


class RandomNormal(Record):
    """Draws from a normal distribution."""

    type: Literal["RandomNormal"] = "RandomNormal"
    mean: Number = 0.0
    stddev: NonNegative = 0.05


class TruncatedNormal(Record):
    """Draws from a normal distribution, within two standard deviations of its mean."""

    type: Literal["TruncatedNormal"] = "TruncatedNormal"
    mean: Number = 0.0
    stddev: NonNegative = 0.05


class RandomUniform(Record):
    """Draws from ``minval`` to ``maxval``, all equally likely."""

    type: Literal["RandomUniform"] = "RandomUniform"
    minval: Number = -0.05
    maxval: Number = 0.05


class Constant(Record):
    """A scalar only: a whole matrix of weights cannot be smuggled in through an initializer."""

    type: Literal["Constant"] = "Constant"
    value: Number = 0.0


class Orthogonal(Record):
    """A random orthogonal matrix, times ``gain``."""

    type: Literal["Orthogonal"] = "Orthogonal"
    gain: Number = 1.0


Initializer = Annotated[
    VarianceScaling | RandomNormal | TruncatedNormal | RandomUniform | Constant | Orthogonal,
    Field(discriminator="type"),
]

# For vectors, which an orthogonal matrix cannot fill.
VectorInitializer = Annotated[
    VarianceScaling | RandomNormal | TruncatedNormal | RandomUniform | Constant,
    Field(discriminator="type"),
]

GLOROT_UNIFORM = VarianceScaling()
ZEROS = Constant(value=0.0)
ONES = Constant(value=1.0)


class L1L2(Record):
    """Penalty ``l1 * sum(|w|) + l2 * sum(w**2)`` added to the loss."""

    l1: NonNegative = 0.0
    l2: NonNegative = 0.0
