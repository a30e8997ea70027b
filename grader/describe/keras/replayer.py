"""A Keras that trains for real and hands in predictions after each epoch; for `grader.describe.child.replay`.

An epoch of `fit` is Keras's; of a submission's own loop it is as many training images as the training
split has.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from grader import records as r
from grader.data import images
from grader.describe.images.recognise import Recognised
from grader.describe.keras import hooks
from grader.describe.keras.arguments import OLD_NAMES, Tracked
from grader.describe.keras.callbacks import REACTING, is_checkpoint, kept
from grader.describe.keras.hooks import ORIGINAL
from grader.describe.keras.loops import Loop, leading
from grader.describe.keras.recorder import Recorder
from grader.describe.world.cells import Ends
from grader.errors import StudentsCode

Array = npt.NDArray[Any]
PREDICTION_BATCH = 500
_ALIASES = (("accuracy", "acc"), ("val_accuracy", "val_acc"), ("learning_rate", "lr"))


class Refused(Ends):
    """Raised where a submission is not replayed; no `except Exception` of the submission catches it."""

    def __init__(self, code: r.Code, what: object = "", detail: object = "") -> None:
        super().__init__(code)
        self.reason = r.because(code, what, detail)


class Replayer(Recorder):
    """Lets every model train, and watches one of them."""

    def __init__(
        self, session: Any, number: int, answer: Callable[[Any], None], encode: Callable[[Array], str]
    ) -> None:
        super().__init__(session.data, session.note)
        self.session, self.number = session, number
        self.answer, self.encode = answer, encode
        self.handed_in = 0
        self.fitting = False
        self.inputs: Array | None = None  # the test images as the model takes them
        self.order: Array | None = None  # for each of the inputs, which test image it is
        self.prepared: Recognised | None = None  # how the training images were prepared
        self.changed: Array | None = None  # the changed test images, prepared like the inputs
        self.network_before: r.ModelDescription | None = None  # the network that was handed in last
        self.touched: dict[int, Any] = {}  # the variables that any optimizer has changed
        self.loop = Loop(self)

    def install(self) -> None:
        """Watch Keras's own training, under its old names, too. Call once per process."""
        hooks.install(self, self.memory)
        hooks.watch_calls(self.loop.calls)

    def is_watched(self, model: Any) -> bool:
        """Whether this is the model of the attempt."""
        tracked = self.of(model)
        return self.tracked.index(tracked) + 1 == self.number

    def describe(self, tracked: Tracked) -> None:
        """Do nothing: networks have been described already."""

    # --- fit ------------------------------------------------------------------------------------

    def fit(self, model: Any, arguments: dict[str, Any]) -> Any:
        """Keras's own, with a callback that hands in predictions where the model is the watched one."""
        given = {OLD_NAMES.get(name, name): value for name, value in arguments.items()}
        given = {name: value for name, value in given.items() if name not in ("verbose", "nb_worker")}
        self._refuse_test_images(given)
        callbacks = [_Aliases(), *self._callbacks(given)]
        if self.is_watched(model):
            callbacks.append(_HandIn(self, model))
        given["callbacks"] = callbacks
        for name in ("steps_per_epoch", "validation_steps"):
            if given.get(name) is not None:
                given[name] = max(1, math.ceil(float(given[name])))
        self.fitting = True
        try:
            return ORIGINAL["fit"](model, verbose=0, **given)
        finally:
            self.fitting = False

    def predict(self, model: Any, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Predict by Keras."""
        return ORIGINAL["predict"](model, x, *args, **kwargs)

    def predict_on_batch(self, model: Any, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Predict by Keras."""
        return ORIGINAL["predict_on_batch"](model, x, *args, **kwargs)

    def evaluate(self, model: Any, *args: Any, **kwargs: Any) -> Any:
        """Evaluate by Keras."""
        return ORIGINAL["evaluate"](model, *args, **kwargs)

    def test_on_batch(self, model: Any, *args: Any, **kwargs: Any) -> Any:
        """Evaluate by Keras."""
        return ORIGINAL["test_on_batch"](model, *args, **kwargs)

    def train_on_batch(self, model: Any, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Train by Keras; a batch of the watched model counts towards its epoch."""
        with self.loop.inside():
            result = ORIGINAL["train_on_batch"](model, x, *args, **kwargs)
        if self.is_watched(model):
            self.loop.model = model
            self.loop.stepped(leading(x if isinstance(x, list | tuple) else (x,)) or 1)
        return result

    def apply(self, optimizer: Any, variables: list[Any], update: Callable[[], Any]) -> Any:
        """Do ``update``, and note the ``variables``; steps outside `fit` are counted."""
        self.touched.update({id(variable): variable for variable in variables})
        outside = not self.fitting and not self.loop.depth
        if outside:
            self.loop.applied(optimizer, variables)
        with self.loop.inside():
            result = update()
        if outside and tf.executing_eagerly():
            self.loop.look()
        return result

    def after_function(self, arguments: list[Any]) -> None:
        """Count the steps that a `tf.function` has made outside `fit`."""
        self.loop.called(arguments)

    def _refuse_test_images(self, given: dict[str, Any]) -> None:
        x = given.get("x")
        x = getattr(x, "x", x) if hasattr(x, "image_data_generator") else x
        found = self.data.recognise(x, given.get("y"))
        if found.use.split in ("test", "mixed"):
            raise Refused("replay_test_images")
        if found.scaling is not None:
            self.prepared = found
        data = given.get("validation_data")
        if isinstance(data, list | tuple) and data and self.inputs is None:
            self._take_inputs(data[0])

    def _callbacks(self, given: dict[str, Any]) -> Iterator[Any]:
        """Yield the callbacks but those that would act on a validation accuracy of meaningless labels."""
        listed = given.get("callbacks") or []
        for callback in listed if isinstance(listed, list | tuple) else [listed]:
            watches = type(callback) in REACTING
            monitor = kept(callback) if watches and not given.get("validation_split") else None
            if monitor is not None and monitor.monitor.startswith("val_"):
                self.note(f"{type(callback).__name__} on {callback.monitor!r} is left out of the replay")
            elif not is_checkpoint(callback):
                yield callback

    # --- predictions ----------------------------------------------------------------------------

    def hand_in(self, model: Any, logs: dict[str, Any] | None = None) -> None:
        """Predict all test images and hand over their classes."""
        if self.inputs is None and not self._find_inputs(model):
            raise Refused("replay_no_inputs")
        assert self.inputs is not None
        predicted = _classes(model, self.inputs)
        classes = np.full(len(predicted), -1)
        classes[self.order] = predicted
        self.handed_in += 1
        self.answer(
            r.ReplayEpoch(
                predictions=self.encode(classes),
                changed=self.encode(_classes(model, self.changed)) if self.changed is not None else "",
                network=self._changed_network(model),
                touched=sum(math.prod(variable.shape) for variable in self.touched.values()),
                learning_rate=_measured(_rate(model), 0, 1e30),
                train_loss=_measured((logs or {}).get("loss"), -1e30, 1e30),
                train_accuracy=_measured((logs or {}).get("accuracy"), 0, 1),
            )
        )

    def _changed_network(self, model: Any) -> r.ModelDescription | None:
        """Return the model's network; None where it is the one handed in before."""
        now = self.network(model)
        before, self.network_before = self.network_before, now
        return now if now != before else None

    def last_part(self) -> None:
        """Hand in what a loop of the submission's own did after its last whole epoch."""
        self.loop.finish()

    def _find_inputs(self, model: Any) -> bool:
        """Find the test images among the submission's variables, or prepare them as its training images."""
        shape = tuple((getattr(model, "input_shape", None) or (None,))[1:])
        count = len(self.data.x_test)
        for value in list(self.session.namespace.values()):
            if isinstance(value, np.ndarray | tf.Tensor) and value.ndim > 1 and len(value) == count:
                fits = not shape or tuple(value.shape[1:]) == shape
                if fits and self._take_inputs(value):
                    return True
        if self.prepared is None or self.prepared.scaling is None:
            return False
        self.inputs = self._prepared(self.data.x_test, self.prepared, shape if all(shape) else ())
        self.order = np.arange(count)
        self._change(self.prepared)
        return True

    def _prepared(self, raw: Array, formula: Recognised, shape: tuple[int, ...]) -> Array:
        """Return raw images as the submission prepares them, of its network's ``shape`` if that is known."""
        assert formula.scaling is not None
        made = images.prepared(raw.reshape(-1, *self.data.image_shape), formula.scaling, formula.geometry)
        return made.reshape(-1, *shape) if shape else made

    def _change(self, formula: Recognised) -> None:
        """Prepare the changed images, where ``formula`` says how."""
        if self.data.x_changed is not None and formula.scaling is not None and self.inputs is not None:
            self.changed = self._prepared(self.data.x_changed, formula, self.inputs.shape[1:])

    def _take_inputs(self, x: Any) -> bool:
        """Take ``x`` if it is the whole test split, in whatever order and form; return whether it is."""
        found = self.data.recognise(x)
        count, first = len(self.data.x_test), len(self.data.x_train)
        if found.use.split != "test" or not found.use.whole_split or found.places is None:
            return False
        if len(found.places) != count:
            return False
        places = found.places - first
        # Equal images share a place: where most are in order, all are.
        in_order = (places == np.arange(count)).mean() > 0.99
        self.inputs, self.order = np.asarray(x), np.arange(count) if in_order else places
        self._change(found)
        return True


def _classes(model: Any, inputs: Array) -> Array:
    """Return the class numbers (n,) that a model predicts for n inputs."""
    outputs = np.asarray(ORIGINAL["predict"](model, inputs, batch_size=PREDICTION_BATCH, verbose=0))
    if outputs.ndim < 2 or len(outputs) != len(inputs):
        raise Refused("replay_outputs", outputs.shape, f"{len(inputs):,}")
    return outputs.reshape(len(outputs), -1).argmax(axis=1)


def _rate(model: Any) -> Any:
    optimizer = getattr(model, "optimizer", None)
    return getattr(optimizer, "learning_rate", None)


def _measured(value: Any, low: float, high: float) -> float | None:
    """Return a number that a record can hold, or None."""
    with StudentsCode():
        number = float(np.asarray(value))
        return number if math.isfinite(number) and low <= number <= high else None
    return None


class _Aliases(keras.callbacks.Callback):  # type: ignore[misc]
    """Keras 2's names for what is measured, for callbacks that ask for them."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs = logs if logs is not None else {}
        for new, old in _ALIASES:
            if new in logs:
                logs.setdefault(old, logs[new])


class _HandIn(keras.callbacks.Callback):  # type: ignore[misc]
    """Hands in predictions after each epoch of the watched model."""

    def __init__(self, replayer: Replayer, watched: Any) -> None:
        super().__init__()
        self.replayer, self.watched = replayer, watched

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.replayer.hand_in(self.watched, logs)
