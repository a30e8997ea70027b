"""Lets optimizers, activations and callbacks have their old names, arguments and defaults."""

from __future__ import annotations

import inspect
import sys
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from grader.describe.world import legacy, tables
from grader.describe.world.era import Era

_TF = keras._tf_keras.keras  # the module behind `tensorflow.keras`


def optimizers(era: Era) -> None:
    """Let optimizers take old arguments and names, and have the defaults of their ``era``."""
    for name in legacy.OPTIMIZER_DEFAULTS:
        cls = getattr(keras.optimizers, name)
        _take_old_optimizer_arguments(cls, era)
        for space in (keras.optimizers, _TF.optimizers):
            setattr(space, name.lower(), cls)
    base = keras.optimizers.Optimizer
    base.lr = property(
        lambda self: self._learning_rate, lambda self, value: setattr(self, "learning_rate", value)
    )
    assign = base.__setattr__
    base.__setattr__ = lambda self, name, value: assign(
        self, "learning_rate" if name == "lr" else name, value
    )


def _take_old_optimizer_arguments(cls: type, era: Era) -> None:
    """Let a class take `lr`, `decay`, `schedule_decay` and `epsilon=None`.

    In old Keras the class also has its old order of arguments and its old defaults.
    """
    original = cls.__init__  # type: ignore[misc]

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        kwargs = {tables.OPTIMIZER_ARGUMENTS.get(k, k): v for k, v in kwargs.items()}
        args = tuple(map(_number, args[:1])) + args[1:]
        if "learning_rate" in kwargs:
            kwargs["learning_rate"] = _number(kwargs["learning_rate"])
        if era == "keras2":
            kwargs, args = legacy.modern_optimizer(cls.__name__, args, kwargs), ()
        if kwargs.get("epsilon", 0) is None:
            kwargs["epsilon"] = 1e-7
        decay = float(kwargs.pop("decay", 0.0) or 0.0)
        schedule_decay = float(kwargs.pop("schedule_decay", 1.0))
        original(self, *args, **kwargs)
        object.__setattr__(self, "grader_decay", decay)
        object.__setattr__(self, "grader_schedule_decay", schedule_decay)

    init.__signature__ = inspect.signature(original)  # type: ignore[attr-defined]
    cls.__init__ = init  # type: ignore[misc]


def _number(rate: Any) -> Any:
    """Return a rate as Keras 3 takes it: whole numbers, arrays of one element and variables as a float."""
    number = isinstance(rate, int | np.generic | np.ndarray | tf.Tensor | tf.Variable | keras.Variable)
    return float(np.asarray(rate)) if number and np.size(rate) == 1 else rate


def decaying() -> None:
    """Let `decay` act where a submission really trains: with every step, as in Keras 2."""
    base = keras.optimizers.Optimizer
    original = base._get_current_learning_rate

    def current(self: Any) -> Any:
        rate, decay = original(self), getattr(self, "grader_decay", 0.0)
        return rate / (1.0 + decay * tf.cast(self.iterations, "float32")) if decay else rate

    base._get_current_learning_rate = current


def activations() -> None:
    """Let `activation=tf.nn.relu` be Keras's relu, and be described as such."""
    known = {getattr(tf.nn, n): n for n in tables.ACTIVATIONS if hasattr(tf.nn, n)}
    known |= {tf.identity: "linear", tf.sigmoid: "sigmoid", tf.tanh: "tanh"}
    original = keras.activations.get

    def get(identifier: Any) -> Any:
        try:
            identifier = known.get(identifier, identifier)
        except TypeError:  # a dict, from a saved configuration
            pass
        return original(identifier)

    spaces: tuple[Any, ...] = (keras.activations, _TF.activations, sys.modules["keras.src.activations"])
    for space in spaces:
        space.get = get


def callbacks() -> None:
    """Let a checkpoint have any name and any old argument, as nothing is ever written."""
    cls = keras.callbacks.ModelCheckpoint
    original = cls.__init__

    def init(self: Any, filepath: Any = "model.keras", *args: Any, **kwargs: Any) -> None:
        order = ("monitor", "verbose", "save_best_only", "save_weights_only", "mode")
        given = dict(zip(order, args, strict=False)) | kwargs
        kept = {k: v for k, v in given.items() if k in ("monitor", "save_best_only", "mode")}
        original(self, "checkpoint.keras", **kept)
        self.grader_path = str(filepath)
        self.grader_whole = not given.get("save_weights_only", False)

    cls.__init__ = init
    base = keras.callbacks.Callback
    base.model = property(base.model.fget, lambda self, model: setattr(self, "_model", model))
    for name, renames in tables.CALLBACK_ARGUMENTS.items():
        _rename_arguments(getattr(keras.callbacks, name), renames)


def regularizers() -> None:
    """Let `l2(l=0.01)` work."""
    _rename_arguments(keras.regularizers.L1, {"l": "l1"})
    _rename_arguments(keras.regularizers.L2, {"l": "l2"})


def _rename_arguments(cls: type, renames: dict[str, str]) -> None:
    original = cls.__init__  # type: ignore[misc]

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        modern = {renames.get(k, k): v for k, v in kwargs.items()}
        original(self, *args, **{k: v for k, v in modern.items() if k})  # "" marks arguments without effect

    cls.__init__ = init  # type: ignore[misc]
