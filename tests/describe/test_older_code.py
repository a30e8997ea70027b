"""Code that ran under Keras 1 and 2, or older libraries, and that is taken otherwise today."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from grader import records as r
from grader.ask import description
from grader.ask.asker import Asker
from grader.describe.world.compat import training
from grader.describe.world.era import find
from grader.errors import Unsupported
from grader.intake import load

Fits = Callable[..., tuple[r.TrainingRecipe, ...]]
FIT = "model.fit(x, Y, batch_size=100, epochs=2)"
COMPILED = "model.compile({}, 'categorical_crossentropy', metrics=['accuracy'])\n" + FIT

RUNS = {
    "names that NumPy dropped": "np.product([2, 3]); np.float_(1); best = np.Inf; np.asscalar(np.array([1]))",
    "constraints by their old names": "from keras.constraints import maxnorm, nonneg, unitnorm",
    "regularizers by their old names": "from keras.regularizers import activity_l2, l2\nl2(l=0.1)",
    "old arguments of to_categorical": (
        "assert keras.utils.to_categorical(y, nb_classes=10, dtype='int8').dtype == 'int8'"
    ),
    "the data set as a file": (
        "p = keras.utils.get_file('mnist.npz', 'https://example.org/')\nassert np.load(p)['x_train'].shape[0]"
    ),
    "a callback that sets its model": (
        "class C(Callback):\n    def __init__(self, m):\n        super().__init__(); self.model = m\nC(model)"
    ),
    "names of layers with a slash": "Dense(3, name='block/dense')",
    "one metric without a list": "model.compile('sgd', 'categorical_crossentropy', metrics='accuracy')",
}


@pytest.mark.parametrize("name", RUNS)
def test_it_runs(fits: Fits, name: str) -> None:
    (fit,) = fits("import numpy as np", RUNS[name], FIT)
    assert fit.unsupported == ()


RATES = {
    "a whole number": ("Adadelta(lr=1)", 1.0),
    "an array's": ("SGD(lr=np.float32(0.5))", 0.5),
    "a variable's": ("SGD(lr=tf.Variable(0.25))", 0.25),
    "in its place": ("SGD(np.float32(0.125))", 0.125),
}


@pytest.mark.parametrize("name", RATES)
def test_a_rate_may_be_any_number(fits: Fits, name: str) -> None:
    source, rate = RATES[name]
    (fit,) = fits(
        "import numpy as np, tensorflow as tf", "from keras.optimizers import *", COMPILED.format(source)
    )
    assert fit.learning_rates == (rate,) * 2


def test_a_schedule_may_count_on_a_float(fits: Fits) -> None:
    """TensorFlow's optimizers handed it the step as float32."""
    (fit,) = fits(
        "import tensorflow as tf\nclass S(tf.keras.optimizers.schedules.LearningRateSchedule):\n"
        "    def __call__(self, step):\n        return tf.math.rsqrt(step + 1.0)",
        "from keras.optimizers import *",
        COMPILED.format("Adam(S())"),
    )
    assert fit.unsupported == ()
    assert np.allclose(fit.learning_rates[:3], [1, 0.5**0.5, 3**-0.5], rtol=1e-5)


RESULTS = {
    "kept in a file": "import pickle\npickle.dump(h.history, open('h', 'wb'))",
    "kept as arrays": "import numpy as np\nnp.save('h.npy', h.history)",
    "by the metric's own name": "h.history['val_top'][-1]",
    "three of them": "loss, acc, top = model.evaluate(xt, Yt)",
    "and their names": "assert model.metrics_names == ['loss', 'accuracy', 'top']",
    "a single one": "model.compile('sgd', 'mse')\nround(float(model.evaluate(xt, Yt)), 2)",
}


@pytest.mark.parametrize("name", RESULTS)
def test_results_are_used_as_keras_gives_them(fits: Fits, name: str) -> None:
    """What fails on them would lose the fit that follows."""
    top = "keras.metrics.TopKCategoricalAccuracy(3, name='top')"
    found = fits(
        f"model.compile('sgd', 'categorical_crossentropy', metrics=['accuracy', {top}])\nh = {FIT}",
        RESULTS[name],
        FIT,
    )
    assert len(found) == 2


CHOSEN = {
    "of pairs": "best = max([(v, 'sgd') for v in h])[1]",
    "by its place": "best = ['sgd', 'adam'][h.index(max(h))]",
    "sorted": "pairs = [(v, 'sgd') for v in h]\npairs.sort(reverse=True)\nbest = pairs[0][1]",
    "by NumPy": "import numpy as np\nbest = ['sgd', 'adam'][np.array(h).argmax()]",
}


@pytest.mark.parametrize("name", CHOSEN)
def test_what_results_choose_is_replayed(fits: Fits, name: str) -> None:
    found = fits(f"h = list({FIT}.history['loss'])", CHOSEN[name], "model = ready()", FIT)
    assert r.because("measured_results") in found[-1].unsupported


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        ("ThresholdedReLU(0.5)", r.because("gone_layer", "ThresholdedReLU")),
        ("BatchNormalization(renorm=True)", r.because("gone_argument", "renorm")),
        ("Dense(10, weights=[np.ones((10, 10)), np.zeros(10)])", r.because("gone_argument", "weights")),
    ],
)
def test_what_keras_no_longer_does_is_not_described_as_something_else(
    notebook: Callable[..., r.Description], layer: str, reason: r.Reason
) -> None:
    """Nor is it replayed: `test_cli` holds that."""
    found = notebook(f"import numpy as np\nmodel.add({layer})", "model.compile('sgd', 'mse')", FIT)
    network = max(found.models, key=lambda m: m.fit_order).network
    assert network.unsupported[0].reason == reason
    assert network.unsupported[0].reported is None


def test_nor_within_a_layer_or_model_of_the_students_own(notebook: Callable[..., r.Description]) -> None:
    """There its parameters would be counted with those of the whole."""
    found = notebook(
        "class Own(keras.Model):\n    def __init__(self):\n        super().__init__()\n"
        "        self.parts = [ThresholdedReLU(0.5), Flatten(), Dense(10)]\n    def call(self, x):\n"
        "        for part in self.parts: x = part(x)\n        return x\nmodel = Own()",
        "model.compile('sgd', 'mse')",
        FIT,
    )
    (whole,) = max(found.models, key=lambda m: m.fit_order).network.unsupported
    assert whole.reason == r.because("gone_layer", "ThresholdedReLU")
    assert whole.reported is None


def test_what_means_nothing_is_still_dropped(notebook: Callable[..., r.Description]) -> None:
    found = notebook("model.add(BatchNormalization(renorm=False, weights=None))", FIT)
    assert all(not m.network.unsupported for m in found.models)


ERAS = {
    "data of one Keras, layers of the other": (
        "from keras.datasets import mnist\nfrom tensorflow.keras.layers import Conv2D", "keras3",
    ),
    "only one Keras": ("from keras.datasets import mnist\nfrom keras.layers import Conv2D", "keras2"),
    "layers of both": ("from keras.layers import Conv2D\nfrom tensorflow.keras import utils", "keras2"),
    "a layer that came later": ("import keras\nkeras.layers.Rescaling(1 / 255)", "keras3"),
    "an optimizer that came later": ("import keras\nkeras.optimizers.AdamW(0.001)", "keras3"),
    "TensorFlow 1's seed": ("import keras, tensorflow as tf\ntf.set_random_seed(1)", "keras2"),
}  # fmt: skip


@pytest.mark.parametrize("name", ERAS)
def test_which_keras_it_was_written_for(name: str) -> None:
    source, era = ERAS[name]
    assert find([r.Cell(kind="code", source=source)], None).era == era


@pytest.mark.parametrize("call", ["tf.nn.relu(x)", "tf.concat([x, x], 1)", "x.get_shape()[1]"])
def test_what_only_an_older_keras_allowed_is_no_fault(asker: Asker, tmp_path: Path, call: str) -> None:
    script = tmp_path / "submission.py"
    script.write_text(f"import tensorflow as tf\nx = tf.keras.Input((28, 28, 1))\ny = {call}\n")
    with pytest.raises(Unsupported, match="needs an older Keras"):
        description.describe(load.load(script, tmp_path), asker, 120)


def test_decay_acts_in_a_replay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keras 2 divided the rate by 1 + decay * steps."""
    base = keras.optimizers.Optimizer
    monkeypatch.setattr(base, "_get_current_learning_rate", base._get_current_learning_rate)
    training.decaying()
    optimizer, weight, told = keras.optimizers.SGD(0.5), keras.Variable(0.0), [0.0]
    object.__setattr__(optimizer, "grader_decay", 1.0)
    for _ in range(3):
        optimizer.apply([tf.constant(-1.0)], [weight])
        told.append(float(weight))
    assert np.allclose(np.diff(told), [0.5, 0.25, 0.5 / 3])
