"""Notebooks that begin alike, described."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

from grader import records as r
from grader.ask import description
from grader.ask.asker import Asker
from grader.intake import load

SETUP = """
import numpy as np
import keras
from keras import backend as K
from keras.datasets import mnist
from keras.models import Sequential
from keras.layers import Dense, Flatten, Conv2D, Activation
from keras.callbacks import *
from keras.preprocessing.image import ImageDataGenerator
(x, y), (xt, yt) = mnist.load_data()
x = x.reshape(-1, 28, 28, 1).astype('float32') / 255
xt = xt.reshape(-1, 28, 28, 1).astype('float32') / 255
Y, Yt = keras.utils.to_categorical(y, 10), keras.utils.to_categorical(yt, 10)
def build():
    first = Conv2D(4, (3, 3), input_shape=(28, 28, 1))
    return Sequential([first, Flatten(), Dense(10, activation='softmax')])
def ready(loss='categorical_crossentropy'):
    model = build()
    model.compile('sgd', loss, metrics=['accuracy'])
    return model
model = ready()
"""


@pytest.fixture
def notebook(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[..., r.Description]:
    """Describe the set-up above and some cells: on some images, where a test does not ask for all of them."""
    whole = request.node.get_closest_marker("all_of_mnist") is not None
    asker: Asker = request.getfixturevalue("asker_on_mnist" if whole else "asker")

    def run(*cells: str) -> r.Description:
        made = nbformat.v4.new_notebook()
        made.cells = [nbformat.v4.new_code_cell(source) for source in (SETUP, *cells)]
        path = tmp_path / "notebook.ipynb"
        nbformat.write(made, path)
        found = description.describe(load.load(path, tmp_path), asker, 120)
        assert found.failures == ()
        return found

    return run


@pytest.fixture
def fits(notebook: Callable[..., r.Description]) -> Callable[..., tuple[r.TrainingRecipe, ...]]:
    """The fits of the model that was fitted last."""

    def run(*cells: str) -> tuple[r.TrainingRecipe, ...]:
        return max(notebook(*cells).models, key=lambda m: m.fit_order).training

    return run
