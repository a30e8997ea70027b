"""What a notebook takes from elsewhere: names of a kernel long gone, and the data set under other names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
import tensorflow as tf

from grader.ask import description
from grader.ask.asker import Asker
from grader.describe.images.recognise import RawData
from grader.describe.world import served
from grader.describe.world.leftover import supply
from grader.intake import load
from grader.records import Cell


def _supplied(*sources: str) -> dict[str, Any]:
    namespace: dict[str, Any] = {}
    notes: list[str] = []
    supply([Cell(kind="code", source=s) for s in sources], namespace, notes.append)
    assert len(notes) == len(namespace)
    return namespace


def test_well_known_names_are_supplied() -> None:
    """Of a cell that was deleted: a module and a layer; what is bound anywhere is left alone."""
    found = _supplied("x = np.zeros(3)\nmodel.add(Dropout(0.1))", "def f(K): return K\nfor tf in []: pass")
    assert sorted(found) == ["Dropout", "np"]


def test_other_names_stay_errors() -> None:
    """The student's own, and those that a star may bring."""
    assert _supplied("from keras.layers import *\nDropout(0.1)\nx_train + my_function(2)") == {}
    assert _supplied("this is prose", "print(len([1]))") == {}


def test_a_notebook_runs_with_the_names_of_its_old_kernel(tmp_path: Path, asker: Asker) -> None:
    """It is described, and told."""
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [
        nbformat.v4.new_code_cell(
            "from keras.models import Sequential\nfrom keras.layers import MaxPooling2D, Flatten, Dense\n"
            "model = Sequential([MaxPooling2D(3, strides=2, padding='SAME', input_shape=(28, 28, 1)),\n"
            "                    Dropout(0.5), Flatten(), Dense(10)])\n"
            "labels = np_utils.to_categorical([1, 2], 10)"
        )
    ]
    path = tmp_path / "notebook.ipynb"
    nbformat.write(notebook, path)
    found = description.describe(load.load(path, tmp_path), asker, 120)
    assert found.failures == ()
    assert [layer.type for layer in found.models[0].network.layers][1:3] == ["MaxPooling2D", "Dropout"]
    assert sum("nothing in the submission defines" in note.message for note in found.notes) == 2


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> RawData:
    """100 training and 20 test images."""
    path = tmp_path_factory.mktemp("data") / "noise.npz"
    random = np.random.default_rng(7)
    x, y = random.integers(0, 256, (120, 28, 28), dtype=np.uint8), random.integers(0, 10, 120, dtype=np.uint8)
    np.savez(path, x_train=x[:100], y_train=y[:100], x_test=x[100:], y_test=y[100:])
    return RawData(str(path))


def test_tensorflow_datasets_serves_the_graded_data(data: RawData) -> None:
    """Pairs or dicts, whole splits or slices of them, with the usual information."""
    tfds = served._Served(("mnist",), data)
    (train, test), info = tfds.load(
        "mnist", split=["train[:80%]", "test"], as_supervised=True, with_info=True, shuffle_files=True
    )
    assert (train.cardinality().numpy(), test.cardinality().numpy()) == (80, 20)
    assert info.splits["train"].num_examples == 100
    image, label = next(iter(train))
    assert (image.shape, image.dtype, label.dtype) == ((28, 28, 1), tf.uint8, tf.int64)
    both = tfds.load("mnist")
    assert sorted(both) == ["test", "train"]
    assert sorted(next(iter(both["test"]))) == ["image", "label"]
    images, labels = tfds.load("mnist", split="train[90:]+test", batch_size=-1, as_supervised=True)
    assert (images.shape, labels.shape) == ((30, 28, 28, 1), (30,))
    with pytest.raises(OSError, match="not part of this assignment"):
        tfds.load("cifar10")


def test_openml_serves_it_flat(data: RawData, monkeypatch: pytest.MonkeyPatch) -> None:
    """Images for training first, labels as text."""
    theirs = pytest.importorskip("sklearn.datasets")
    monkeypatch.setattr(theirs, "fetch_openml", None)
    served._serve_openml(data)
    x, y = theirs.fetch_openml("mnist_784", version=1, return_X_y=True, as_frame=False)
    assert x.shape == (120, 784)
    assert np.array_equal(x[:100], data.x_train.reshape(100, -1))
    assert y[0] == str(data.y_train[0])
    assert data.recognise(x[:100] / 255.0).use.whole_split
