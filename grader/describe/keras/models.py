"""The Keras models of this process, and the methods that they replace."""

from __future__ import annotations

import gc
from typing import Any

import keras

from grader.describe.world import originals

_OVERRIDDEN = ("call", "train_step", "compute_loss", "compute_metrics", "make_train_function")


def own_methods(model: Any) -> list[str]:
    """Return the methods of training that a submission's class or model has replaced."""
    own = [cls for cls in type(model).__mro__ if cls not in originals.CLASSES]
    return [name for name in _OVERRIDDEN if any(name in vars(x) for x in (model, *own))]


def holding(variables: Any) -> list[Any]:
    """Return the models that hold some of these variables; none that is part of another."""
    ids = {id(v) for v in variables}
    if not ids:
        return []
    models = [m for m in gc.get_objects() if type(m).__module__ != "weakref" and isinstance(m, keras.Model)]
    found = [m for m in models if m.built and ids & {id(v) for v in m.trainable_variables}]
    inner = {id(layer) for m in found for layer in m._flatten_layers(include_self=False)}
    return [m for m in found if id(m) not in inner]
