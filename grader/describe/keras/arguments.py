"""Reads what was passed to `fit`: arrays, generators or `tf.data`, by any Keras's argument names.

What an ImageDataGenerator does is read in `grader.describe.keras.image_generator`, what weighs images in
`grader.describe.keras.weighting`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from grader import records as r
from grader.describe.images.recognise import Recognised
from grader.describe.keras import image_generator, recipe, weighting
from grader.describe.keras.refusals import Refusals
from grader.describe.keras.tfdata import batch_of, one_pass
from grader.describe.world.standins import Inert, shows_only
from grader.errors import StudentsCode


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
    metrics: bool = True  # whether `compile` was given metrics
    measured: tuple[str, ...] = ("accuracy",)  # the names of the metrics
    weights: bytes | None = None  # a digest of its weights as the last fit left them
    weights_from: str = ""  # what set its weights other than an initializer, if anything did


OLD_NAMES = {"nb_epoch": "epochs", "nb_val_samples": "validation_steps", "generator": "x"}
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
    """The arguments of one `fit`, under Keras 3's names."""

    def __init__(self, recorder: Any, model: Any, given: dict[str, Any]) -> None:
        self.recorder, self.model = recorder, model
        self.given = {OLD_NAMES.get(name, name): value for name, value in given.items()}
        self.unsupported = Refusals()
        self.generator: Any = None
        self.endless, self.again = False, None
        self.odd_validation = ""
        for name, value in self.given.items():
            if isinstance(value, Inert) and name == "callbacks":
                self.unsupported.add("callback_absent", repr(value))
            elif isinstance(value, Inert):
                self.unsupported.add("argument_absent", name, repr(value))

    def read(self, tracked: Tracked) -> recipe.Fit:
        """Recognise the images and read the other arguments. Raises `ValueError`, as Keras, for misfits."""
        given, model = self.given, self.model
        x, y, batch_size = self._arrays()
        if not model.built and hasattr(x, "shape"):
            build(model, tuple(x.shape[1:]))
        _check_shapes(model, tracked.loss, x, y)
        train = self.recorder.data.recognise(x, y)
        augmentation = None
        if self.generator is not None:
            augmentation, train = image_generator.read(self.generator, train, self.unsupported)
        self._check_labels(train, y)
        train = self._check_again(train)
        train, validation, held_out = self._split(train)
        images = train.use.images or (len(x) if hasattr(x, "__len__") else 0)
        batch_size = int(batch_size or given.get("batch_size") or 32)  # batched data have a batch size
        initial = int(given.get("initial_epoch") or 0)
        class_weights, sample_weights = weighting.read(given, train, y, self.unsupported)
        passes = self._passes(images, batch_size, train)
        return recipe.Fit(
            model=model,
            loss=tracked.loss,
            images=images,
            batch_size=batch_size,
            epochs=max(1, int(given.get("epochs") or 1) - initial),
            steps_per_epoch=passes or math.ceil(self._retrained_on(train) / batch_size),
            callbacks=self._callbacks(),
            shuffle=bool(given.get("shuffle", True)),
            train=train,
            validation=validation,
            continues=bool(tracked.training) and tracked.fitted_compile == tracked.compiled,
            cell=self.recorder.cell,
            initial_epoch=initial,
            unsupported=self.unsupported,
            note=self.recorder.note,
            held_out=held_out,
            passes=passes,
            label_smoothing=weighting.smoothing(y, self.unsupported),
            class_weights=class_weights,
            sample_weights=sample_weights,
            augmentation=augmentation,
            pretrained=tracked.weights_from,
            memory=self.recorder.memory,
            measures_accuracy=tracked.metrics,
            odd_validation=self.odd_validation,
        )

    def _arrays(self) -> tuple[Any, Any, int | None]:
        x: Any = _only(self.given.get("x"))
        y: Any = _only(self.given.get("y"))
        if isinstance(x, tf.data.Dataset):
            return self._of_dataset(x)
        if hasattr(x, "image_data_generator"):  # ImageDataGenerator.flow(...)
            self.generator = x.image_data_generator
            self.given.setdefault("sample_weight", getattr(x, "sample_weight", None))
            self.given["shuffle"] = getattr(x, "shuffle", True)
            return x.x, x.y, x.batch_size
        if y is None and hasattr(x, "__next__"):
            self.unsupported.add("own_generator")
        return x, y, None

    def _of_dataset(self, dataset: tf.data.Dataset) -> tuple[Any, Any, int | None]:
        """Return images, labels and batch size of one pass of a `tf.data.Dataset`."""
        batch, endless = batch_of(dataset), int(dataset.cardinality()) == tf.data.INFINITE_CARDINALITY
        self.endless = endless or bool(self.given.get("steps_per_epoch"))
        passes = (
            dataset.take(math.ceil(len(self.recorder.data.x_train) / (batch or 1))) if endless else dataset
        )
        x, y, weights, complete = one_pass(passes)
        if not complete:
            self.unsupported.add("epoch_too_large")
        if weights is not None:
            self.given["sample_weight"] = weights
        self.again = None if endless else dataset
        return x, y, batch

    def _check_again(self, train: Recognised) -> Recognised:
        """Return what was trained on; refuse images that an epoch repeats, or draws anew."""
        if self.endless:
            return train.distinct()
        if self.again is not None and train.use.split == "train" and not train.use.whole_split:
            x, y, _, _ = one_pass(self.again)
            second = self.recorder.data.recognise(x, y)
            # The last, partial batch may be dropped, with other images in it each time.
            if train.other_than(second) > 2 * (batch_of(self.again) or 1):
                self.unsupported.add("other_images")
            return train.with_those_of(second)
        if train.times() is None:
            self.unsupported.add("repeated_images")
        return train

    def _callbacks(self) -> list[Any]:
        """Return the callbacks without stand-ins; refuse a stand-in that may act on training."""
        found = list(_flat(self.given.get("callbacks")))
        for callback in found:
            if isinstance(callback, Inert) and not shows_only(callback):
                self.unsupported.add("callback_absent", repr(callback))
        return [c for c in found if not isinstance(c, Inert)]

    def _passes(self, images: int, batch_size: int, train: Recognised) -> int | None:
        """Return the steps of an epoch where they are not one pass over the images; None where they are."""
        given = self.given
        if given.get("samples_per_epoch"):
            given["steps_per_epoch"] = given["samples_per_epoch"] // batch_size
        steps = math.ceil(images / batch_size) if images else 1
        asked = max(1, math.ceil(float(given.get("steps_per_epoch") or steps)))
        once = math.ceil(images / (train.times() or 1) / batch_size)  # retraining has each image once
        # Many submissions leave out the last, partial batch.
        return asked if abs(asked - once) > 1 and images else None

    def _retrained_on(self, train: Recognised) -> int:
        """Count the images that retraining will use."""
        whole = len(self.recorder.data.x_train)
        return whole if train.use.whole_split else sum(b - a for a, b in train.ranges) or whole

    def _check_labels(self, train: Recognised, y: Any) -> None:
        note, where = self.recorder.note, "fit"
        if train.use.split == "unrecognised":
            self.unsupported.add("unknown_images")
        elif train.use.split in ("test", "mixed"):
            note(f"{where} was given images of the test split: grader trains on the training split alone")
        elif train.rows is not None and not self.recorder.data.agrees(train.rows, y):
            self.unsupported.add("other_labels")

    def _split(self, train: Recognised) -> tuple[Recognised, r.DataUse, r.Rows]:
        """Return what was trained on, what it was validated on, and the rows of the latter, if any."""
        data: Any = self.given.get("validation_data")
        part = float(self.given.get("validation_split") or 0.0)
        if data is None and part and train.rows is not None:
            first = math.floor(len(train.rows) * (1.0 - part))  # Keras holds out the last images
            held = train.part(slice(first, None))
            return train.part(slice(None, first)), held.use, held.ranges
        if data is None:
            return train, r.DataUse(split="train" if part else "none"), ()
        if isinstance(data, tf.data.Dataset):
            data = one_pass(data)[:2]
        x, y = (data.x, data.y) if hasattr(data, "image_data_generator") else (data, None)
        if isinstance(data, list | tuple) and data:
            x, y = data[0], data[1] if len(data) > 1 else None
        found = self.recorder.data.recognise(x, y)
        if found.use.split == "unrecognised":  # the test split's labels are no help in finding it
            found = self.recorder.data.recognise(x)
        if int(self.given.get("validation_freq") or 1) > 1:
            self.odd_validation = "a validation that is not made in every epoch"
        elif found.scaling and train.scaling and not _alike(found.scaling, train.scaling):
            self.odd_validation = "images that were prepared otherwise than those trained on"
        return train, found.use, found.ranges if found.use.split == "train" else ()


def _alike(one: r.InputScaling, other: r.InputScaling) -> bool:
    """Whether two scalings differ by no more than the statistics of two splits do."""
    if one.per_image != other.per_image or len(one.pixel_scale) != len(other.pixel_scale):
        return False
    (scale, offset), (scale_2, offset_2) = (
        (x.pixel_scale or x.scale, x.pixel_offset or x.offset) for x in (one, other)
    )
    same = np.allclose(scale, scale_2, rtol=0.1), np.allclose(offset, offset_2, rtol=0.1, atol=0.1)
    return all(same)


def build(model: Any, shape: tuple[int, ...]) -> None:
    """Build a model for inputs of ``shape``. Keras builds a subclassed one by calling it."""
    if isinstance(model, keras.Sequential) or hasattr(model, "_nodes_by_depth"):
        model.build((None, *shape))
        return
    with StudentsCode() as call:
        model(np.zeros((1, *shape), np.float32))
    if call.error is not None:
        model.build((None, *shape))


def _only(value: Any) -> Any:
    """Return an array, also from a list of one: Keras takes both."""
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
    # Keras adds and drops an axis of one element.
    if expected and given and [n for n in expected if n != 1] != [n for n in given if n != 1]:
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
    """Return a shape without its batch axis; empty where it is unknown."""
    shape = getattr(holder, name, None)
    sizes = tuple(shape[1:]) if isinstance(shape, tuple) else ()
    return sizes if all(sizes) else ()
