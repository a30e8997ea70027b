"""EarlyStopping and ReduceLROnPlateau decide as Keras's own, epoch by epoch, also where one image decides."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from grader import records as r
from grader.train.callbacks import EarlyStopping, ReduceOnPlateau

EPOCHS = 15
SETTINGS: tuple[dict[str, Any], ...] = (
    {"monitor": "val_accuracy", "patience": 1, "min_delta": 1e-4},
    {"monitor": "val_accuracy", "patience": 2, "min_delta": 5e-4},
    {"monitor": "val_accuracy", "patience": 3, "min_delta": -0.001, "mode": "max"},
    {"monitor": "val_accuracy", "patience": 0, "min_delta": 0.0},
    {"monitor": "val_loss", "patience": 2, "min_delta": 1e-4},
    {"monitor": "val_loss", "patience": 1, "min_delta": 0.0, "mode": "min"},
)


@pytest.fixture(scope="module")
def model() -> keras.Model:
    built = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    built.compile("sgd", "mse", metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")])
    built.train_on_batch(np.ones((1, 1)), np.ones((1, 1)))  # metrics are built
    return built


def _courses() -> list[list[dict[str, float]]]:
    """What is measured, epoch by epoch: counts of 10,000 images a few images apart, and losses."""
    random = np.random.default_rng(1)
    counts = 9_890 + random.integers(0, 15, (20, EPOCHS)) + np.arange(EPOCHS)
    losses = 0.05 + random.integers(-5, 5, (20, EPOCHS)) * 1e-4
    return [
        [
            {"val_accuracy": int(count) / 10_000, "val_loss": float(loss)}
            for count, loss in zip(*one, strict=True)
        ]
        for one in zip(counts, losses, strict=True)
    ]


def test_every_setting_of_a_callback_is_known_here() -> None:
    """One that records get later would be ignored by every engine."""
    watching = {"type", "monitor", "mode", "patience", "min_delta"}
    assert set(r.EarlyStopping.model_fields) == watching | {"baseline", "start_from_epoch"}
    assert set(r.ReduceLROnPlateau.model_fields) == watching | {"factor", "cooldown", "min_lr"}
    assert set(r.StopAt.model_fields) == {"type", "monitor", "value", "side"}


@pytest.mark.parametrize("more", [{}, {"baseline": 0.99}, {"start_from_epoch": 3}], ids=str)
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_early_stopping_ends_where_that_of_keras_does(
    settings: dict[str, Any], more: dict[str, Any], model: keras.Model
) -> None:
    """Twenty courses, each until its last epoch."""
    for course in _courses():
        mine = EarlyStopping(r.EarlyStopping(**settings, **more))
        theirs = keras.callbacks.EarlyStopping(**settings, **more)
        theirs.set_model(model)
        theirs.on_train_begin()
        for epoch, logs in enumerate(course):
            model.stop_training = False
            theirs.on_epoch_end(epoch, logs)
            assert mine.epoch_ended(epoch, logs) == model.stop_training


@pytest.mark.parametrize("more", [{}, {"cooldown": 2}, {"min_lr": 0.001}], ids=str)
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_a_plateau_lowers_the_rate_as_in_keras(
    settings: dict[str, Any], more: dict[str, Any], model: keras.Model
) -> None:
    """The same rate after every epoch of twenty courses, to the last bit."""
    for course in _courses():
        mine = ReduceOnPlateau(r.ReduceLROnPlateau(**settings, **more, factor=0.3))
        theirs = keras.callbacks.ReduceLROnPlateau(**settings, **more, factor=0.3)
        theirs.set_model(model)
        theirs.on_train_begin()
        rate = float(np.float32(0.01))
        model.optimizer.learning_rate = rate
        for epoch, logs in enumerate(course):
            theirs.on_epoch_end(epoch, dict(logs))
            rate = mine.epoch_ended(logs, rate)
            assert rate == float(np.asarray(model.optimizer.learning_rate))
