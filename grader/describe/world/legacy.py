"""How optimizers of Keras 1 and 2 differ from those of Keras 3, as data: defaults, arguments, formulas.

Facts from the Keras 1.2, 2.2 and 2.3 documentation; nothing here imports Keras. What layers were called is in
`grader.layers.old_names`.
"""

from __future__ import annotations

from typing import Any

# Keras 2.2's defaults where Keras 3's differ (keras.io/api/optimizers against Keras 2.2.4).
OPTIMIZER_DEFAULTS: dict[str, dict[str, float]] = {
    "SGD": {"learning_rate": 0.01},
    "RMSprop": {"learning_rate": 0.001},
    "Adagrad": {"learning_rate": 0.01, "initial_accumulator_value": 0.0},
    "Adadelta": {"learning_rate": 1.0, "rho": 0.95},
    "Adam": {"learning_rate": 0.001},
    "Adamax": {"learning_rate": 0.002},
    "Nadam": {"learning_rate": 0.002, "schedule_decay": 0.004},
}


# Positional arguments of Keras 2.2's optimizers, in its order.
OPTIMIZER_ORDER: dict[str, tuple[str, ...]] = {
    "SGD": ("learning_rate", "momentum", "decay", "nesterov"),
    "RMSprop": ("learning_rate", "rho", "epsilon", "decay"),
    "Adagrad": ("learning_rate", "epsilon", "decay"),
    "Adadelta": ("learning_rate", "rho", "epsilon", "decay"),
    "Adam": ("learning_rate", "beta_1", "beta_2", "epsilon", "decay", "amsgrad"),
    "Adamax": ("learning_rate", "beta_1", "beta_2", "epsilon", "decay"),
    "Nadam": ("learning_rate", "beta_1", "beta_2", "epsilon", "schedule_decay"),
}
# Keras 2.2 divides by sqrt(a) + epsilon in these, Keras 3 by sqrt(a + epsilon): nearly the same
# with the square of the epsilon.
EPSILON_OUTSIDE_ROOT = {"RMSprop", "Adagrad"}


def modern_optimizer(name: str, args: tuple[Any, ...], arguments: dict[str, Any]) -> dict[str, Any]:
    """Turn arguments of a Keras 2.2 optimizer into those with which Keras 3 takes the same steps."""
    given = {**dict(zip(OPTIMIZER_ORDER[name], args, strict=False)), **arguments}
    if "epsilon" in OPTIMIZER_ORDER[name] and given.get("epsilon") is None:
        given["epsilon"] = 1e-7
    if name in EPSILON_OUTSIDE_ROOT:
        given["epsilon"] = given["epsilon"] ** 2
    if "clipnorm" in given:  # Keras 2 clipped the norm of all gradients together
        given["global_clipnorm"] = given.pop("clipnorm")
    return {**OPTIMIZER_DEFAULTS[name], **given}
