"""Keras trains an epoch at a time: what one `fit` of all epochs comes to, and nothing is traced twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import pytest

from grader import records as r
from grader.data import datasets
from grader.train import rows
from grader.train.epochs import Trainer
from grader.train.keras import build, feeding
from grader.train.keras.learner import Learner
from grader.train.learner import Outcome, Pass

Build = Callable[..., r.ModelDescription]
IMAGES, BATCH, EPOCHS = 300, 32, 3
LAYERS: tuple[r.Layer, ...] = (
    r.Conv2D(name="a", filters=4, kernel_size=(5, 5), strides=(3, 3), activation="relu"),
    r.BatchNormalization(name="b", momentum=0.8),
    r.Dropout(name="c", rate=0.2),
    r.Flatten(name="d"),
    r.Dense(name="e", units=10, activation="softmax"),
)


@pytest.fixture(scope="module")
def arrays() -> dict[str, Any]:
    data = datasets.load(datasets.MNIST)
    return {
        "x_train": data.x_train[:IMAGES], "y_train": data.y_train[:IMAGES],
        "x_test": data.x_test[:100], "y_test": data.y_test[:100],
    }  # fmt: skip


@pytest.fixture
def job(network: Build) -> r.TrainJob:
    recipe = r.TrainingRecipe(
        optimizer=r.Adam(), learning_rates=(0.003,), epochs=EPOCHS, batch_size=BATCH,
        rows=((0, 100), (120, 300)),
    )  # fmt: skip
    return r.TrainJob(
        network=network(*LAYERS), training=(recipe,), dataset=datasets.MNIST, seed=5, max_epochs=20
    )


def test_epochs_one_by_one_are_one_fit(job: r.TrainJob, arrays: dict[str, Any]) -> None:
    """With Adam, Dropout, BatchNormalization and partial batches: the same weights and means, bit by bit."""
    learner = Learner(job, arrays)
    (run,) = Trainer(job, arrays, lambda event: None, learner).run()

    (recipe,) = job.training
    chosen = rows.chosen(recipe.rows, IMAGES)
    images = feeding.Images.of(arrays["x_train"], arrays["y_train"], recipe, (28, 28, 1), 10)
    order = rows.batches(len(chosen), BATCH, True, rows.shuffling(job.seed, 0))

    def fed() -> Iterator[tuple[Any, Any]]:
        for places in order:
            yield images.inputs[chosen[places]], images.targets[chosen[places]]

    keras.utils.set_random_seed(job.seed)
    model = build.model(job.network)
    model.compile(
        keras.optimizers.Adam(0.003), "categorical_crossentropy", jit_compile=False,
        metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
    )  # fmt: skip
    history = model.fit(fed(), steps_per_epoch=9, epochs=EPOCHS, shuffle=False, verbose=0).history

    assert [epoch.train_loss for epoch in run.epochs] == history["loss"]
    assert [epoch.train_accuracy for epoch in run.epochs] == history["accuracy"]
    for mine, theirs in zip(learner.get_weights(0), model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_later_epochs_trace_nothing(job: r.TrainJob, arrays: dict[str, Any]) -> None:
    """A step is traced as often for two fits, without a new compile between them, as for one epoch."""
    (recipe,) = job.training
    going_on = recipe.model_copy(update={"continues": True, "batch_size": 50})

    def traced(*fits: r.TrainingRecipe) -> tuple[int, int]:
        """How often, and the steps that were made."""
        made = job.model_copy(update={"training": fits})
        learner, seen = Learner(made, arrays), []
        step = learner.model.train_step

        def watched(data: Any) -> Any:
            seen.append(data)
            return step(data)

        learner.model.train_step = watched
        Trainer(made, arrays, lambda event: None, learner).run()
        return len(seen), int(learner.model.optimizer.iterations)

    once, _ = traced(recipe.model_copy(update={"epochs": 1}))
    assert traced(recipe, going_on) == (once, EPOCHS * (9 + 6))


def test_a_still_pass_moves_averages_alone(job: r.TrainJob, arrays: dict[str, Any]) -> None:
    """And says what Dropout makes of the loss; the state before it comes back, with the same masks."""
    learner = Learner(job, arrays)
    learner.begin(job.training[0], fresh=True)
    still = Pass([np.arange(50), np.arange(150, 200)], [0.0, 0.0], still=True)

    def go() -> Outcome:
        (outcome,) = learner.train([still], lambda batches, so_far: None)
        assert outcome is not None
        return outcome

    before, state = learner.get_weights(0), learner.get_state()
    first = go()
    moved = [not np.array_equal(a, b) for a, b in zip(before, learner.get_weights(0), strict=True)]
    averages = [weight.path.endswith(("moving_mean", "moving_variance")) for weight in learner.model.weights]
    assert moved == averages
    assert first.images == 100
    assert go().loss != first.loss  # other masks
    learner.set_state(state)
    assert go() == first
