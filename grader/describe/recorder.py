"""A Keras whose `fit` records instead of training.

`compile`, `fit` and its old relatives, `evaluate` and `predict` of every model are replaced; the
rest of Keras works as usual, so that code around them runs on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from grader import records as r
from grader.describe import graph, recipe
from grader.describe.recognise import RawData, Recognised, class_numbers

NAN = float("nan")


@dataclass
class Tracked:
    """A model seen in this submission and what is known of it."""

    model: Any
    network: r.ModelDescription | None = None
    training: list[r.TrainingRecipe] = field(default_factory=list)
    fit_order: int = 0
    compiled: int = 0
    fitted_compile: int = -1
    loss: Any = None


class Recorder:
    """All models of one submission, in the order in which they were first seen."""

    def __init__(self, data: RawData, note: Callable[[str], None]) -> None:
        self.data, self.note = data, note
        self.tracked: list[Tracked] = []
        self.cell: int | None = None
        self.on_fit: Callable[[], None] = lambda: None
        self._fits = 0

    def of(self, model: Any) -> Tracked:
        for known in self.tracked:
            if known.model is model:
                return known
        self.tracked.append(Tracked(model))
        return self.tracked[-1]

    def describe(self, tracked: Tracked) -> None:
        """Take down the network as it is now, building it first if its input is yet unknown."""
        model = tracked.model
        if not model.built:
            model.build((None, *self.data.x_train.shape[1:], 1))
            self.note(f"model {model.name!r} names no input shape: "
                      "it was built for the images of the data set")  # fmt: skip
        tracked.network = graph.describe(graph.of_model(model))

    def compiled_recipe(self, tracked: Tracked) -> r.TrainingRecipe | None:
        """Optimizer and loss of a model that was compiled but not fitted; epochs mean nothing."""
        if not tracked.compiled or tracked.training:
            return None
        return recipe.recipe(recipe.Fit(
            model=tracked.model, loss=tracked.loss, images=0, batch_size=32, epochs=1,
            steps_per_epoch=1, callbacks=[], shuffle=True,
            train=Recognised(r.DataUse(split="none")), validation=r.DataUse(split="none"),
            continues=False, cell=None))  # fmt: skip

    # --- what stands in for Keras's methods -----------------------------------------------------

    def compile(self, model: Any, optimizer: Any = "rmsprop", loss: Any = None, **rest: Any) -> None:
        tracked = self.of(model)
        tracked.compiled += 1
        tracked.loss = loss
        kept = {k: v for k, v in rest.items() if k in ("metrics", "loss_weights", "weighted_metrics")}
        if isinstance(optimizer, str):
            optimizer = _optimizer_named(optimizer)
        _ORIGINAL["compile"](model, optimizer=optimizer, loss=loss, **kept)
        metrics = rest.get("metrics") or []
        if loss == "binary_crossentropy" and any("acc" in str(m) for m in metrics):
            self.note("with binary_crossentropy, Keras's 'accuracy' counts single outputs; "
                      "grader counts correct images")  # fmt: skip

    def fit(self, model: Any, arguments: dict[str, Any]) -> Any:
        tracked = self.of(model)
        if getattr(model, "optimizer", None) is None:
            raise RuntimeError("You must call `compile()` before calling `fit()`.")
        fit = _Arguments(self, model, arguments).read(tracked)
        self.describe(tracked)
        tracked.training.append(recipe.recipe(fit))
        tracked.fitted_compile = tracked.compiled
        self._fits += 1
        tracked.fit_order = self._fits
        self.on_fit()
        return _history(model, fit)

    def unsupported_training(self, model: Any, what: str) -> None:
        """`train_on_batch` and the like: known to have happened, not known what it did."""
        tracked = self.of(model)
        reason = f"the model is trained by {what}, which grader cannot repeat from a description"
        if not tracked.training or reason not in tracked.training[-1].unsupported:
            tracked.training.append(r.TrainingRecipe(
                optimizer=r.SGD(), epochs=1, learning_rates=(0.01,), cell=self.cell,
                unsupported=(reason,)))  # fmt: skip
            self.describe(tracked)
            self._fits += 1
            tracked.fit_order = self._fits
            self.on_fit()


def _optimizer_named(name: str) -> Any:
    """`'sgd'`, made by the class whose defaults are the era's."""
    classes = {n.lower(): getattr(keras.optimizers, n) for n in
               ("SGD", "Adam", "Adamax", "Nadam", "RMSprop", "Adagrad", "Adadelta", "AdamW")}  # fmt: skip
    cls = classes.get(name.lower())
    return cls() if cls else name


# --- arguments of fit ---------------------------------------------------------------------------

_OLD_NAMES = {"nb_epoch": "epochs", "samples_per_epoch": "samples_per_epoch",
              "nb_val_samples": "validation_steps", "generator": "x",
              "steps_per_execution": "steps_per_execution"}  # fmt: skip
_ORDER = ("x", "y", "batch_size", "epochs", "verbose", "callbacks", "validation_split",
          "validation_data", "shuffle", "class_weight", "sample_weight", "initial_epoch",
          "steps_per_epoch", "validation_steps")  # fmt: skip
_GENERATOR_ORDER = ("x", "steps_per_epoch", "epochs", "verbose", "callbacks", "validation_data",
                    "validation_steps", "class_weight")  # fmt: skip


class _Arguments:
    """Reads what was passed to `fit`: arrays, generators or `tf.data`."""

    def __init__(self, recorder: Recorder, model: Any, given: dict[str, Any]) -> None:
        self.recorder, self.model = recorder, model
        self.given = {_OLD_NAMES.get(name, name): value for name, value in given.items()}
        self.unsupported: list[str] = []

    def read(self, tracked: Tracked) -> recipe.Fit:
        given, model = self.given, self.model
        x, y, batch_size = self._arrays()
        if not model.built and hasattr(x, "shape"):
            model.build((None, *x.shape[1:]))
        _check_shapes(model, tracked.loss, x, y)
        train = self.recorder.data.recognise(x)
        self._check_labels(train, y)
        self._weights()
        images = len(x) if hasattr(x, "__len__") else train.use.images
        batch_size = int(given.get("batch_size") or batch_size or 32)
        steps = math.ceil(images / batch_size) if images else 1
        if given.get("samples_per_epoch"):
            given["steps_per_epoch"] = given["samples_per_epoch"] // batch_size
        asked = math.ceil(float(given.get("steps_per_epoch") or steps))
        if asked != steps and images:
            self.unsupported.append(f"an epoch of {asked} steps instead of one pass over the images")
        initial = int(given.get("initial_epoch") or 0)
        return recipe.Fit(
            model=model,
            loss=tracked.loss,
            images=images,
            batch_size=batch_size,
            epochs=max(1, int(given.get("epochs") or 1) - initial),
            steps_per_epoch=max(1, asked),
            callbacks=list(_flat(given.get("callbacks"))),
            shuffle=bool(given.get("shuffle", True)),
            train=train,
            validation=self._validation(),
            continues=bool(tracked.training) and tracked.fitted_compile == tracked.compiled,
            cell=self.recorder.cell,
            initial_epoch=initial,
            unsupported=self.unsupported,
        )

    def _arrays(self) -> tuple[Any, Any, int | None]:
        x, y = self.given.get("x"), self.given.get("y")
        if isinstance(x, tf.data.Dataset):
            return (*_of_dataset(x, self.given.get("steps_per_epoch")), None)[:2] + (_batch_of(x),)
        if hasattr(x, "image_data_generator"):  # ImageDataGenerator.flow(...)
            if _augments(x.image_data_generator):
                self.unsupported.append("images are changed by an ImageDataGenerator while training")
            return x.x, x.y, x.batch_size
        if y is None and hasattr(x, "__next__"):
            self.unsupported.append("training data come from a generator of the submission's own")
        return x, y, None

    def _check_labels(self, train: Recognised, y: Any) -> None:
        note, where = self.recorder.note, "fit"
        if train.use.split == "unrecognised":
            self.unsupported.append("the images passed to fit are not those of the data set under "
                                    "one scale and offset")  # fmt: skip
        elif train.use.split in ("test", "mixed"):
            note(f"{where} was given images of the test split: "
                 "grader trains on the training split alone")  # fmt: skip
        elif train.rows is not None and not self.recorder.data.agrees(train.rows, y):
            self.unsupported.append("the labels passed to fit are not those of the data set")

    def _weights(self) -> None:
        for name in ("class_weight", "sample_weight"):
            if self.given.get(name) is not None:
                self.unsupported.append(f"{name} is not retrained")

    def _validation(self) -> r.DataUse:
        data, split = self.given.get("validation_data"), self.given.get("validation_split")
        if data is None:
            return r.DataUse(split="train" if split else "none")
        if isinstance(data, tf.data.Dataset):
            data = _of_dataset(data, None)
        x = data.x if hasattr(data, "image_data_generator") else data
        if isinstance(data, list | tuple) and data:
            x = data[0]
        return self.recorder.data.recognise(x).use


def _flat(callbacks: Any) -> Iterator[Any]:
    for item in callbacks if isinstance(callbacks, list | tuple) else [callbacks]:
        if isinstance(item, list | tuple):
            yield from _flat(item)
        elif item is not None:
            yield item


def _check_shapes(model: Any, loss: Any, x: Any, y: Any) -> None:
    """Raise what Keras would raise when the arrays do not fit the network."""
    expected = getattr(model, "input_shape", None)
    shape = getattr(x, "shape", None)
    if isinstance(expected, tuple) and shape is not None and all(expected[1:]):
        if math.prod(expected[1:]) != math.prod(shape[1:]):
            raise ValueError(f"the model expects inputs of shape {expected[1:]}, "
                             f"but fit was given {tuple(shape[1:])}")  # fmt: skip
    outputs = getattr(model, "output_shape", None)
    if isinstance(outputs, tuple) and loss == "categorical_crossentropy" and hasattr(y, "shape"):
        if tuple(y.shape[1:]) != tuple(outputs[1:]):
            raise ValueError(f"the model puts out {outputs[1:]}, but the labels passed to fit have "
                             f"shape {tuple(y.shape[1:])}")  # fmt: skip


def _of_dataset(dataset: Any, steps: int | None, limit: int = 80_000) -> tuple[Any, Any]:
    """The images and labels of a batched `tf.data.Dataset`, one pass, at most ``limit``."""
    images, labels, count = [], [], 0
    for step, batch in enumerate(dataset):
        if count >= limit or (steps and step >= steps):
            break
        x, y = batch[0].numpy(), batch[1].numpy()
        images.append(x)
        labels.append(y)
        count += len(x)
    return (np.concatenate(images), np.concatenate(labels)) if images else (None, None)


def _batch_of(dataset: Any) -> int | None:
    for batch in dataset.take(1):
        return int(batch[0].shape[0])
    return None


def _augments(generator: Any) -> bool:
    plain = keras.src.legacy.preprocessing.image.ImageDataGenerator()
    return any(
        repr(getattr(generator, name, None)) != repr(value)
        for name, value in vars(plain).items()
        if name not in ("mean", "std", "zca_whitening_matrix", "rescale", "dtype", "data_format",
                        "channel_axis", "row_axis", "col_axis", "_validation_split")  # fmt: skip
    ) or generator.rescale not in (None, 0, 1)


# --- results that were not trained --------------------------------------------------------------


def _history(model: Any, fit: recipe.Fit) -> Any:
    """A History of the right length and keys; its numbers are not numbers, for none were made."""
    history = keras.callbacks.History()
    history.set_model(model)
    names = ("loss", "acc", "accuracy", "val_loss", "val_acc", "val_accuracy", "lr", "learning_rate")
    history.history = {name: [NAN] * min(fit.epochs, 10_000) for name in names}
    history.epoch = list(range(min(fit.epochs, 10_000)))
    history.params = {"epochs": fit.epochs, "steps": fit.steps_per_epoch, "batch_size": fit.batch_size}
    model.history = history
    return history


def _predict(model: Any, x: Any = None, *args: Any, **kwargs: Any) -> Any:
    count = len(x) if hasattr(x, "__len__") else int(kwargs.get("steps") or 1)
    shape = tuple(n or 1 for n in (getattr(model, "output_shape", None) or (None, 1))[1:])
    return np.full((count, *shape), 1.0 / math.prod(shape), np.float32)


def _evaluate(model: Any, *args: Any, **kwargs: Any) -> Any:
    if kwargs.get("return_dict"):
        return {"loss": NAN, "accuracy": NAN, "acc": NAN}
    return [NAN, NAN]


# --- patching -----------------------------------------------------------------------------------

_ORIGINAL: dict[str, Any] = {}


def install(recorder: Recorder) -> None:
    """Replace the methods of `keras.Model`. Call once per process."""
    base = keras.Model
    _ORIGINAL["compile"] = base.compile
    base.compile = _compile(recorder)
    base.fit = _fit(recorder, _ORDER)
    base.fit_generator = _fit(recorder, _GENERATOR_ORDER)
    base.predict = base.predict_proba = base.predict_on_batch = base.predict_generator = _predict
    base.predict_classes = lambda self, x, *a, **k: class_numbers(_predict(self, x))
    base.evaluate = base.test_on_batch = base.evaluate_generator = _evaluate
    base.metrics_names = property(lambda self: ["loss", "acc"])
    base.train_on_batch = _untold(recorder, "train_on_batch")
    _forgive_missing_files(base, recorder)


def _compile(recorder: Recorder) -> Callable[..., None]:
    def compile(self: Any, optimizer: Any = "rmsprop", loss: Any = None, metrics: Any = None,
                *args: Any, **kwargs: Any) -> None:  # fmt: skip
        recorder.compile(self, optimizer, loss, metrics=metrics, **kwargs)

    return compile


def _fit(recorder: Recorder, order: tuple[str, ...]) -> Callable[..., Any]:
    def fit(self: Any, *args: Any, **kwargs: Any) -> Any:
        return recorder.fit(self, dict(zip(order, args, strict=False)) | kwargs)

    return fit


def _untold(recorder: Recorder, name: str) -> Callable[..., Any]:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        recorder.unsupported_training(self, name)
        return [NAN, NAN]

    return method


def _forgive_missing_files(base: Any, recorder: Recorder) -> None:
    """Weights that a checkpoint would have written do not exist, for nothing was trained."""
    load_weights = base.load_weights

    def load(self: Any, filepath: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return load_weights(self, filepath, *args, **kwargs)
        except (OSError, ValueError) as error:
            recorder.note(f"load_weights({str(filepath)!r}) skipped: {error}"[:300])
            return None

    base.load_weights = load
