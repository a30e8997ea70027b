"""Which Keras a submission was written for."""

from __future__ import annotations

import pytest

from grader.describe.world import era
from grader.records import Cell


def code(source: str, output: str = "") -> Cell:
    return Cell(kind="code", source=source, output=output)


@pytest.mark.parametrize(
    "source",
    [
        "import tensorflow as tf\nmodel = tf.keras.Sequential()",
        "from tensorflow import keras",
        "from tensorflow.keras.layers import Convolution2D",
        "import tensorflow.keras.backend as K",
        "import numpy as np",
        "",
    ],
)
def test_keras_from_tensorflow_reads_as_new(source: str) -> None:
    """`tf.keras` never had the arguments of Keras 1, whatever the Python it ran on."""
    assert era.find([code(source)], "3.6.7").era == "keras3"


@pytest.mark.parametrize(
    "source",
    [
        "import keras",
        "import keras as k",
        "from keras.models import Sequential",
        "!pip install -q keras\nimport keras",
        "%matplotlib inline\nfrom keras.layers import Dense",
        "def build():\n    from keras.layers import Dense\n    return Dense(1)",
        "import keras\nprint 'Python 2'",
    ],
)
def test_standalone_keras_reads_as_old(source: str) -> None:
    """Standalone Keras without a trace of anything newer is Keras 2.3 or older."""
    assert era.find([code(source)], None) == era.Finding("keras2", "it imports standalone Keras")
    assert era.find([code(source)], "3.6.7").era == "keras2"


@pytest.mark.parametrize(
    "line",
    [
        "from keras.utils import np_utils",
        "model.fit(x, y, nb_epoch=20)",
        "model.add(Convolution2D(nb_filter=16, nb_row=3, nb_col=3))",
        "model.add(Convolution2D(16, 3, 3, border_mode='same'))",
        "model.add(Convolution2D(16, 3, 3, subsample=(2, 2)))",
        "K.set_image_dim_ordering('th')  # dim_ordering",
        "model.fit_generator(generator)",
        "model.fit(g, samples_per_epoch=60000)",
        "%tensorflow_version 1.x",
        "from keras.layers.core import Dense",
        "from keras.layers.convolutional import Convolution2D",
        "from keras.layers.normalization import BatchNormalization",
        "from keras.layers.merge import concatenate",
    ],
)
def test_names_of_old_keras_outweigh_a_new_python(line: str) -> None:
    """An old notebook that was opened again in a new Colab stays an old notebook."""
    cells = [code("import keras"), code(line, output="Total params: 10,524 (41.11 KB)")]

    assert era.find(cells, "3.11.2").era == "keras2"


@pytest.mark.parametrize(
    "line",
    [
        "x = keras.ops.relu(x)",
        "seed = keras.random.SeedGenerator(1)",
        "import keras_core",
        "os.environ['KERAS_BACKEND'] = 'jax'",
        "@keras.saving.register_keras_serializable()\nclass A: pass",
        "from keras import layers, ops",
        "model.save('digits.keras')",
        'model.save("digits.keras")',
    ],
)
def test_names_of_keras_3_outweigh_an_old_python(line: str) -> None:
    """What only Keras 3 has decides, and the reason names it."""
    found = era.find([code("import keras"), code(line)], "3.6.7")

    assert found.era == "keras3"
    assert "which Keras 3 brought" in found.reason


@pytest.mark.parametrize(
    "output",
    ["┏━━━━━━━━━━┓\n┃ Layer    ┃\n┡━━━━━━━━━━┩", "Total params: 10,524 (41.11 KB)"],
)
def test_a_saved_summary_tells_the_era(output: str) -> None:
    """Newer Keras draws boxes and adds the size in bytes."""
    assert era.find([code("import keras"), code("model.summary()", output)], None).era == "keras3"


def test_an_old_summary_stays_old() -> None:
    """Keras 2.2 prints plain lines and no bytes."""
    output = "Layer (type)   Output Shape\n=====\nTotal params: 10,524\nTrainable params: 10,524"

    assert era.find([code("import keras"), code("model.summary()", output)], "3.6.7").era == "keras2"


@pytest.mark.parametrize(
    ("python", "expected"),
    [
        ("3.8", "keras3"),
        ("3.10.12", "keras3"),
        ("3.12.0", "keras3"),
        ("4.0", "keras3"),
        ("3.7.5", "keras2"),
        ("2.7.15", "keras2"),
        ("3", "keras2"),
        ("", "keras2"),
        ("unknown", "keras2"),
    ],
)
def test_the_python_of_the_notebook_decides_last(python: str, expected: str) -> None:
    """Keras 2.3 does not run on Python 3.8 and newer; 3.10 is newer than 3.8."""
    assert era.find([code("import keras")], python).era == expected


def test_prose_is_no_evidence() -> None:
    """A write-up may mention what the code does not use."""
    prose = Cell(kind="markdown", source="I used `import keras` and `nb_epoch` first.")

    assert era.find([prose, code("import tensorflow as tf")], None).era == "keras3"
    assert era.find([prose, code("import keras")], "3.11").era == "keras3"


def test_a_cell_that_is_no_python_still_tells_its_imports() -> None:
    """A syntax error in one cell hides nothing."""
    broken = code("from keras.models import Sequential\nmodel = Sequential(")

    assert era.find([broken], None).era == "keras2"


def test_a_package_that_only_begins_with_keras_is_none() -> None:
    """`keras_tuner` is not standalone Keras."""
    assert era.find([code("import keras_tuner\nimport tensorflow as tf")], None).era == "keras3"
