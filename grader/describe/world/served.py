"""Serves the graded data set under its names in other libraries: `tensorflow_datasets` and OpenML."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import tensorflow as tf

from grader.describe.images.recognise import RawData


def install(names: tuple[str, ...], data: RawData) -> None:
    """Register `tensorflow_datasets`, and OpenML's version where scikit-learn is installed."""
    module = ModuleType("tensorflow_datasets")
    tfds: Any = module
    served = _Served(names, data)
    tfds.load, tfds.as_numpy, tfds.builder = served.load, _as_numpy, served.builder
    tfds.disable_progress_bar = lambda *args, **kwargs: None
    sys.modules["tensorflow_datasets"] = module
    if "mnist" in names:
        _serve_openml(data)


def _as_numpy(value: Any) -> Any:
    if isinstance(value, tf.data.Dataset):
        return value.as_numpy_iterator()
    return tf.nest.map_structure(lambda x: x.numpy() if isinstance(x, tf.Tensor) else x, value)


class _Served:
    """One data set behind https://www.tensorflow.org/datasets/api_docs/python/tfds/load."""

    def __init__(self, names: tuple[str, ...], data: RawData) -> None:
        self.names, self.data = names, data

    def load(
        self,
        name: str,
        *,
        split: Any = None,
        batch_size: int | None = None,
        as_supervised: bool = False,
        with_info: bool = False,
        **others: Any,
    ) -> Any:
        """Return the images and labels of ``split``; raises `OSError` for another data set."""
        if name.split(":")[0].split("/")[0] not in self.names:
            raise OSError(f"the data set {name!r} is not part of this assignment")
        if split is None:
            split = {"train": "train", "test": "test"}
        found = tf.nest.map_structure(lambda part: self._part(part, batch_size, as_supervised), split)
        return (found, self._info()) if with_info else found

    def builder(self, name: str, **others: Any) -> Any:
        """Return a builder of the data set; preparing it does nothing."""
        return SimpleNamespace(
            info=self._info(),
            download_and_prepare=lambda *args, **kwargs: None,
            as_dataset=lambda **kwargs: self.load(name, **kwargs),
        )

    def _part(self, split: Any, batch_size: int | None, as_supervised: bool) -> Any:
        images, labels = zip(*self._pieces(str(split)), strict=True)
        x = np.concatenate(images).reshape(-1, *self.data.image_shape)
        y = np.concatenate(labels).astype(np.int64)
        whole: Any = (x, y) if as_supervised else {"image": x, "label": y}
        if batch_size == -1:
            return tf.nest.map_structure(tf.constant, whole)
        dataset = tf.data.Dataset.from_tensor_slices(whole)
        return dataset.batch(batch_size) if batch_size else dataset

    def _pieces(self, split: str) -> Iterator[tuple[Any, Any]]:
        """Yield each part of `train`, `test[:5000]` or `train[80%:]+test` with its slice."""
        for piece in split.split("+"):
            name, _, rest = piece.strip().partition("[")
            x, y = getattr(self.data, f"x_{name}"), getattr(self.data, f"y_{name}")
            first, _, last = rest.rstrip("]").partition(":")
            part = slice(_place(first, len(x)), _place(last, len(x))) if rest else slice(None)
            yield x[part], y[part]

    def _info(self) -> Any:
        labels = int(self.data.y_train.max()) + 1
        label = SimpleNamespace(
            num_classes=labels, names=[str(n) for n in range(labels)], int2str=str, str2int=int
        )
        image = SimpleNamespace(shape=self.data.image_shape)
        sizes = {"train": len(self.data.x_train), "test": len(self.data.x_test)}
        return SimpleNamespace(
            name=self.names[0],
            features={"label": label, "image": image},
            splits={name: SimpleNamespace(num_examples=n) for name, n in sizes.items()},
        )


def _place(text: str, size: int) -> int | None:
    text = text.strip()
    if not text:
        return None
    return round(float(text[:-1]) / 100 * size) if text.endswith("%") else int(text)


def _serve_openml(data: RawData) -> None:
    """Let `fetch_openml('mnist_784')` return 70,000 flat images, training ones first, with labels as text."""
    try:
        import sklearn.datasets as theirs
        from sklearn.utils import Bunch
    except ImportError:
        return

    def fetch_openml(name: Any = None, *args: Any, **kwargs: Any) -> Any:
        if "mnist" not in str(name):
            raise OSError(f"the data set {name!r} is not part of this assignment")
        x = np.concatenate([data.x_train, data.x_test]).reshape(-1, 784).astype(np.float64)
        y = np.concatenate([data.y_train, data.y_test]).astype(str).astype(object)
        if kwargs.get("as_frame", True) in (True, "auto"):
            import pandas as pd

            frame = pd.DataFrame(x, columns=[f"pixel{n + 1}" for n in range(784)])
            x, y = frame, pd.Series(y, name="class", dtype="category")
        return (x, y) if kwargs.get("return_X_y") else Bunch(data=x, target=y)

    theirs.fetch_openml = fetch_openml
