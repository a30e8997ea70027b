"""Parts, weights, augmentation, phases and kept weights: the trusted trained against Keras itself."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Any

import keras
import numpy as np
import pytest

from grader import records as r
from grader.data import datasets
from grader.train import rows
from grader.train.epochs import Trainer
from grader.train.keras import feeding
from grader.train.keras.learner import Learner


def _network() -> r.ModelDescription:
    layers: list[r.Layer] = [
        r.InputLayer(name="in", shape=(28, 28, 1)),
        r.Conv2D(name="a", inbound=("in",), filters=4, kernel_size=(5, 5), strides=(3, 3), activation="relu"),
        r.Flatten(name="b", inbound=("a",)),
        r.Dense(name="c", inbound=("b",), units=10, activation="softmax"),
    ]
    return r.ModelDescription(inputs=("in",), layers=tuple(layers), outputs=("c",))


@pytest.fixture(scope="module")
def arrays() -> dict[str, Any]:
    data = datasets.load(datasets.MNIST)
    return {
        "x_train": data.x_train[:300], "y_train": data.y_train[:300],
        "x_test": data.x_test[:100], "y_test": data.y_test[:100],
    }  # fmt: skip


def _fit(**changes: Any) -> r.TrainingRecipe:
    given = {"optimizer": r.SGD(), "learning_rates": (0.1,), "epochs": 1, "batch_size": 50, "shuffle": False}
    return r.TrainingRecipe(**(given | changes))


@dataclass
class Trained:
    """A model, the weights that it began with, and the epoch whose weights it has if not the last one's."""

    model: Any
    start: list[Any]
    kept: int | None


def _train(arrays: dict[str, Any], *fits: r.TrainingRecipe, seed: int = 1) -> tuple[Trained, list[Any]]:
    job = r.TrainJob(network=_network(), training=fits, dataset=datasets.MNIST, seed=seed, max_epochs=20)
    learner = Learner(job, arrays)
    start = learner.get_weights(0)
    (run,) = Trainer(job, arrays, lambda event: None, learner).run()
    return Trained(learner.model, start, run.kept), run.epochs


def _keras(trained: Trained, x: Any, y: Any, **arguments: Any) -> list[Any]:
    """The weights that Keras's own `fit` comes to from the same start."""
    model = keras.models.clone_model(trained.model)
    model.set_weights(trained.start)
    model.compile(keras.optimizers.SGD(0.1), "categorical_crossentropy", jit_compile=False)
    model.fit(x, y, batch_size=50, shuffle=False, verbose=0, **arguments)
    return list(model.get_weights())


def _same(mine: list[Any], theirs: list[Any]) -> None:
    for a, b in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-6)


def _plain(arrays: dict[str, Any]) -> tuple[Any, Any]:
    return arrays["x_train"] / np.float32(255), keras.utils.to_categorical(arrays["y_train"], 10)


def test_class_weights_are_those_of_keras(arrays: dict[str, Any]) -> None:
    """As `fit(class_weight=…)`."""
    weights = tuple(0.5 + 0.25 * c for c in range(10))
    trained, _ = _train(arrays, _fit(class_weights=weights))
    x, y = _plain(arrays)
    _same(trained.model.get_weights(), _keras(trained, x, y, class_weight=dict(enumerate(weights))))


def test_sample_weights_and_rows(arrays: dict[str, Any]) -> None:
    """Weights belong to the chosen rows, in their order."""
    rows = ((10, 60), (200, 250))
    weights = np.linspace(0, 2, 100).astype(np.float32)
    trained, _ = _train(arrays, _fit(rows=rows, sample_weights=tuple(map(float, weights))))
    x, y = _plain(arrays)
    part = np.r_[10:60, 200:250]
    _same(trained.model.get_weights(), _keras(trained, x[part], y[part], sample_weight=weights))


def test_an_epoch_of_given_steps_goes_on_where_the_last_one_ended(arrays: dict[str, Any]) -> None:
    """Four batches an epoch of six: three epochs are two passes."""
    trained, epochs = _train(arrays, _fit(steps_per_epoch=4, epochs=3))
    assert len(epochs) == 3
    x, y = _plain(arrays)
    _same(trained.model.get_weights(), _keras(trained, x, y, epochs=2))


def test_rows_beyond_the_split_are_refused(arrays: dict[str, Any]) -> None:
    """A forged recipe reaches no other image."""
    with pytest.raises(ValueError, match="beyond the 300 images"):
        _train(arrays, _fit(rows=((250, 301),)))


def test_augmentation_changes_images_and_is_reproducible(arrays: dict[str, Any]) -> None:
    """Keras's ImageDataGenerator, drawn from the seed; two fits in a row as well."""
    change = r.Augmentation(rotation_range=15, width_shift_range=2, zoom_range=(0.9, 1.1))
    fits = (_fit(augmentation=change, shuffle=True), _fit(augmentation=change, continues=True))
    first, _ = _train(arrays, *fits)
    second, _ = _train(arrays, *fits)
    other, _ = _train(arrays, *fits, seed=2)
    for a, b in zip(first.model.get_weights(), second.model.get_weights(), strict=True):
        assert np.array_equal(a, b)
    assert not np.array_equal(first.model.get_weights()[0], other.model.get_weights()[0])


def test_augmented_batches_hold_every_image_once(arrays: dict[str, Any]) -> None:
    """Labels stay with their images, and only the images change."""
    change = r.Augmentation(horizontal_flip=True)
    feed = feeding.Feed(_fit(augmentation=change), arrays, (28, 28, 1), 10)
    order = rows.batches(300, 50, True, rows.shuffling(1, 0))
    pass_over = list(feed.epoch(list(islice(order, 6))).as_numpy_iterator())
    images = np.concatenate([b[0] for b in pass_over])
    labels = np.concatenate([b[1] for b in pass_over])
    raw = feeding.inputs(arrays["x_train"], _fit(), (28, 28, 1))
    known = {image.tobytes(): label for image, label in zip(raw, feed.images.targets, strict=True)}
    known |= {image[:, ::-1].tobytes(): label for image, label in zip(raw, feed.images.targets, strict=True)}
    assert all(np.array_equal(known[i.tobytes()], label) for i, label in zip(images, labels, strict=True))
    flipped = sum(i.tobytes() not in {x.tobytes() for x in raw} for i in images)
    assert 100 < flipped < 200


def test_frozen_layers_keep_their_weights(arrays: dict[str, Any]) -> None:
    """In the phase that names them, and in no other."""
    trained, _ = _train(arrays, _fit(frozen=("a",)))
    kernel = trained.model.get_weights()[0]
    assert np.array_equal(kernel, trained.start[0])
    trained, _ = _train(arrays, _fit(frozen=("a",)), _fit(frozen=()))
    assert not np.array_equal(trained.model.get_weights()[0], trained.start[0])


def test_the_best_weights_come_back(arrays: dict[str, Any]) -> None:
    """With a rate that only does harm, those of the first epoch; the run says so."""
    worse = (0.1, 50.0, 50.0)
    kept = r.Kept(monitor="val_loss", mode="min")
    trained, epochs = _train(arrays, _fit(epochs=3, learning_rates=worse, keeps=kept))
    assert trained.kept == 1
    only, _ = _train(arrays, _fit())
    _same(trained.model.get_weights(), only.model.get_weights())
    named, _ = _train(arrays, _fit(epochs=3, learning_rates=worse, keeps=r.Kept(epoch=2)))
    assert named.kept == 2
    assert len(epochs) == 3


def test_callbacks_see_the_held_out_images(arrays: dict[str, Any]) -> None:
    """The verdict counts the test split; `val_` quantities are of what the submission held out."""
    stop = r.StopAt(monitor="val_accuracy", value=0.0, side="above")
    _, epochs = _train(arrays, _fit(epochs=5, rows=((0, 250),), held_out=((250, 300),), callbacks=(stop,)))
    assert [len(epochs), epochs[0].images] == [1, 100]
    never = r.StopAt(monitor="val_loss", value=-1.0, side="below")
    _, epochs = _train(arrays, _fit(epochs=2, callbacks=(never,)))
    assert len(epochs) == 2


def test_a_padded_network_is_fed_padded_images(arrays: dict[str, Any]) -> None:
    """Geometry is made again before scaling."""
    recipe = _fit(geometry=r.Geometry(padding=((2, 2), (2, 2)), channels=3))
    x = feeding.inputs(arrays["x_train"], recipe, (32, 32, 3))
    assert x.shape == (300, 32, 32, 3)
    assert x.max() == 1.0
