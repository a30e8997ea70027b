"""Reads what was passed to `fit`: arrays, generators or `tf.data`, by any Keras's names."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from grader import records as r
from grader.describe import recipe
from grader.describe.recognise import Recognised


@dataclass
class Tracked:
    """A model seen in this submission and what is known of it."""

    model: Any
    cell: int | None = None  # where it was first seen
    network: r.ModelDescription | None = None
    training: list[r.TrainingRecipe] = field(default_factory=list)
    fit_order: int = 0
    compiled: int = 0
    fitted_compile: int = -1
    loss: Any = None
    loss_weights: bool = False
    weights_from: str = ""  # what set its weights other than an initializer, if anything did


_OLD_NAMES = {"nb_epoch": "epochs", "nb_val_samples": "validation_steps", "generator": "x"}
FIT = (
    "x",
    "y",
    "batch_size",
    "epochs",
    "verbose",
    "callbacks",
    "validation_split",
    "validation_data",
    "shuffle",
    "class_weight",
    "sample_weight",
    "initial_epoch",
    "steps_per_epoch",
    "validation_steps",
)
FIT_GENERATOR = (
    "x",
    "steps_per_epoch",
    "epochs",
    "verbose",
    "callbacks",
    "validation_data",
    "validation_steps",
    "class_weight",
)


class FitArguments:
    """Reads what was passed to `fit`: arrays, generators or `tf.data`."""

    def __init__(self, recorder: Any, model: Any, given: dict[str, Any]) -> None:
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
        if abs(asked - steps) > 1 and images:  # many leave out the last, partial batch
            self.unsupported.append(f"an epoch of {asked} steps instead of one pass over the images")
        initial = int(given.get("initial_epoch") or 0)
        return recipe.Fit(
            model=model,
            loss=tracked.loss,
            images=images,
            batch_size=batch_size,
            epochs=max(1, int(given.get("epochs") or 1) - initial),
            steps_per_epoch=math.ceil(len(self.recorder.data.x_train) / batch_size),
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
        x: Any = _only(self.given.get("x"))
        y: Any = _only(self.given.get("y"))
        if isinstance(x, tf.data.Dataset):
            return (*_of_dataset(x, self.given.get("steps_per_epoch")), _batch_of(x))
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
            self.unsupported.append(
                "the images passed to fit are not those of the data set under one scale and offset"
            )
        elif train.use.split in ("test", "mixed"):
            note(f"{where} was given images of the test split: grader trains on the training split alone")
        elif train.rows is not None and not self.recorder.data.agrees(train.rows, y):
            self.unsupported.append("the labels passed to fit are not those of the data set")

    def _weights(self) -> None:
        for name in ("class_weight", "sample_weight"):
            if self.given.get(name) is not None:
                self.unsupported.append(f"{name} is not retrained")

    def _validation(self) -> r.DataUse:
        data: Any = self.given.get("validation_data")
        split = self.given.get("validation_split")
        if data is None:
            return r.DataUse(split="train" if split else "none")
        if isinstance(data, tf.data.Dataset):
            data = _of_dataset(data, None)
        x = data.x if hasattr(data, "image_data_generator") else data
        if isinstance(data, list | tuple) and data:
            x = data[0]
        return self.recorder.data.recognise(x).use


def _only(value: Any) -> Any:
    """Keras takes an array or a list of one."""
    return value[0] if isinstance(value, list | tuple) and len(value) == 1 else value


def _flat(callbacks: Any) -> Iterator[Any]:
    for item in callbacks if isinstance(callbacks, list | tuple) else [callbacks]:
        if isinstance(item, list | tuple):
            yield from _flat(item)
        elif item is not None:
            yield item


def _check_shapes(model: Any, loss: Any, x: Any, y: Any) -> None:
    """Raise what Keras would raise when the arrays do not fit the network."""
    expected, given = _sizes(model, "input_shape"), _sizes(x, "shape")
    if expected and given and math.prod(expected) != math.prod(given):
        raise ValueError(f"the model expects inputs of shape {expected}, not {given}")
    outputs, labels = _sizes(model, "output_shape"), getattr(y, "shape", None)
    name = getattr(loss, "name", getattr(loss, "__name__", loss))
    if not outputs or not isinstance(labels, tuple) or not isinstance(name, str):
        return
    wanted = (outputs[:-1], (*outputs[:-1], 1)) if name.startswith("sparse") else (outputs,)
    if name.endswith("categorical_crossentropy") and labels[1:] not in wanted:
        raise ValueError(
            f"under {name}, outputs of shape {outputs} need labels of shape {wanted[-1]}, "
            f"not {tuple(labels[1:])}"
        )


def _sizes(holder: Any, name: str) -> tuple[int, ...]:
    """A shape without its batch axis; empty where it is unknown."""
    shape = getattr(holder, name, None)
    sizes = tuple(shape[1:]) if isinstance(shape, tuple) else ()
    return sizes if all(sizes) else ()


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


_NOT_AUGMENTING = {"mean", "std", "zca_whitening_matrix", "rescale", "dtype", "data_format",
                   "channel_axis", "row_axis", "col_axis", "_validation_split"}  # fmt: skip


def _augments(generator: Any) -> bool:
    """Whether an ImageDataGenerator has any setting but the default."""
    plain = vars(keras.src.legacy.preprocessing.image.ImageDataGenerator())
    changed = (k for k, v in plain.items() if repr(getattr(generator, k, None)) != repr(v))
    return bool(set(changed) - _NOT_AUGMENTING) or generator.rescale not in (None, 0, 1)
