"""Layers without a native kernel: read from models and files, counted, rebuilt and trained as Keras does."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers as kl

from grader import records as r
from grader.data import datasets
from grader.describe.networks import configuration, graph, live, saved
from grader.layers.shapes import analyse
from grader.train import engines
from grader.train.keras import build

PIXELS = np.random.default_rng(3).uniform(0, 1, (32, 784)).astype(np.float32)
CLASSES = np.arange(32) % 10
STEPS = 3

# What a student writes before the class scores, and what the native engine says that it does not cover.
NETWORKS: dict[str, tuple[str, Callable[[], list[Any]]]] = {
    "groups of channels": (
        "the layer GroupNormalization",
        lambda: [
            keras.Input((28, 28, 1)), kl.Conv2D(6, 3, 2), kl.GroupNormalization(3), kl.ReLU(),
            kl.GroupNormalization(groups=-1, scale=False, beta_initializer="ones"), kl.Flatten(),
        ],
    ),
    "rows as a sequence": (
        "arrays of shape (28, 28)",
        lambda: [
            keras.Input((28, 28)), kl.Conv1D(8, 3, padding="causal", activation="relu"), kl.MaxPooling1D(2),
            kl.Conv1D(6, 3, strides=2), kl.AveragePooling1D(2), kl.GlobalAveragePooling1D(),
        ],
    ),
    "pixels as a sequence": (
        "arrays of shape (784, 1)",
        lambda: [keras.Input((784, 1)), kl.Conv1D(4, 9, 4, groups=1), kl.GlobalMaxPooling1D()],
    ),
}  # fmt: skip


@pytest.fixture(params=NETWORKS.values(), ids=NETWORKS)
def written(request: pytest.FixtureRequest) -> tuple[str, Any]:
    uncovered, layers = request.param
    return uncovered, keras.Sequential([*layers(), kl.Dense(10, activation="softmax")])


def test_the_counts_are_those_of_keras(written: tuple[str, Any]) -> None:
    """Layer by layer, and in all."""
    _, model = written
    found = analyse(graph.describe(live.of_model(model)))
    assert [(x.output, x.parameters) for x in found.layers[1:]] == [
        (layer.output.shape[1:], layer.count_params()) for layer in model.layers
    ]
    assert found.trainable == sum(w.numpy().size for w in model.trainable_weights)


def test_the_rebuilt_network_takes_the_same_steps(written: tuple[str, Any]) -> None:
    """From the same weights, loss after loss is that of the student's model."""
    _, model = written
    rebuilt = build.model(graph.describe(live.of_model(model)))
    rebuilt.set_weights(model.get_weights())
    images = PIXELS.reshape(-1, *model.input_shape[1:])
    losses = []
    for each in (model, rebuilt):
        each.compile(keras.optimizers.SGD(0.003), "sparse_categorical_crossentropy", jit_compile=False)
        losses.append([float(each.train_on_batch(images, CLASSES)) for _ in range(STEPS)])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)
    assert losses[0] == sorted(losses[0], reverse=True)


@pytest.mark.parametrize("suffix", ["keras", "h5", "json"])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_a_saved_model_is_the_same_network(written: tuple[str, Any], tmp_path: Path, suffix: str) -> None:
    """In every format that Keras 3 still writes."""
    _, model = written
    path = tmp_path / f"model.{suffix}"
    if suffix == "json":
        path.write_text(json.dumps({**json.loads(model.to_json()), "keras_version": "3.0"}))
    else:
        model.save(path)
    network = graph.describe(configuration.of_config(saved.read_config(path)))
    assert network.layers[1:] == graph.describe(live.of_model(model)).layers[1:]
    assert network.unsupported == ()


def test_the_native_engine_says_what_it_does_not_cover(
    written: tuple[str, Any], recipe: Callable[..., r.TrainingRecipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keras does, and the report says why it was not a faster one."""
    uncovered, model = written
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    job = r.TrainJob(
        network=graph.describe(live.of_model(model)), training=(recipe(),), dataset=datasets.MNIST, seed=1,
        max_epochs=1,
    )  # fmt: skip
    assert engines.choose(job) == ("keras", f"the native engine does not cover {uncovered}")
