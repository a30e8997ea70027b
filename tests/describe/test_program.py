"""Notebooks and scripts run under the recording Keras, each in a real describing child."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest

from grader import records as r
from grader.ask.asker import Asker
from grader.ask.description import describe as describe_program
from grader.data import datasets
from grader.errors import StudentError
from grader.grade import examine
from grader.intake import load
from grader.layers import shapes

Describe = Callable[..., r.Description]

DATA = """
from keras.datasets import mnist
from keras.utils import np_utils
(X_train, y_train), (X_test, y_test) = mnist.load_data()
X_train = X_train.reshape(60000, 28, 28, 1).astype('float32') / 255
X_test = X_test.reshape(10000, 28, 28, 1).astype('float32') / 255
Y_train = np_utils.to_categorical(y_train, 10)
Y_test = np_utils.to_categorical(y_test, 10)
"""


@pytest.fixture
def describe(tmp_path: Path, asker_on_mnist: Asker) -> Describe:
    """Writes code cells as a notebook and describes it."""

    def run(*cells: str, seconds: float = 120, outputs: str = "", python: str = "3.6.9") -> r.Description:
        notebook = nbformat.v4.new_notebook(metadata={"language_info": {"name": "python", "version": python}})
        notebook.cells = [nbformat.v4.new_code_cell(source) for source in cells]
        if outputs:
            notebook.cells[-1].outputs = [nbformat.v4.new_output("stream", text=outputs)]
        path = tmp_path / "notebook.ipynb"
        nbformat.write(notebook, path)
        return describe_program(load.load(path, tmp_path), asker_on_mnist, seconds)

    return run


def _total(model: r.DescribedModel) -> int | None:
    return shapes.analyse(model.network).total


def _messages(description: r.Description) -> str:
    return "\n".join(note.message for note in description.notes)


def test_rows_as_a_sequence_in_keras_1(describe: Describe) -> None:
    """Images as 28 steps of 28 channels, under the names of Keras 1."""
    found = describe(
        DATA.replace("28, 28, 1)", "28, 28)"),
        "from keras.models import Sequential\nfrom keras.layers import *\n"
        "model = Sequential()\n"
        "model.add(Convolution1D(8, 3, border_mode='same', input_length=28, input_dim=28))\n"
        "model.add(MaxPooling1D(pool_length=2))\n"
        "model.add(AtrousConvolution1D(nb_filter=4, filter_length=3, atrous_rate=2))\n"
        "model.add(AveragePooling1D())\n"
        "model.add(GlobalMaxPooling1D())\n"
        "model.add(Dense(output_dim=10, activation='softmax'))",
        "model.compile('sgd', 'categorical_crossentropy', metrics=['accuracy'])\n"
        "model.fit(X_train, Y_train, nb_epoch=1)",
    )
    (model,) = found.models
    assert [x.output for x in shapes.analyse(model.network).layers] == [
        (28, 28), (28, 8), (14, 8), (10, 4), (5, 4), (4,), (10,),
    ]  # fmt: skip
    assert _total(model) == 3 * 28 * 8 + 8 + 3 * 8 * 4 + 4 + 4 * 10 + 10
    assert model.training[0].unsupported == ()


def test_a_notebook_of_2019_runs_as_it_is(describe: Describe) -> None:
    """Keras 1 arguments, magics, shell lines, plots and code behind `fit`: all of it in one."""
    found = describe(
        "!pip install -q keras\n%matplotlib inline\nimport matplotlib.pyplot as plt\nimport no_such_library",
        DATA + "fig, axes = plt.subplots(1, 2)\nplt.imshow(X_train[0].reshape(28, 28))",
        "  from keras.models import Sequential\n"  # an indented cell, as IPython allows
        "  from keras.layers import *\n"
        "  from keras.layers.normalization import BatchNormalization",
        "%%time\n"
        "model = Sequential()\n"
        "model.add(Convolution2D(16, 3, 3, border_mode='same', subsample=(2, 2), bias=False,\n"
        "                        init='he_normal', activation='relu', input_shape=(28, 28, 1)))\n"
        "model.add(BatchNormalization(mode=0, axis=-1))\n"
        "model.add(Dropout(p=0.25))\n"
        "model.add(Convolution2D(nb_filter=10, nb_row=1, nb_col=1, W_regularizer='l2'))\n"
        "model.add(AveragePooling2D())\n"
        "model.add(Flatten())\n"
        "model.add(Dense(output_dim=10, activation='softmax'))\n"
        "model.summary()",
        "from keras.optimizers import SGD\n"
        "from keras.callbacks import LearningRateScheduler, ModelCheckpoint\n"
        "model.compile(SGD(lr=0.1, momentum=0.9, nesterov=True), 'categorical_crossentropy', ['accuracy'])\n"
        "history = model.fit(X_train, Y_train, batch_size=100, nb_epoch=5, verbose=1,\n"
        "    validation_data=(X_test, Y_test), callbacks=[\n"
        "        LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1)),\n"
        "        ModelCheckpoint('w-{epoch}-{val_acc:.4f}.hdf5', 'val_acc', period=2)])",
        "plt.plot(history.history['acc'])\nplt.plot(history.history['val_acc'])\n"
        "score = model.evaluate(X_test, Y_test)\nprint('accuracy', score[1])\n"
        "wrong = [i for i, c in enumerate(model.predict_classes(X_test)) if c != y_test[i]]\n"
        "model.load_weights('w-5.hdf5')",
        "layer = dict((l.name, l) for l in model.layers)['conv2d_14']",
    )
    model = found.models[0]
    first, normalization, dropout = model.network.layers[1:4]
    assert isinstance(first, r.Conv2D)
    assert (first.name, first.kernel_size, first.strides, first.padding) == (
        "conv2d_1",
        (3, 3),
        (2, 2),
        "same",
    )
    assert not first.use_bias
    assert first.kernel_initializer == r.VarianceScaling(
        scale=2.0, mode="fan_in", distribution="truncated_normal"
    )
    assert isinstance(normalization, r.BatchNormalization)
    assert isinstance(dropout, r.Dropout)
    assert dropout.rate == 0.25
    one_by_one = model.network.layers[4]
    assert isinstance(one_by_one, r.Conv2D)
    assert (one_by_one.kernel_size, one_by_one.kernel_regularizer) == ((1, 1), r.L1L2(l2=0.01))
    assert _total(model) == 16 * 9 + 4 * 16 + 16 * 10 + 10 + 490 * 10 + 10
    recipe = model.training[0]
    assert recipe.optimizer == r.SGD(momentum=0.9, nesterov=True)
    assert (recipe.batch_size, recipe.epochs, recipe.rates_per) == (100, 5, "epoch")
    assert recipe.learning_rates == pytest.approx([0.1, 0.05, 0.1 / 3, 0.025, 0.02])
    assert recipe.scaling.scale == pytest.approx(1 / 255)
    assert recipe.trained_on == r.DataUse(split="train", images=60000, whole_split=True)
    assert recipe.validated_on == r.DataUse(split="test", images=10000, whole_split=True)
    assert (recipe.unsupported, recipe.cell) == ((), 5)
    assert [f.cell for f in found.failures] == [7]
    assert "no_such_library" in _messages(found)
    assert "pip install" in _messages(found)
    assert (found.keras_era, found.reading, found.ambiguous_calls) == ("keras2", "rows_columns", 1)


def test_tf_keras_is_read_as_tf_keras(describe: Describe) -> None:
    """A third positional argument is a stride; functional graphs, schedules and callbacks are read."""
    found = describe(
        "import tensorflow as tf\nfrom tensorflow import keras\nfrom tensorflow.keras import layers\n"
        "(x, y), (xt, yt) = keras.datasets.mnist.load_data()",
        "inputs = keras.Input(shape=(28, 28, 1))\n"
        "a = layers.Conv2D(8, 3, 2, activation=tf.nn.relu)(inputs)\n"
        "b = layers.Conv2D(8, 3, padding='same')(a)\n"
        "c = layers.Add()([a, b])\n"
        "outputs = layers.Dense(10)(layers.GlobalAveragePooling2D()(c))\n"
        "net = keras.Model(inputs, outputs)",
        "rate = keras.optimizers.schedules.ExponentialDecay(0.01, 1000, 0.5)\n"
        "net.compile(keras.optimizers.Adam(learning_rate=rate),\n"
        "    keras.losses.SparseCategoricalCrossentropy(from_logits=True), ['accuracy'])\n"
        "net.fit(x, y, epochs=2, batch_size=600, validation_split=0.1,\n"
        "    callbacks=[keras.callbacks.EarlyStopping('val_accuracy', patience=3),\n"
        "               keras.callbacks.ReduceLROnPlateau(monitor='val_loss', factor=0.2)])",
        python="3.11.2",
    )
    model = found.models[0]
    conv = model.network.layers[1]
    assert isinstance(conv, r.Conv2D)
    assert (conv.kernel_size, conv.strides, conv.activation) == ((3, 3), (2, 2), "relu")
    assert [x.type for x in model.network.layers][3] == "Add"
    assert model.name == "net"
    recipe = model.training[0]
    assert recipe.loss == r.Loss(name="sparse_categorical_crossentropy", from_logits=True)
    assert (recipe.rates_per, len(recipe.learning_rates)) == ("step", 180)  # 54,000 images
    assert recipe.learning_rates[100] == pytest.approx(0.01 * 0.5**0.1)
    assert recipe.scaling == r.InputScaling(scale=1.0, offset=0.0)
    assert [c.type for c in recipe.callbacks] == ["EarlyStopping", "ReduceLROnPlateau"]
    assert recipe.callbacks[0].monitor == "val_accuracy"
    assert found.keras_era == "keras3"


AMBIGUOUS = """
from keras.models import Sequential
from keras.layers import Conv2D, Flatten, Dense
model = Sequential([Conv2D(16, 3, 2, input_shape=(28, 28, 1)), Flatten(), Dense(10, activation='softmax')])
"""


def test_the_saved_summary_decides_between_two_readings(describe: Describe) -> None:
    """Standalone Keras means rows and columns, unless the notebook's own summary shows a stride."""
    by_import = describe(AMBIGUOUS)
    assert (by_import.reading, _total(by_import.models[0])) == ("rows_columns", 112 + 26 * 27 * 16 * 10 + 10)
    strided = 160 + 13 * 13 * 16 * 10 + 10
    by_summary = describe(AMBIGUOUS, outputs=f"Total params: {strided:,}")
    assert (by_summary.reading, _total(by_summary.models[0])) == ("strides", strided)
    assert "a kernel size and a stride" in _messages(by_summary)


MODEL = """
from keras.models import Sequential
from keras.layers import Convolution2D, Flatten, Activation
def net():
    scores = Convolution2D(10, (28, 28), input_shape=(28, 28, 1))
    return Sequential([scores, Flatten(), Activation('softmax')])
"""


def test_defaults_are_those_of_the_era(describe: Describe) -> None:
    """Keras 2.2's optimizers start at its own rates; several models and fits are told apart."""
    found = describe(
        DATA + MODEL,
        "import keras\nfirst, second, third = net(), net(), net()\nunused = net()\n"
        "def train(m, optimizer, **k):\n"
        "    m.compile(loss='categorical_crossentropy', optimizer=optimizer, metrics=['accuracy'])\n"
        "    return m.fit(X_train, Y_train, **k)\n"
        "train(first, 'adadelta')\n"
        "train(second, keras.optimizers.Nadam())\n"
        "train(third, keras.optimizers.adagrad(decay=0.5), epochs=2, batch_size=6000)\n"
        "second.fit(X_train, Y_train, epochs=3)\n"
        "train(first, keras.optimizers.Adam(lr=0.5, epsilon=None))",
    )
    by_name = {m.name: m for m in found.models}
    assert set(by_name) == {"first", "second", "third", "unused"}
    adadelta, adam = by_name["first"].training
    assert (adadelta.optimizer.type, adadelta.learning_rates) == ("Adadelta", (1.0,))
    assert (adam.optimizer, adam.learning_rates, adam.continues) == (r.Adam(), (0.5,), False)
    nadam, more = by_name["second"].training
    assert nadam.optimizer == r.Nadam(schedule_decay=0.004)
    assert (nadam.learning_rates, more.epochs, more.continues) == ((0.002,), 3, True)
    adagrad = by_name["third"].training[0]
    assert isinstance(adagrad.optimizer, r.Adagrad)
    assert adagrad.optimizer.initial_accumulator_value == 0.0
    assert adagrad.optimizer.epsilon == pytest.approx(1e-14)  # outside the root in Keras 2
    assert adagrad.learning_rates == pytest.approx([0.01 / (1 + 0.5 * n) for n in range(20)])
    assert [m.name for m in examine.candidates(found, "last_fitted")] == ["first"]
    assert [m.name for m in examine.candidates(found, "variable:unused")] == ["unused"]
    assert {m.name for m in examine.candidates(found, "best")} == {"first", "second", "third"}
    with pytest.raises(StudentError, match="no model is called 'other'; there are: first, second"):
        examine.candidates(found, "variable:other")


def test_what_cannot_be_retrained_is_said(describe: Describe) -> None:
    """Own layers, Lambda, test images, wrong labels, own losses and own loops are named, not imitated."""
    found = describe(
        DATA + MODEL,
        "import keras, numpy as np\nfrom keras import layers, backend as K\n"
        "class Twice(layers.Layer):\n    def call(self, x):\n        return x * 2\n"
        "own = Sequential([Convolution2D(10, 28, input_shape=(28, 28, 1)), Twice(),\n"
        "                  layers.Lambda(lambda x: x + 1), Flatten(), Activation('softmax')])",
        "on_test, mislabelled, looped, noisy = net(), net(), net(), net()\n"
        "for m in (on_test, mislabelled, looped, noisy):\n"
        "    m.compile('sgd', loss='categorical_crossentropy', metrics=['accuracy'])\n"
        "on_test.fit(X_test, Y_test)\n"
        "mislabelled.fit(X_train, Y_train[::-1])\n"
        "noisy.fit(X_train + np.random.rand(*X_train.shape).astype('float32'), Y_train)\n"
        "looped.train_on_batch(X_train[:10], Y_train[:10])\n"
        "custom = net()\n"
        "custom.compile('sgd', loss=lambda t, p: K.mean(t - p))\n"
        "custom.fit(X_train, Y_train)",
    )
    assert not found.failures
    by_name = {m.name: m for m in found.models}
    reasons = {u.class_name: u.reason for u in by_name["own"].network.unsupported}
    assert reasons["Twice"] == r.because("own_layer")
    assert "Lambda" in reasons
    assert by_name["on_test"].training[0].trained_on.split == "test"
    assert "given images of the test split" in _messages(found)
    assert by_name["mislabelled"].training[0].unsupported[0].code == "other_labels"
    assert by_name["noisy"].training[0].unsupported[0].code == "unknown_images"
    assert by_name["looped"].training[0].unsupported == (r.because("own_loop", "train_on_batch"),)
    assert by_name["custom"].training[0].unsupported[0].code == "loss"


def test_test_labels_are_not_there(describe: Describe, asker_on_mnist: Asker, tmp_path: Path) -> None:
    """What `load_data` gives for the test split are permuted labels, whoever looks."""
    found = describe(
        DATA + MODEL,
        "import hashlib, numpy as np\n"
        "seen = hashlib.sha256(y_test.astype('uint8').tobytes()).hexdigest()\n"
        "model = Sequential([Convolution2D(10, (28, 28), name=f'labels_{seen}', input_shape=(28, 28, 1)),\n"
        "                    Flatten(), Activation('softmax')])",
    )
    seen = found.models[0].network.layers[1].name
    real = asker_on_mnist.dataset.y_test.astype(np.uint8)
    given, again = (_blinded_labels(asker_on_mnist.dataset, tmp_path) for _ in range(2))
    assert seen.startswith("labels_")
    assert seen != f"labels_{hashlib.sha256(real.tobytes()).hexdigest()}"
    assert (given == real).mean() < 0.2
    assert (given == again).mean() < 0.2  # no seed that could be guessed
    np.testing.assert_array_equal(np.bincount(given), np.bincount(real))


def _blinded_labels(dataset: datasets.Dataset, folder: Path) -> Any:
    """The test labels in the file that the child is given."""
    datasets.write_blinded(dataset, folder / "data.npz")
    with np.load(folder / "data.npz") as arrays:
        return arrays["y_test"]


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (("import keras", "x = 1", "def f(:\n  pass"), "code cell 3, line 1: SyntaxError"),
        (("import keras", "x = 1"), "no cell builds a Keras model"),
        (
            (MODEL, "model = Sequential(net().layers[:1])\nraise RuntimeError('lost')\n"),
            "code cell 2, line 2: RuntimeError: lost",
        ),
        (("import os\nos._exit(0)",), "ended its own process"),
        (("import keras\nraise SystemExit",), "code cell 1, line 2: SystemExit"),
        ((MODEL, "model = net()", "model.compile('sgd', 'mse')\nmodel.fit(nothing)"), "code cell 3, line 2"),
    ],
    ids=["syntax", "no model", "half-built", "exit", "SystemExit", "fit fails"],
)
def test_what_does_not_run_is_the_students_error(
    describe: Describe, cells: tuple[str, ...], message: str
) -> None:
    """The cell, the line and what happened are quoted."""
    with pytest.raises(StudentError, match=message):
        describe(*cells)


def test_time_runs_out_after_the_fit(describe: Describe, asker_on_mnist: Asker) -> None:
    """An endless loop behind the recorded fit costs a note, not the submission."""
    warm = asker_on_mnist._server is not None  # the time counts from before the import of TensorFlow
    found = describe(
        DATA + MODEL,
        "model = net()\nmodel.compile('sgd', 'categorical_crossentropy')\nmodel.fit(X_train, Y_train)",
        "import time\nwhile True: time.sleep(1)",
        seconds=10 if warm else 40,
    )
    assert found.models[0].training[0].epochs == 1
    assert "was stopped after its last fit" in found.incomplete


SEVEN = [
    ("1-vanilla", 49_220, 49_220, 0),
    ("2-fewer-kernels", 10_524, 10_524, 0),
    ("3-bn-dropout-schedule", 13_880, 13_688, 192),
    ("4-fewer-kernels-bn-dropout", 10_844, 10_684, 160),
    ("5-other-architecture-1", 20_010, 19_742, 268),
    ("6-other-architecture-2", 12_664, 12_436, 228),
    ("7-other-architecture-3", 15_958, 15_650, 308),
]
SUBMISSIONS = Path(__file__).parents[2] / "submissions"


@pytest.mark.parametrize(("name", "total", "trainable", "frozen"), SEVEN, ids=[s[0] for s in SEVEN])
def test_the_seven_submissions(
    name: str, total: int, trainable: int, frozen: int, tmp_path: Path, asker_on_mnist: Asker
) -> None:
    """The parameter counts of the real submissions, exactly."""
    found = describe_program(load.load(SUBMISSIONS / name, tmp_path), asker_on_mnist, 120)
    analysis = shapes.analyse(examine.candidates(found, "last_fitted")[0].network)
    assert (analysis.total, analysis.trainable, analysis.non_trainable) == (total, trainable, frozen)
    assert not found.failures
