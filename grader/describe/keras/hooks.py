"""The one place that replaces methods of Keras: whoever records or replays a submission stands in for them.

`ORIGINAL` holds Keras's own methods, taken before any code of a submission's has run. What is not replaced
works as usual, so that code around training runs on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import keras
import tensorflow as tf

from grader.describe.images.recognise import class_numbers
from grader.describe.keras.arguments import FIT, FIT_GENERATOR

ORIGINAL: dict[str, Any] = {}
_TAKEN = (
    "fit", "predict", "predict_on_batch", "evaluate", "test_on_batch", "train_on_batch", "save",
    "load_weights", "get_weights", "set_weights",
)  # fmt: skip


class Training(Protocol):
    """What is called in place of Keras's training, with ``model`` and the arguments of the method."""

    def compile(self, model: Any, optimizer: Any, loss: Any, **rest: Any) -> None:
        """Compile a model; ``rest`` may hold metrics and loss weights."""

    def fit(self, model: Any, arguments: dict[str, Any]) -> Any:
        """Train a model or record its training, by Keras 1's, 2's or 3's ``arguments``; return a History."""

    def predict(self, model: Any, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Return outputs (n, ...) for the n images of ``x``."""

    def predict_on_batch(self, model: Any, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Return outputs (n, ...) for the n images of ``x``."""

    def evaluate(self, model: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the loss, and the metrics if there are any."""

    def test_on_batch(self, model: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the loss of a batch, and the metrics if there are any."""

    def train_on_batch(self, model: Any, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Train on a batch, or record that; return the loss and metrics."""

    def apply(self, optimizer: Any, variables: list[Any], update: Callable[[], Any]) -> Any:
        """Do ``update``, by which an optimizer changes ``variables``, or take note of it."""

    def after_function(self, arguments: list[Any]) -> None:
        """Take note of a call of a `tf.function` from plain Python with ``arguments``."""


class Weights(Protocol):
    """What is called in place of Keras's saving and loading; ``path`` is whatever `str` takes."""

    def save(self, model: Any, path: Any, save: Callable[[], None]) -> None:
        """Save a whole model; ``save`` is Keras's own."""

    def save_weights(self, model: Any, path: Any) -> None:
        """Save a model's weights."""

    def load_weights(self, model: Any, path: Any, load: Callable[[], None]) -> None:
        """Load weights into a model; ``load`` is Keras's own."""

    def load_model(self, path: Any, load: Callable[[], Any]) -> Any:
        """Return the model saved at ``path``; ``load`` is Keras's own."""

    def get_weights(self, model: Any) -> Any:
        """Return a model's weights as a list of arrays."""

    def set_weights(self, model: Any, weights: Any) -> None:
        """Set a model's weights from a list of arrays."""

    def set_layer(self, layer: Any, weights: Any) -> None:
        """Set one layer's weights from a list of arrays."""


def install(training: Training, memory: Weights) -> None:
    """Replace the methods. Call once per process, before any code of the submission's."""
    base = keras.Model
    ORIGINAL.update({name: getattr(base, name) for name in _TAKEN})
    _install_compile(training)
    base.fit, base.fit_generator = _fit(training, FIT), _fit(training, FIT_GENERATOR)
    base.predict = base.predict_proba = base.predict_generator = _method(training.predict)
    base.predict_on_batch = _method(training.predict_on_batch)
    base.predict_classes = lambda self, x, *a, **k: class_numbers(training.predict(self, x, verbose=0))
    base.evaluate = base.evaluate_generator = _method(training.evaluate)
    base.test_on_batch = _method(training.test_on_batch)
    base.train_on_batch = _method(training.train_on_batch)
    _install_optimizers(training)
    _install_functions(training)
    _install_weights(memory)


def watch_calls(called: Callable[[tuple[Any, ...]], None]) -> None:
    """Call ``called`` with a model's arguments before each call of a model in plain Python."""
    call = keras.Model.__call__

    def __call__(self: Any, *args: Any, **kwargs: Any) -> Any:
        if tf.executing_eagerly():
            called(args)
        return call(self, *args, **kwargs)

    keras.Model.__call__ = __call__


def _method(instead: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self, *args, **kwargs: instead(self, *args, **kwargs)


def _fit(training: Training, order: tuple[str, ...]) -> Callable[..., Any]:
    def fit(self: Any, *args: Any, **kwargs: Any) -> Any:
        return training.fit(self, dict(zip(order, args, strict=False)) | kwargs)

    return fit


def _install_compile(training: Training) -> None:
    """Replace `compile` where Keras defines it: a model that overrides it is loaded uncompiled."""

    def compile(
        self: Any,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        metrics: Any = None,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        training.compile(self, optimizer, loss, metrics=metrics, **kwargs)

    owner = next(cls for cls in keras.Model.__mro__ if "compile" in vars(cls))
    ORIGINAL["compile"] = owner.compile
    owner.compile = compile


def _install_optimizers(training: Training) -> None:
    cls = keras.optimizers.Optimizer
    apply, apply_gradients = cls.apply, cls.apply_gradients

    def patched_apply(self: Any, grads: Any, trainable_variables: Any = None, **kwargs: Any) -> Any:
        variables = list(trainable_variables if trainable_variables is not None else [])
        return training.apply(self, variables, lambda: apply(self, grads, trainable_variables, **kwargs))

    def patched_gradients(self: Any, grads_and_vars: Any, *args: Any, **kwargs: Any) -> Any:
        pairs = list(grads_and_vars)
        update = lambda: apply_gradients(self, pairs, *args, **kwargs)  # noqa: E731
        return training.apply(self, [variable for _, variable in pairs], update)

    cls.apply, cls.apply_gradients = patched_apply, patched_gradients


def _install_functions(training: Training) -> None:
    from tensorflow.python.eager.polymorphic_function.polymorphic_function import Function

    call = Function.__call__

    def __call__(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = call(self, *args, **kwargs)
        if tf.executing_eagerly():
            training.after_function([*args, *kwargs.values()])
        return result

    Function.__call__ = __call__


def _install_weights(memory: Weights) -> None:
    base, load = keras.Model, keras.models.load_model

    def save(self: Any, filepath: Any, *args: Any, **kwargs: Any) -> None:
        memory.save(self, filepath, lambda: ORIGINAL["save"](self, filepath, *args, **kwargs))

    def save_weights(self: Any, filepath: Any, *args: Any, **kwargs: Any) -> None:
        memory.save_weights(self, filepath)

    def load_weights(self: Any, filepath: Any, *args: Any, **kwargs: Any) -> None:
        memory.load_weights(self, filepath, lambda: ORIGINAL["load_weights"](self, filepath, *args, **kwargs))

    def load_model(filepath: Any, *args: Any, **kwargs: Any) -> Any:
        return memory.load_model(filepath, lambda: load(filepath, *args, **kwargs))

    def set_weights(self: Any, weights: Any) -> None:
        memory.set_weights(self, weights)

    def set_layer(self: Any, weights: Any) -> None:
        memory.set_layer(self, weights)

    base.save, base.save_weights, base.load_weights = save, save_weights, load_weights
    base.get_weights, base.set_weights = _method(memory.get_weights), set_weights
    keras.layers.Layer.set_weights = set_layer
    for space in (keras.models, keras.saving, keras._tf_keras.keras.models):
        space.load_model = load_model
