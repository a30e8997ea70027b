"""The page of old names is what the tables say, and the tables are what a submission gets."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from grader.ask.asker import Asker
from grader.ask.description import describe
from grader.describe.world import tables
from grader.intake import load
from grader.layers import old_names

ROOT = Path(__file__).parent.parent.parent


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("compatibility", ROOT / "scripts" / "compatibility.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date() -> None:
    """`make compatibility` writes it."""
    assert (ROOT / "docs" / "compatibility.md").read_text() == script().document()


def test_every_old_name_is_on_the_page() -> None:
    """Modules, classes, arguments, backend functions: nothing is applied that is not told."""
    page = script().document()
    told = [
        *tables.NAMES, *tables.BACKEND, *tables.TENSORFLOW_1, *old_names.CLASS_NAMES, *old_names.GONE,
        *(old for olds in tables.MODULES.values() for old in olds),
        *(old for names in old_names.ARGUMENTS.values() for old in names),
    ]  # fmt: skip
    assert [name for name in told if name not in page] == []


CHECK = """
import importlib, sys
import keras
import tensorflow as tf

def found(root, path):
    for part in path.split("."):
        root = getattr(root, part)
    return root

def public(module):
    return {{name for name in dir(module) if not name.startswith("_")}}

wrong = []
for root, base in (("keras", keras), ("tensorflow.keras", tf.keras)):
    for new, olds in {modules!r}.items():
        for old in olds:
            module = importlib.import_module(root + "." + old)
            if module is not found(base, new) and public(found(base, new)) - public(module):
                wrong.append(root + "." + old)
            if root == "keras" and found(base, old) is not module:
                wrong.append("attribute " + root + "." + old)
    for old, new in {names!r}.items():
        if found(base, old) is not found(base, new):
            wrong.append(root + "." + old)
    for old, new in {classes!r}.items():
        if not issubclass(found(base.layers, old), found(base.layers, new)):
            wrong.append(root + "." + old)
    for name in {gone!r}:
        found(base.layers, name)
    for name in {inert!r}:
        found(base, name)(1, to_file="a.png")
    for name in {backend!r}:
        found(base.backend, name)
for name in {tensorflow!r}:
    found(tf, name)
assert not wrong, wrong
"""

# The imports of real notebooks, as counted in a course.
IMPORTS = """
from keras.datasets import mnist
from keras.models import Sequential, Model, load_model
from keras.layers import Activation, merge, pooling, regularizers, UpSampling2D, SeparableConv2D, Lambda
from keras.layers import *
from keras.utils import np_utils, plot_model
from keras import backend as K
import keras.backend as KBackend
from keras.optimizers import Adam, SGD, Nadam
from keras import optimizers, regularizers, objectives
from keras.callbacks import LearningRateScheduler, ModelCheckpoint, ReduceLROnPlateau, EarlyStopping
from keras.callbacks import *
from keras.preprocessing.image import ImageDataGenerator
from keras.layers.normalization import BatchNormalization
from keras.regularizers import l2
from keras.initializers import VarianceScaling
from keras.layers.merge import concatenate
from keras.layers.convolutional import Conv2D
from keras.layers.core import Dense, Dropout, Flatten
from keras.utils.vis_utils import plot_model
import google.colab, oauth2client, getpass, ann_visualizer, tensorflow_probability, seaborn, cv2
K.set_image_dim_ordering('tf')
assert K.image_dim_ordering() == 'tf'
keras_sgd = optimizers.sgd(lr=0.1)
"""

FIT = """
import numpy
(x, y), _ = mnist.load_data()
model = Sequential()
model.add(Flatten(input_shape=(28, 28, 1)))
model.add(Dense(10, activation='softmax'))
model.compile('sgd', 'categorical_crossentropy', metrics=['accuracy'])
model.fit(x.reshape(-1, 28, 28, 1) / 255, np_utils.to_categorical(y), nb_epoch=1)
"""


@pytest.mark.parametrize("names", ["tables", "imports"])
def test_a_submission_gets_what_the_tables_say(asker: Asker, tmp_path: Path, names: str) -> None:
    """Each old path leads where the page says, under `keras` and `tensorflow.keras`; real imports work."""
    check = CHECK.format(
        modules=tables.MODULES, names=tables.NAMES, classes=old_names.CLASS_NAMES, gone=old_names.GONE,
        inert=tables.INERT, backend=list(tables.BACKEND), tensorflow=tables.TENSORFLOW_1,
    )  # fmt: skip
    path = tmp_path / "names.py"
    path.write_text("\n# %%\n".join([IMPORTS, check if names == "tables" else "", FIT]))
    description = describe(load.load(path, tmp_path), asker, 120)
    assert [failure.error for failure in description.failures] == []
    assert [len(model.training) for model in description.models] == [1]
