"""A whole run of the native trainer: the same epochs as the Keras trainer's, and how runs end."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from grader import datasets
from grader import records as r
from grader.train.native.trainer import Trainer

Build = Callable[..., r.ModelDescription]
BATCH = 32
IMAGES = 300
LAYERS: tuple[r.Layer, ...] = (
    r.Conv2D(name="a", filters=6, kernel_size=(3, 3), strides=(2, 2), activation="relu"),
    r.BatchNormalization(name="b", momentum=0.8),
    r.MaxPooling2D(name="c"),
    r.Conv2D(name="d", filters=10, kernel_size=(6, 6), kernel_regularizer=r.L1L2(l2=1e-3)),
    r.Flatten(name="e"),
    r.ActivationLayer(name="f", activation="softmax"),
)


@pytest.fixture(scope="module")
def arrays() -> dict[str, Any]:
    data = datasets.load(datasets.MNIST)
    return {
        "x_train": data.x_train[:IMAGES],
        "y_train": data.y_train[:IMAGES],
        "x_test": data.x_test[:200],
        "y_test": data.y_test[:200],
    }


@pytest.fixture
def job(network: Build) -> Callable[..., r.TrainJob]:
    """A job with one recipe of three epochs, with changes to it; or with several recipes."""

    def build(*recipes: dict[str, Any], **changes: Any) -> r.TrainJob:
        usual = {
            "optimizer": r.Adam(), "learning_rates": (0.003,), "epochs": 3, "batch_size": BATCH,
            "shuffle": False,
        }  # fmt: skip
        made = tuple(r.TrainingRecipe(**(usual | own)) for own in (recipes or ({},)))
        fields = {"seed": 5, "max_epochs": 20} | changes
        return r.TrainJob(network=network(*LAYERS), training=made, dataset=datasets.MNIST, **fields)

    return build


def _run(job: r.TrainJob, arrays: dict[str, Any], weights: Any = None) -> tuple[list[Any], str, Trainer]:
    events: list[Any] = []
    trainer = Trainer(job, arrays, events.append)
    if weights is not None:
        trainer.network.set_weights(weights)
    ended = trainer.run()
    return [e for e in events if isinstance(e, r.EpochResult)], ended, trainer


STEPS = math.ceil(IMAGES / BATCH)
PLATEAU = {"monitor": "val_accuracy", "min_delta": 0.5}
RUNS: dict[str, tuple[dict[str, Any], ...]] = {
    "adam": ({},),
    "nesterov, rates by epoch": (
        {"optimizer": r.SGD(momentum=0.9, nesterov=True), "learning_rates": (0.05, 0.02, 0.01)},
    ),
    "rates by step": ({"learning_rates": tuple(0.01 / n for n in range(1, 3 * STEPS)), "rates_per": "step"},),
    "rmsprop, sparse": ({"optimizer": r.RMSprop(), "loss": r.Loss(name="sparse_categorical_crossentropy")},),
    "other scaling, other batch": (
        {"scaling": r.InputScaling(scale=2 / 255, offset=-1.0), "batch_size": 100},
    ),
    "early stopping": ({"callbacks": (r.EarlyStopping(patience=1, **PLATEAU),), "epochs": 6},),
    "early stopping at a baseline": (
        {"callbacks": (r.EarlyStopping(monitor="loss", baseline=0.1, patience=2),), "epochs": 6},
    ),
    "early stopping from an epoch on": (
        {"callbacks": (r.EarlyStopping(start_from_epoch=2, **PLATEAU),), "epochs": 6},
    ),
    "plateau": (
        {"callbacks": (r.ReduceLROnPlateau(factor=0.5, patience=1, cooldown=1, **PLATEAU),), "epochs": 6},
    ),
    "plateau to a least rate": (
        {"callbacks": (r.ReduceLROnPlateau(patience=1, min_lr=0.001, **PLATEAU),), "epochs": 5},
    ),
    "a part of the split": ({"rows": ((0, 50), (100, 250)), "batch_size": 40},),
    "callbacks on what was held out": (
        {
            "rows": ((0, 250),),
            "held_out": ((250, 300),),
            "epochs": 6,
            "callbacks": (r.EarlyStopping(patience=1, **PLATEAU),),
        },
    ),
    "epochs of few steps": ({"steps_per_epoch": 4, "epochs": 5},),
    "epochs of many steps": ({"steps_per_epoch": 13, "epochs": 2},),
    "stopping at a value": (
        {"callbacks": (r.StopAt(monitor="accuracy", value=0.2, side="above"),), "epochs": 6},
    ),
    "stopping below a value": (
        {"callbacks": (r.StopAt(monitor="loss", value=2.0, side="below"),), "epochs": 6},
    ),
    "the best weights": (
        {"keeps": r.Kept(monitor="loss", mode="min"), "learning_rates": (0.003, 0.0, 0.0), "epochs": 3},
    ),
    "the weights of an epoch": ({"keeps": r.Kept(epoch=2)}, {"continues": True, "epochs": 1}),
    "going on": ({}, {"continues": True, "epochs": 2}),
    "compiled again": ({}, {"epochs": 2, "batch_size": 50, "optimizer": r.Adagrad()}),
}


@pytest.mark.parametrize("name", RUNS)
def test_every_epoch_is_the_keras_trainers(
    name: str, job: Callable[..., r.TrainJob], arrays: dict[str, Any]
) -> None:
    """From the same weights, without shuffling: losses to 1 %, rates, counts to 2 images, and the end."""
    from grader.train import loop

    wanted: list[Any] = []
    theirs = loop.Trainer(job(*RUNS[name]), arrays, wanted.append)
    weights = theirs.model.get_weights()
    ended = theirs.run()
    epochs, ours, trainer = _run(job(*RUNS[name]), arrays, weights)
    expected = [e for e in wanted if isinstance(e, r.EpochResult)]
    assert (ours, trainer.kept) == (ended, theirs.kept)
    assert [e.epoch for e in epochs] == [e.epoch for e in expected]
    assert [e.learning_rate for e in epochs] == pytest.approx([e.learning_rate for e in expected])
    for mine, other in zip(epochs, expected, strict=True):
        assert mine.train_loss == pytest.approx(other.train_loss, rel=0.01)
        assert mine.validation_loss == pytest.approx(other.validation_loss, rel=0.01)
        assert mine.train_accuracy == pytest.approx(other.train_accuracy, abs=2.1 / IMAGES)
        assert abs(mine.correct - other.correct) <= 2
    for a, b in zip(trainer.network.get_weights(), theirs.model.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=0.02, atol=0.01)


def test_the_same_seed_gives_the_same_run(job: Callable[..., r.TrainJob], arrays: dict[str, Any]) -> None:
    """Every count and loss again, bit by bit; another seed shuffles and starts otherwise."""
    first, again, other = (
        [
            (e.correct, e.train_loss, e.validation_loss)
            for e in _run(job({"shuffle": True}, seed=s), arrays)[0]
        ]
        for s in (5, 5, 6)
    )
    assert first == again
    assert first != other


def test_every_epoch_trains_on_every_image_in_a_new_order(
    job: Callable[..., r.TrainJob], arrays: dict[str, Any]
) -> None:
    """300 images in ten steps, the last one of 12; two epochs differ in their order."""
    trainer = Trainer(job({"shuffle": True, "epochs": 2}), arrays, lambda event: None)
    seen: list[Any] = []
    step = trainer.network.step

    def watched(images: Any, labels: Any, chosen: Any, optimizer: Any) -> Any:
        seen.append(chosen)
        return step(images, labels, chosen, optimizer)

    trainer.network.step = watched  # type: ignore[method-assign]
    trainer.run()
    assert [len(chosen) for chosen in seen] == [*[32] * 9, 12] * 2
    one, two = np.concatenate(seen[:10]), np.concatenate(seen[10:])
    assert sorted(one) == sorted(two) == list(range(IMAGES))
    assert (one != two).any()


def test_a_loss_that_is_no_number_ends_the_run(
    job: Callable[..., r.TrainJob], arrays: dict[str, Any]
) -> None:
    """A learning rate of 10^30 diverges; the run says so and stops within the epoch."""
    epochs, ended, _ = _run(job({"optimizer": r.SGD(), "learning_rates": (1e30,)}), arrays)
    assert ended == "diverged"
    assert len(epochs) == 1
    assert epochs[0].train_loss is None


def test_a_run_stops_at_the_threshold(job: Callable[..., r.TrainJob], arrays: dict[str, Any]) -> None:
    """As soon as enough images are correct, nothing more is trained."""
    epochs, ended, _ = _run(job(stop_at=1), arrays)
    assert ended == "threshold_reached"
    assert len(epochs) == 1


def test_epochs_are_cut_at_the_limit(job: Callable[..., r.TrainJob], arrays: dict[str, Any]) -> None:
    """A longer recipe ends after the rubric's epochs, across fits."""
    epochs, ended, _ = _run(job({}, {}, max_epochs=4), arrays)
    assert [e.epoch for e in epochs] == [1, 2, 3, 4]
    assert ended == "finished"
