"""The trusted trainer computes what Keras's own `fit` computes, step for step."""

from __future__ import annotations

import math
from typing import Any, get_args

import keras
import numpy as np
import pytest
from keras import layers as kl

from grader import records as r
from grader.data import datasets
from grader.train.epochs import Trainer
from grader.train.keras import build
from grader.train.keras import learner as keras_learner
from grader.train.keras.learner import Learner

STEPS = 6
BATCH = 32


def _network() -> r.ModelDescription:
    """A small relative of submission 3: convolutions, BatchNormalization, pooling, no dropout."""
    layers: list[r.Layer] = [
        r.InputLayer(name="in", shape=(28, 28, 1)),
        r.Conv2D(name="a", inbound=("in",), filters=6, kernel_size=(3, 3), activation="relu"),
        r.BatchNormalization(name="b", inbound=("a",)),
        r.MaxPooling2D(name="c", inbound=("b",)),
        r.Conv2D(name="d", inbound=("c",), filters=8, kernel_size=(3, 3), strides=(2, 2), activation="relu",
                 kernel_regularizer=r.L1L2(l2=1e-3)),
        r.BatchNormalization(name="e", inbound=("d",)),
        r.Conv2D(name="f", inbound=("e",), filters=10, kernel_size=(6, 6)),
        r.Flatten(name="g", inbound=("f",)),
        r.ActivationLayer(name="h", inbound=("g",), activation="softmax"),
    ]  # fmt: skip
    return r.ModelDescription(inputs=("in",), layers=tuple(layers), outputs=("h",))


def _by_hand() -> keras.Model:
    """The same network, written as a student would."""
    return keras.Sequential([
        keras.Input((28, 28, 1)),
        kl.Conv2D(6, 3, activation="relu"),
        kl.BatchNormalization(),
        kl.MaxPooling2D(),
        kl.Conv2D(8, 3, strides=2, activation="relu", kernel_regularizer=keras.regularizers.L2(1e-3)),
        kl.BatchNormalization(),
        kl.Conv2D(10, 6),
        kl.Flatten(),
        kl.Activation("softmax"),
    ])  # fmt: skip


def _arrays(images: int) -> dict[str, Any]:
    data = datasets.load(datasets.MNIST)
    return {
        "x_train": data.x_train[:images],
        "y_train": data.y_train[:images],
        "x_test": data.x_test[:100],
        "y_test": data.y_test[:100],
    }


class _Losses(keras.callbacks.Callback):
    """Keras's running mean of the loss after every step."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[float] = []
        self.weights: list[Any] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.seen.append(float(logs["loss"]))
        self.weights.append(self.model.get_weights())


OPTIMIZERS: list[tuple[r.Optimizer, float, Any]] = [
    (r.SGD(), 0.01, lambda: keras.optimizers.SGD(0.01)),
    (r.SGD(momentum=0.9, nesterov=True), 0.05, lambda: keras.optimizers.SGD(0.05, 0.9, nesterov=True)),
    (r.Adam(), 0.003, lambda: keras.optimizers.Adam(0.003)),
    (r.Adam(weight_decay=0.01), 0.003, lambda: keras.optimizers.AdamW(0.003, weight_decay=0.01)),
    (r.Adamax(), 0.002, lambda: keras.optimizers.Adamax(0.002)),
    (r.Nadam(), 0.002, lambda: keras.optimizers.Nadam(0.002)),
    (r.RMSprop(), 0.001, lambda: keras.optimizers.RMSprop(0.001)),
    (r.Adagrad(), 0.01, lambda: keras.optimizers.Adagrad(0.01)),
    (r.Adadelta(), 1.0, lambda: keras.optimizers.Adadelta(1.0)),
    (r.Adam(clipnorm=0.5), 0.003, lambda: keras.optimizers.Adam(0.003, clipnorm=0.5)),
]


@pytest.mark.parametrize(("optimizer", "rate", "plain"), OPTIMIZERS, ids=lambda v: getattr(v, "type", ""))
def test_every_step_is_keras_fit(optimizer: r.Optimizer, rate: float, plain: Any) -> None:
    """From the same weights and batch order, losses and weights agree after each single step."""
    arrays = _arrays(STEPS * BATCH - 8)  # the last batch is a partial one
    recipe = r.TrainingRecipe(
        optimizer=optimizer, learning_rates=(rate,), epochs=1, batch_size=BATCH, shuffle=False
    )
    job = r.TrainJob(network=_network(), training=(recipe,), dataset=datasets.MNIST, seed=1, max_epochs=1)
    events: list[Any] = []
    learner = Learner(job, arrays)
    ours, theirs = _Losses(), _Losses()
    model = _by_hand()
    model.set_weights(learner.get_weights(0))
    _watch(learner, ours)
    Trainer(job, arrays, events.append, learner).run()
    model.compile(plain(), "categorical_crossentropy", metrics=["accuracy"], jit_compile=False)
    x = arrays["x_train"].astype(np.float32) / np.float32(255)
    y = keras.utils.to_categorical(arrays["y_train"], 10)
    model.fit(x, y, batch_size=BATCH, epochs=1, shuffle=False, verbose=0, callbacks=[theirs])
    assert len(ours.seen) == len(theirs.seen) == STEPS
    np.testing.assert_allclose(ours.seen, theirs.seen, rtol=2e-5)
    for mine, others in zip(ours.weights, theirs.weights, strict=True):
        for a, b in zip(mine, others, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-5)
    epoch = next(e for e in events if isinstance(e, r.EpochResult))
    assert epoch.train_loss == pytest.approx(theirs.seen[-1], rel=1e-5)
    predicted = model.predict(arrays["x_test"] / np.float32(255), verbose=0).argmax(axis=1)
    assert abs(epoch.correct - int((predicted == arrays["y_test"]).sum())) <= 1


def _watch(learner: Learner, callback: Any) -> None:
    """Have the learner's model fit with one more callback beside its own."""
    fit = learner.model.fit

    def watched(*args: Any, callbacks: Any, **kwargs: Any) -> Any:
        return fit(*args, callbacks=[*callbacks, callback], **kwargs)

    learner.model.fit = watched


def test_keras_2_nadam_is_nadam_when_the_schedule_is() -> None:
    """Our Nadam with Keras 3's momentum schedule takes Keras 3's steps, and another one differs."""
    start = [np.array([1.0, -2.0, 0.5], np.float32)]
    gradients = [np.array([0.1, -0.3, 0.2], np.float32) * (n + 1) for n in range(5)]

    def walk(optimizer: Any) -> Any:
        variable = keras.Variable(start[0])
        optimizer.build([variable])
        for gradient in gradients:
            optimizer.apply_gradients([(keras.ops.convert_to_tensor(gradient), variable)])
        return np.asarray(variable)

    theirs = walk(keras.optimizers.Nadam(0.01))
    np.testing.assert_allclose(walk(build.Keras2Nadam(schedule_decay=1.0, learning_rate=0.01)), theirs, 1e-5)
    old = walk(build.Keras2Nadam(schedule_decay=0.004, learning_rate=0.01))
    np.testing.assert_allclose(old, _keras_2_nadam(start[0], gradients, 0.01), rtol=1e-5)
    assert np.abs(old - theirs).max() > 1e-4


def _keras_2_nadam(value: Any, gradients: list[Any], rate: float) -> Any:
    """Nadam as Keras 2.2's documentation gives it (Dozat, 2016), in float64."""
    m = v = np.zeros_like(value, np.float64)
    value, product = value.astype(np.float64), 1.0
    for t, g in enumerate(gradients, 1):
        now, following = (0.9 * (1 - 0.5 * 0.96 ** (0.004 * n)) for n in (t, t + 1))
        product *= now
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g**2
        step = (1 - now) * g / (1 - product) + following * m / (1 - product * following)
        value = value - rate * step / (np.sqrt(v / (1 - 0.999**t)) + 1e-7)
    return value


def _run(job: r.TrainJob, images: int = 300) -> tuple[list[r.EpochResult], str, Any]:
    """The epochs, how they ended, and the model."""
    arrays = _arrays(images)
    learner = Learner(job, arrays)
    (run,) = Trainer(job, arrays, lambda event: None, learner).run()
    return run.epochs, run.ended, learner.model


def _job(**changes: Any) -> r.TrainJob:
    recipe = {
        "optimizer": r.Adam(),
        "learning_rates": (0.003,),
        "epochs": 3,
        "batch_size": BATCH,
    } | changes.pop("recipe", {})
    fields = {"training": (r.TrainingRecipe(**recipe),), "seed": 5, "max_epochs": 20} | changes
    return r.TrainJob(network=_network(), dataset=datasets.MNIST, **fields)


def test_the_same_seed_gives_the_same_run() -> None:
    """A verdict can be reproduced: two runs agree in every count and loss, another seed does not."""
    first, _, _ = _run(_job())
    second, _, _ = _run(_job())
    other, _, _ = _run(_job(seed=6))

    def numbers(epochs: list[r.EpochResult]) -> list[tuple[Any, ...]]:
        return [(e.correct, e.train_loss, e.validation_loss) for e in epochs]

    assert numbers(first) == numbers(second)
    assert numbers(first) != numbers(other)


def test_several_steps_at_once_are_the_same_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU: ten steps in fives, the last one of a smaller batch; losses to rounding."""
    recipe = {"learning_rates": (0.003, 0.001, 0.0003)}
    one, _, _ = _run(_job(recipe=recipe))
    monkeypatch.setattr("grader.train.keras.learner._steps_at_once", lambda job, images: 5)
    five, _, model = _run(_job(recipe=recipe))
    assert model.steps_per_execution == 5
    assert [e.train_loss for e in five] == pytest.approx([e.train_loss for e in one], rel=1e-4)
    assert [e.learning_rate for e in five] == [e.learning_rate for e in one]
    assert int(model.optimizer.iterations) == 30


def test_steps_at_once_are_parts_of_every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a GPU a divisor of the steps of all fits; one where rates change from step to step."""
    monkeypatch.setattr("grader.train.keras.learner._has_gpu", lambda: True)
    by_step = {"rates_per": "step"}
    assert keras_learner._steps_at_once(_job(), 60_000) == 25  # of 1,875
    assert keras_learner._steps_at_once(_job(recipe={"rows": ((0, 400),)}), 60_000) == 13
    assert keras_learner._steps_at_once(_job(recipe=by_step), 60_000) == 1
    fits = (*_job().training, *_job(recipe={"steps_per_epoch": 40}).training)
    assert keras_learner._steps_at_once(_job(training=fits), 60_000) == 5
    assert keras_learner._steps_at_once(_job(training=(*fits, *_job(recipe=by_step).training)), 60_000) == 1


def test_the_last_partial_batch_is_trained() -> None:
    """300 images in batches of 32 are ten steps, not nine."""
    _, _, model = _run(_job(recipe={"epochs": 2}))
    assert int(model.optimizer.iterations) == 2 * math.ceil(300 / BATCH)


def test_epochs_are_cut_at_the_limit() -> None:
    """A longer recipe ends after the rubric's epochs."""
    epochs, ended, _ = _run(_job(recipe={"epochs": 9}, max_epochs=2))
    assert [e.epoch for e in epochs] == [1, 2]
    assert ended == "finished"


def test_rates_are_set_for_each_epoch() -> None:
    """The sampled learning rates are the optimizer's, epoch by epoch."""
    epochs, _, _ = _run(_job(recipe={"learning_rates": (0.003, 0.001, 0.0005)}))
    assert [e.learning_rate for e in epochs] == pytest.approx([0.003, 0.001, 0.0005])


def test_rates_are_set_for_each_step() -> None:
    """Rates within an epoch are followed: the epoch ends with the rate of its last step."""
    steps = math.ceil(300 / BATCH)
    rates = tuple(0.003 / (1 + n) for n in range(3 * steps))
    epochs, _, _ = _run(_job(recipe={"learning_rates": rates, "rates_per": "step"}))
    assert [e.learning_rate for e in epochs] == pytest.approx([rates[(n + 1) * steps - 1] for n in range(3)])


def test_a_loss_that_is_no_number_ends_the_run() -> None:
    """A learning rate of 10^30 diverges; the run says so and stops within the epoch."""
    epochs, ended, _ = _run(_job(recipe={"optimizer": r.SGD(), "learning_rates": (1e30,)}))
    assert ended == "diverged"
    assert len(epochs) == 1
    assert epochs[0].train_loss is None


def test_a_run_stops_at_the_threshold() -> None:
    """As soon as enough images are correct, nothing more is trained."""
    epochs, ended, _ = _run(_job(stop_at=1))
    assert ended == "threshold_reached"
    assert len(epochs) == 1


def test_early_stopping_is_the_students_own() -> None:
    """EarlyStopping without patience, asking for the impossible, ends as soon as Keras lets it."""
    stop = r.EarlyStopping(monitor="val_accuracy", min_delta=1.0, patience=0)
    epochs, ended, _ = _run(_job(recipe={"callbacks": (stop,)}))
    assert ended == "early_stopping"
    assert len(epochs) == 2  # Keras never stops after the first


def test_reduce_on_plateau_lowers_the_rate() -> None:
    """ReduceLROnPlateau keeps its say although the recipe names a rate."""
    plateau = r.ReduceLROnPlateau(monitor="val_accuracy", factor=0.5, patience=1, min_delta=1.0)
    epochs, _, _ = _run(_job(recipe={"callbacks": (plateau,), "epochs": 4}))
    assert epochs[-1].learning_rate < epochs[0].learning_rate


def test_a_second_fit_continues_or_starts_its_optimizer_anew() -> None:
    """Two fits add up; without a new compile, the optimizer counts on."""
    first = _job().training[0]
    going_on = first.model_copy(update={"continues": True})
    epochs, _, model = _run(_job(training=(first, going_on)))
    assert [e.epoch for e in epochs] == [1, 2, 3, 4, 5, 6]
    assert int(model.optimizer.iterations) == 6 * math.ceil(300 / BATCH)
    _, _, anew = _run(_job(training=(first, first)))
    assert int(anew.optimizer.iterations) == 3 * math.ceil(300 / BATCH)


@pytest.mark.parametrize("name", ["sparse_categorical_crossentropy", "binary_crossentropy"])
def test_other_losses_train_on_labels_of_their_form(name: Any) -> None:
    """Sparse losses get class numbers, others one-hot rows; accuracy is categorical under each."""
    epochs, _, _ = _run(_job(recipe={"loss": r.Loss(name=name), "epochs": 1}))
    assert epochs[0].train_loss is not None
    assert epochs[0].train_accuracy is not None
    assert epochs[0].train_accuracy < 0.9  # counting single outputs, the binary one would exceed it


def test_every_loss_is_built() -> None:
    """Each loss of the vocabulary is the one of Keras's that has its name."""
    for name in get_args(r.Loss.model_fields["name"].annotation):
        built = build.loss(r.Loss(name=name))
        assert isinstance(built, keras.losses.Loss)
        assert built.name == name


def test_dropout_acts_in_training_only() -> None:
    """A Dropout of 0.9 worsens training accuracy, not the evaluation of the same weights."""
    network = _network()
    dropped = r.Dropout(name="drop", inbound=("e",), rate=0.9)
    after = network.layers[6].model_copy(update={"inbound": ("drop",)})
    layers = (*network.layers[:6], dropped, after, *network.layers[7:])
    job = _job().model_copy(update={"network": network.model_copy(update={"layers": layers})})
    _, _, model = _run(job)
    x = _arrays(300)["x_test"].astype(np.float32) / np.float32(255)
    first, second = (model(x, training=False).numpy() for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert np.abs(model(x, training=True).numpy() - first).max() > 0.01
