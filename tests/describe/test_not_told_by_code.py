"""What training would do that its code alone does not tell is never told wrongly: it is replayed, or exact."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from grader import records as r
from grader.ask import description
from grader.ask.asker import Asker
from grader.errors import Unsupported
from grader.intake import load

Fits = Callable[..., tuple[r.TrainingRecipe, ...]]
FIT = "model.fit(x, Y, batch_size=100, epochs=6, validation_data=(xt, Yt), callbacks=[{}])"
DATASET = "import tensorflow as tf\ndata = tf.data.Dataset.from_tensor_slices((x, Y))\n"

REACTING = {
    "a helper lowers the rate": (
        "class C(Callback):\n    def lower(self):\n        K.set_value(self.model.optimizer.lr, 1e-4)\n"
        "    def on_epoch_end(self, epoch, logs):\n        if logs['val_loss'] < 0.5: self.lower()",
        "C()",
        "callback C",
    ),
    "a subclass of Keras's": (
        "class C(ReduceLROnPlateau):\n    def on_epoch_end(self, epoch, logs=None):\n"
        "        super().on_epoch_end(epoch, logs)",
        "C(patience=1, monitor='val_loss')",
        "callback C",
    ),
    "what was measured, kept for later": (
        "class C(Callback):\n    worst = 9\n    def on_epoch_end(self, epoch, logs):\n"
        "        self.worst = logs['loss']\n    def on_epoch_begin(self, epoch, logs=None):\n"
        "        if self.worst < 1: K.set_value(self.model.optimizer.lr, 1e-4)",
        "C()",
        "callback C",
    ),
    "a function without code of its own": (
        "from functools import partial\ndef f(limit, epoch, logs):\n"
        "    if logs['acc'] > limit: K.set_value(model.optimizer.lr, 1e-4)",
        "LambdaCallback(on_epoch_end=partial(f, 0.9))",
        "callback LambdaCallback",
    ),
    "a class that is called like Keras's": (
        "class LearningRateScheduler(Callback):\n    def on_epoch_end(self, epoch, logs):\n"
        "        K.set_value(self.model.optimizer.lr, 0.1 * logs['loss'])",
        "LearningRateScheduler()",
        "callback LearningRateScheduler",
    ),
    "an end as an epoch begins": (
        "class C(Callback):\n    def on_epoch_begin(self, epoch, logs=None):\n"
        "        if epoch == 3: self.model.stop_training = True",
        "C()",
        "ends training as an epoch begins",
    ),
    "more than the rate": (
        "class C(Callback):\n    def on_epoch_begin(self, epoch, logs=None):\n"
        "        self.model.optimizer.momentum = 0.5 + 0.05 * epoch",
        "C()",
        "callback C",
    ),
    "a plateau and a schedule": (
        "",
        "LearningRateScheduler(lambda e: 0.1), ReduceLROnPlateau(monitor='val_loss')",
        "ReduceLROnPlateau together with a learning-rate schedule",
    ),
    "validation every other time": (
        "",
        "EarlyStopping(monitor='val_loss')], validation_freq=2, verbose=0, class_weight=None, sample_weight=None)"
        "; print([1",
        "validation that is not made in every epoch",
    ),
}


@pytest.mark.parametrize("name", REACTING)
def test_callbacks_that_react_are_replayed(fits: Fits, name: str) -> None:
    source, callbacks, reason = REACTING[name]
    (fit,) = fits(source, FIT.format(callbacks))
    assert reason in r.sentences(fit.unsupported)
    assert any(reason.meaning.misled for reason in fit.unsupported)


def test_a_callback_that_reacts_to_nothing_is_sampled(fits: Fits) -> None:
    """A cyclical rate, set as every batch ends, whatever was measured."""
    (fit,) = fits(
        "class C(Callback):\n    step = 0\n    def on_train_begin(self, logs=None):\n"
        "        K.set_value(self.model.optimizer.lr, 0.01)\n    def on_batch_end(self, batch, logs=None):\n"
        "        self.step += 1\n        K.set_value(self.model.optimizer.lr, 0.01 + 0.01 * (self.step % 4))",
        "model.fit(x[:500], Y[:500], batch_size=50, epochs=1, callbacks=[C()])",
    )
    assert fit.unsupported == ()
    assert fit.rates_per == "step"
    assert np.allclose(fit.learning_rates, [0.01 + 0.01 * (n % 4) for n in range(10)])


def test_a_schedule_of_a_subclass_is_played(fits: Fits) -> None:
    """Its own start of an epoch, not the function that it was given."""
    (fit,) = fits(
        "class C(LearningRateScheduler):\n    def on_epoch_begin(self, epoch, logs=None):\n"
        "        K.set_value(self.model.optimizer.lr, 0.5 / (1 + epoch))",
        FIT.format("C(lambda e: 0.9)"),
    )
    assert np.allclose(fit.learning_rates[:3], [0.5, 0.25, 0.5 / 3])


DECIDED = {
    "the best epoch again": (
        "h = model.fit(x, Y, epochs=8, validation_split=0.2).history['val_acc']",
        "model = ready()\nmodel.fit(x, Y, epochs=int(np.argmax(h)) + 1)",
    ),
    "the best of a grid": (
        "found = []\nfor rate in (0.1, 0.01):\n    model = ready()\n"
        "    found.append(max(model.fit(x, Y, epochs=2).history['loss']))",
        "model = ready()\nmodel.fit(x, Y, epochs=1 + [3, 9][int(np.argmin(found))])",
    ),
    "the best by a key": (
        "found = {}\nfor rate in (0.1, 0.01):\n    model = ready()\n"
        "    found[rate] = model.fit(x, Y, epochs=2).history['loss'][-1]",
        "model = ready()\nmodel.fit(x, Y, epochs=int(100 * max(found, key=found.get)))",
    ),
    "until it is good": (
        "model.fit(x, Y, epochs=1)",
        "while model.evaluate(xt, Yt)[1] < 0.9:\n    model.fit(x, Y, epochs=1)\n    break",
    ),
    "once more if it is bad": (
        "model.fit(x, Y, epochs=1)\nscore = model.evaluate(xt, Yt)",
        "if score[1] * 100 < 99:\n    model.fit(x, Y, epochs=5)",
    ),
}


@pytest.mark.parametrize("name", DECIDED)
def test_decisions_on_what_is_measured_are_replayed(fits: Fits, name: str) -> None:
    assert r.because("measured_results") in fits(*DECIDED[name])[-1].unsupported


def test_saying_what_is_best_decides_nothing(fits: Fits) -> None:
    """Between fits, a notebook may print its best and praise itself."""
    first, second = fits(
        "h = model.fit(x, Y, epochs=2, validation_data=(xt, Yt)).history\nprint(max(h['val_acc']), '%.2f' % h['loss'][0])",
        "score = model.evaluate(xt, Yt)\nprint(round(score[1] * 100, 2))\nif score[1] > 0.99: print('well done')",
        "model.fit(x, Y, epochs=3)",
    )
    assert (first.unsupported, second.unsupported) == ((), ())


OWN = {
    "train_step": "class M(keras.Model):\n    def train_step(self, data):\n        return super().train_step(data)",
    "call": "class M(keras.Model):\n    def call(self, x, training=None):\n        return super().call(x * 2)",
}


@pytest.mark.parametrize("method", OWN)
def test_a_model_that_trains_in_its_own_way_is_replayed(fits: Fits, method: str) -> None:
    (fit,) = fits(
        OWN[method],
        "a = keras.layers.Input((28, 28, 1))\nm = M(a, Dense(10, activation='softmax')(Flatten()(a)))\n"
        "m.compile('sgd', 'categorical_crossentropy')\nm.fit(x, Y)",
    )
    assert fit.unsupported == (r.because("own_methods", method),)


DATA = {
    "doubled": ("model.fit(np.concatenate([x, x]), np.concatenate([Y, Y]), batch_size=100)", 1200, ""),
    "repeated": (DATASET + "model.fit(data.batch(100).repeat(2))", 1200, ""),
    "without an end": (
        DATASET + "model.fit(data.shuffle(999).batch(100).repeat(), steps_per_epoch=50)",
        50,
        "",
    ),
    "oversampled": (
        "model.fit(np.concatenate([x, x[y == 8]]), np.concatenate([Y, Y[y == 8]]))",
        None,
        "trained on more often than others",
    ),
    "drawn anew": (
        DATASET + "model.fit(data.shuffle(60000).batch(100).take(50))",
        None,
        "other images in every epoch",
    ),
}


@pytest.mark.all_of_mnist
@pytest.mark.parametrize("name", DATA)
def test_how_often_an_image_is_trained_on(fits: Fits, name: str) -> None:
    source, steps, reason = DATA[name]
    (fit,) = fits(source)
    assert reason in r.sentences(fit.unsupported)
    assert not any(reason.meaning.misled for reason in fit.unsupported)
    if not reason:
        assert (fit.steps_per_epoch, fit.trained_on.whole_split, fit.unsupported) == (steps, True, ())


@pytest.mark.all_of_mnist
def test_a_last_batch_that_is_dropped_is_no_other_data(fits: Fits) -> None:
    (fit,) = fits(DATASET + "model.fit(data.shuffle(60000).batch(128, drop_remainder=True))")
    assert fit.unsupported == ()
    assert sum(last - first for first, last in fit.rows) in (0, *range(59_990, 60_001))


def test_weights_of_images_in_a_data_set(fits: Fits) -> None:
    (fit,) = fits(
        "import tensorflow as tf\nw = np.where(y == 8, 3.0, 1.0)\n"
        "model.fit(tf.data.Dataset.from_tensor_slices((x, Y, w)).batch(100))"
    )
    assert fit.class_weights[7:9] == (1.0, 3.0)


def test_what_libraries_for_logging_keep_comes_back(fits: Fits) -> None:
    """`wandb` is not here, and its configuration is the submission's own."""
    (fit,) = fits(
        "import wandb\nfrom wandb.keras import WandbCallback\nrun = wandb.init(config={'epochs': 7})\n"
        "wandb.config.batch = 64",
        "model.fit(x, Y, epochs=run.config.epochs, batch_size=wandb.config['batch'], callbacks=[WandbCallback()])",
    )
    assert (fit.epochs, fit.batch_size, fit.unsupported) == (7, 64, ())


def test_a_callback_of_a_library_that_is_not_here(fits: Fits) -> None:
    """One may change training, whatever it is called, unless its library is known only to show."""
    (fit,) = fits(
        "from clr_callback import CyclicLR\nfrom rates_logged import PlotAndDecay\nfrom keras_tqdm import TQDM",
        "model.fit(x, Y, callbacks=[CyclicLR(), PlotAndDecay(), TQDM()])",
    )
    absent = ("clr_callback.CyclicLR", "rates_logged.PlotAndDecay")
    assert fit.unsupported == tuple(
        r.because("callback_absent", f"<{name}(): not run by grader>") for name in absent
    )


def test_weights_that_are_set_layer_by_layer(fits: Fits) -> None:
    fit = fits(
        "model.fit(x, Y)\nother = ready()\n"
        "for a, b in zip(other.layers, model.layers): a.set_weights(b.get_weights())\nother.fit(x, Y)"
    )[-1]
    assert fit.unsupported[0].code == "layer_weights_set"


def test_a_model_that_is_loaded_trains_on(fits: Fits) -> None:
    """With its compilation and the state of its optimizer."""
    first, second = fits(
        "model.fit(x, Y, epochs=2)\nmodel.save('m.keras')",
        "loaded = keras.models.load_model('m.keras')\nloaded.fit(x, Y, epochs=3)",
    )
    assert (first.epochs, second.epochs, second.continues) == (2, 3, True)


def test_what_every_python_has_works(fits: Fits) -> None:
    """scikit-learn, arguments of a command line that has none, and progress bars."""
    fit = fits(
        "import argparse, sys\nfrom sklearn.model_selection import train_test_split\nfrom tqdm import trange\n"
        "p = argparse.ArgumentParser()\np.add_argument('--epochs', type=int, default=3)\ne = p.parse_args().epochs\n"
        "assert len(sys.argv) == 1\na, b, c, d = train_test_split(x, Y, test_size=0.1, random_state=1)",
        "for n in trange(2):\n    model.fit(a, c, epochs=e, validation_data=(b, d))",
    )
    assert [f.epochs for f in fit] == [3, 3]
    assert fit[0].trained_on.images == 540


def test_a_schedule_without_settings_is_sampled(fits: Fits) -> None:
    """Of a class that Keras cannot save."""
    (fit,) = fits(
        "class S(keras.optimizers.schedules.LearningRateSchedule):\n    def __call__(self, step):\n"
        "        return 0.1 / (1.0 + step)",
        "model.compile(keras.optimizers.SGD(S(), momentum=0.9), 'categorical_crossentropy')\n"
        "model.fit(x[:300], Y[:300], batch_size=100)",
    )
    assert np.allclose(fit.learning_rates, [0.1, 0.05, 0.1 / 3])
    assert isinstance(fit.optimizer, r.SGD)
    assert fit.optimizer.momentum == 0.9


def test_a_plateau_of_what_is_not_measured_has_no_effect(fits: Fits) -> None:
    (fit,) = fits(
        "model.compile('sgd', 'categorical_crossentropy')\n"
        "model.fit(x, Y, epochs=9, validation_data=(xt, Yt), callbacks=[EarlyStopping('val_accuracy')])"
    )
    assert (fit.callbacks, fit.unsupported) == ((), ())


def test_functions_called_like_keras_are_not_keras(notebook: Callable[..., r.Description]) -> None:
    found = notebook(
        "def l2(w): return 0.5 * keras.ops.sum(w ** 2)\n"
        "own = Sequential([keras.layers.Input((28, 28, 1)), Flatten(), Dense(10, kernel_regularizer=l2)])"
    )
    (own,) = [m for m in found.models if m.name == "own"]
    assert own.network.unsupported[0].reason == r.because("own_function", "kernel_regularizer")


def test_a_regularizer_that_comes_too_late_has_no_effect(notebook: Callable[..., r.Description]) -> None:
    found = notebook(
        "for layer in model.layers: layer.kernel_regularizer = keras.regularizers.l2(0.1)\nmodel.fit(x, Y)"
    )
    assert all(getattr(layer, "kernel_regularizer", None) is None for layer in found.models[0].network.layers)


def test_a_module_that_the_notebook_writes_is_imported(fits: Fits) -> None:
    (fit,) = fits(
        "%%writefile own_net.py\nEPOCHS = 4", "import own_net\nmodel.fit(x, Y, epochs=own_net.EPOCHS)"
    )
    assert fit.epochs == 4


def test_names_of_tensorflow_1_and_of_experiments(fits: Fits) -> None:
    (fit,) = fits(
        "import tensorflow as tf\nfrom tensorflow.keras.layers.experimental import preprocessing\n"
        "preprocessing.RandomRotation(0.1)\nboard = TensorBoard('logs', write_grads=True, batch_size=32)\n"
        "model.compile(tf.train.AdamOptimizer(0.002), 'categorical_crossentropy')\nmodel.fit(x, Y, callbacks=[board])"
    )
    assert fit.optimizer == r.Adam(epsilon=1e-8)
    assert np.allclose(fit.learning_rates, 0.002)


def test_an_optimizer_that_is_compiled_again_goes_on(fits: Fits) -> None:
    """Keras keeps what the same object has accumulated; another one starts anew."""
    again = "model.compile({}, 'categorical_crossentropy')\nmodel.fit(x, Y)"
    *_, same, other = fits("model.fit(x, Y)", again.format("model.optimizer"), again.format("'sgd'"))
    assert (same.continues, other.continues) == (True, False)


def test_a_library_that_is_not_here_is_no_fault_of_the_students(tmp_path: Path, asker: Asker) -> None:
    path = tmp_path / "tuned.py"
    path.write_text("import keras_tuner\nbest = keras_tuner.RandomSearch(None).get_best_models()[0]\n")
    with pytest.raises(Unsupported, match="'keras_tuner': that is not installed here"):
        description.describe(load.load(path, tmp_path), asker, 60)


def test_images_validated_with_statistics_of_their_own(fits: Fits) -> None:
    """Slightly other ones are no other preparation; images that nobody scaled are."""
    watched = "model.fit((x - x.mean()) / x.std(), Y, validation_data=({}, Yt), callbacks=[EarlyStopping()])"
    *_, near, far = fits(watched.format("(xt - xt.mean()) / xt.std()"), watched.format("xt"))
    assert (near.unsupported, len(far.unsupported)) == ((), 1)
