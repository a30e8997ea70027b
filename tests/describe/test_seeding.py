"""Seeds and orders of a replay, as a submission meets them."""

from __future__ import annotations

import random
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from grader.describe.world import seeding

Begin = Any


@pytest.fixture
def begin(monkeypatch: pytest.MonkeyPatch) -> Begin:
    return lambda seed: seeding.begin(seed, monkeypatch.setattr)


def orders(epochs: int) -> list[list[float]]:
    """The images of each epoch, told by numbers, in the order in which `fit` trains on them."""
    seen: list[list[float]] = []

    class Watched(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = keras.layers.Dense(1)

        def call(self, x: Any) -> Any:
            return self.dense(x)

        def train_step(self, data: Any) -> Any:
            x, _ = data
            tf.numpy_function(lambda batch: seen[-1].extend(batch.ravel().tolist()), [x], [])
            return {"loss": tf.reduce_sum(x)}

    class Begins(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            seen.append([])

    model = Watched()
    model.compile("sgd", "mse")
    x = np.arange(40, dtype="float32")[:, None]
    model.fit(x, x, batch_size=8, epochs=epochs, verbose=0, callbacks=[Begins()])
    return seen


def test_every_epoch_has_an_order_of_its_own(begin: Begin) -> None:
    """And the same seed the same ones."""
    begin(1)
    first = orders(3)
    assert all(sorted(order) == list(range(40)) for order in first)
    assert len({tuple(order) for order in first}) == 3


def test_orders_come_of_the_seed(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another attempt trains in another order, the same one again in the same."""
    told = []
    for seed in (1, 1, 2):
        with monkeypatch.context() as patch:
            seeding.begin(seed, patch.setattr)
            told.append(orders(2))
    assert told[0] == told[1] != told[2]


SETTERS = [
    (random, "seed", 0),
    (np.random, "seed", 1),
    (tf.random, "set_seed", 2),
    (tf.compat.v1, "set_random_seed", 2),
]


@pytest.mark.parametrize(("module", "name", "kind"), SETTERS)
def test_a_lucky_seed_is_of_no_use(
    module: Any, name: str, kind: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a submission sets repeats within an attempt, and differs between attempts."""
    drawn = []
    for attempt in (1, 2):
        with monkeypatch.context() as patch:
            seeding.begin(attempt, patch.setattr)
            for _ in range(2):
                getattr(module, name)(42)
                drawn.append((random.random(), np.random.rand(), float(tf.random.uniform(()))))
    first, again, other, _ = (x[kind] for x in drawn)
    assert first == again != other


def test_keras_own_setter_is_mixed_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights of a network that sets its seed differ from attempt to attempt."""
    weights = []
    for attempt in (1, 2):
        with monkeypatch.context() as patch:
            seeding.begin(attempt, patch.setattr)
            keras.utils.set_random_seed(7)
            model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
            weights.append(model.get_weights()[0])
    assert not np.array_equal(*weights)
