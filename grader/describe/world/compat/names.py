"""Restores import paths and names that moved or went: modules, the backend, models, TensorFlow 1."""

from __future__ import annotations

import importlib
import sys
from contextlib import suppress
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from grader.describe.world import legacy, standins, tables
from grader.describe.world.compat.layers import gone

_TF = keras._tf_keras.keras  # the module behind `tensorflow.keras`


def backend() -> None:
    """Give `K` the functions that Keras 3 keeps as legacy, and settings of Keras 1 and 2."""
    import keras.src.legacy.backend as old

    extra = {name: getattr(old, name) for name in dir(old) if not name.startswith("_")}
    orderings = tables.IMAGE_ORDERINGS
    back = {new: old for old, new in orderings.items()}
    always = {
        "set_value": lambda variable, value: variable.assign(value),
        "get_value": lambda variable: np.asarray(variable),
    }
    extra |= {
        "set_image_dim_ordering": lambda o: keras.config.set_image_data_format(orderings[o]),
        "image_dim_ordering": lambda: back[keras.config.image_data_format()],
        "common": keras.backend,
        "tensorflow_backend": keras.backend,
        "learning_phase": lambda: 0,
        "set_learning_phase": lambda value: None,
        "set_session": lambda session: None,
        "get_session": standins.Inert("get_session"),
        "manual_variable_initialization": lambda value: None,
    }
    for space in (keras.backend, _TF.backend):
        for name, value in extra.items():
            if not hasattr(space, name):
                setattr(space, name, value)
        vars(space).update(always)
    sys.modules["keras.backend.tensorflow_backend"] = keras.backend


def modules() -> None:
    """Let every old module path import the module that has its names now."""
    # `keras` comes last, for it shares some packages with `tensorflow.keras`.
    for root, base in (("tensorflow.python.keras", _TF), ("tensorflow.keras", _TF), ("keras", keras)):
        if root != "keras":
            _register(root, base)
        for new, olds in tables.MODULES.items():
            for old in olds:
                _move(root, base, old, _resolve(base, new))
        for path in tables.PATHS:
            _register(f"{root}.{path}", _resolve(base, path))
    keras.engine, keras.objectives = keras.layers, keras.losses


def _move(root: str, base: Any, old: str, module: Any) -> None:
    """Let an old path be the module that has its names now, even where Keras 3 keeps a remnant of it."""
    sys.modules[f"{root}.{old}"] = module
    parent, _, leaf = old.rpartition(".")
    if parent and _resolve(base, parent) is None:
        with suppress(ImportError):
            setattr(importlib.import_module(f"{root}.{parent}"), leaf, module)
    else:
        setattr(_resolve(base, parent) if parent else base, leaf, module)


def _register(path: str, module: Any) -> None:
    if module is not None and path not in sys.modules:
        sys.modules[path] = module


def _resolve(base: Any, path: str) -> Any:
    for part in path.split("."):
        base = getattr(base, part, None)
    return base


def names() -> None:
    """Restore single names that Keras 3 has moved or dropped."""
    import keras.src.legacy.preprocessing.image as old_image

    to_categorical = _taking_old_arguments(keras.utils.to_categorical)
    for space in (keras, _TF):
        space.utils.to_categorical = to_categorical
        for old, new in tables.NAMES.items():
            _set(space, old, _resolve(space, new))
        for name in legacy.GONE_LAYERS:
            if not hasattr(space.layers, name):
                setattr(space.layers, name, gone(name))
        for name in tables.INERT:
            _set(space, name, standins.Inert("plot_model"))
        space.utils.print_summary = lambda model, *a, **k: model.summary()
        space.utils.multi_gpu_model = lambda model, *a, **k: model
        for name in dir(old_image):
            if not name.startswith("_") and not hasattr(space.preprocessing.image, name):
                setattr(space.preprocessing.image, name, getattr(old_image, name))
    old_image.Iterator.next = lambda self: self[0]


def _taking_old_arguments(to_categorical: Any) -> Any:
    def taking(x: Any, num_classes: Any = None, dtype: Any = None, nb_classes: Any = None) -> Any:
        made = to_categorical(x, num_classes or nb_classes)
        return made if dtype is None else np.asarray(made).astype(dtype)

    return taking


def _set(space: Any, path: str, value: Any) -> None:
    holder, _, name = path.rpartition(".")
    setattr(_resolve(space, holder), name, value)


def models() -> None:
    """Let Keras 1's `Model(input=, output=)` work."""
    from keras.src.models.functional import Functional

    renames = tables.MODEL_ARGUMENTS
    new, init = keras.Model.__new__, Functional.__init__

    def modern(kwargs: dict[str, Any]) -> dict[str, Any]:
        return {renames.get(k, k): v for k, v in kwargs.items()}

    keras.Model.__new__ = staticmethod(lambda cls, *args, **kwargs: new(cls, *args, **modern(kwargs)))
    Functional.__init__ = lambda self, *args, **kwargs: init(self, *args, **modern(kwargs))


def tensorflow_1() -> None:
    """Make the few names of TensorFlow 1 with which such notebooks set up harmless."""
    tf.set_random_seed = tf.random.set_seed
    for name in tables.TENSORFLOW_1:
        if not hasattr(tf, name):
            setattr(tf, name, standins.Inert(f"tf.{name}"))
    for old, settings in tables.TENSORFLOW_1_OPTIMIZERS.items():
        for space in (tf.train, tf.compat.v1.train):
            setattr(space, old, _optimizer(*settings))


def _optimizer(name: str, renames: dict[str, str], defaults: dict[str, float]) -> Any:
    def made(*args: Any, use_locking: bool = False, **kwargs: Any) -> Any:
        given = {renames.get(k, k): v for k, v in kwargs.items() if k != "name"}
        order = ("learning_rate", "momentum") if name == "SGD" else ("learning_rate", "beta_1", "beta_2")
        return getattr(keras.optimizers, name)(**defaults | dict(zip(order, args, strict=False)) | given)

    return made
