"""Keras's preprocessing layers: described from a live model, counted, rebuilt and trained."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers as kl

from grader import records as r
from grader.describe.networks import graph, live
from grader.layers.shapes import analyse
from grader.train.keras import build

IMAGES = np.random.default_rng(5).uniform(0, 255, (4, 28, 28, 1)).astype(np.float32)


def _adapted() -> Any:
    layer = kl.Normalization()
    layer.adapt(IMAGES)
    return layer


LAYERS: dict[str, Any] = {
    "rescaling": lambda: kl.Rescaling(1 / 127.5, offset=-1),
    "normalization": lambda: kl.Normalization(mean=127.0, variance=4_000.0),
    "adapted": _adapted,
    "resizing": lambda: kl.Resizing(32, 20, interpolation="nearest"),
    "crop": lambda: kl.CenterCrop(20, 24),
    "flip": lambda: kl.RandomFlip("horizontal"),
    "rotation": lambda: kl.RandomRotation(0.1, fill_mode="constant", fill_value=3.0),
    "translation": lambda: kl.RandomTranslation(0.1, (-0.2, 0.1)),
    "zoom": lambda: kl.RandomZoom((-0.2, 0.1), width_factor=0.3),
    "zoom in proportion": lambda: kl.RandomZoom(0.1),
    "contrast": lambda: kl.RandomContrast(0.2),
    "brightness": lambda: kl.RandomBrightness(0.2, value_range=(0.0, 1.0)),
}


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_a_layer_survives_the_way_through_the_records(make: Any) -> None:
    """The rebuilt network has the same settings, shapes, parameters and outputs."""
    inner = keras.Sequential([make()], name="augment")  # as the tutorials nest them
    model = keras.Sequential([keras.Input((28, 28, 1)), inner, kl.Flatten(), kl.Dense(2)])
    network = graph.describe(live.of_model(model))
    assert network.unsupported == ()
    assert analyse(network).total == model.count_params()
    assert analyse(network).trainable == sum(w.numpy().size for w in model.trainable_weights)

    rebuilt = build.model(network)
    rebuilt.layers[-1].set_weights(model.layers[-1].get_weights())
    assert rebuilt.output_shape == model.output_shape
    np.testing.assert_allclose(
        rebuilt.predict(IMAGES, verbose=0), model.predict(IMAGES, verbose=0), rtol=1e-4, atol=1e-3
    )
    theirs, mine = inner.layers[-1].get_config(), rebuilt.layers[1].get_config()
    for name in ("factor", "height_factor", "width_factor", "mode", "fill_mode", "fill_value", "value_range"):
        assert _pair(mine.get(name)) == _pair(theirs.get(name))


def _pair(value: Any) -> Any:
    """Keras writes (-0.1, 0.1) and 0.1 for the same."""
    if isinstance(value, float | int) and not isinstance(value, bool):
        return (-value, value)
    return tuple(value) if isinstance(value, list) else value


def test_random_layers_act_while_training_alone() -> None:
    """One step of training with them, and predictions without."""
    layers: list[r.Layer] = [
        r.InputLayer(name="in", shape=(28, 28, 1)),
        r.RandomRotation(name="a", inbound=("in",), factor=(-0.1, 0.1)),
        r.Flatten(name="b", inbound=("a",)),
    ]
    model = build.model(r.ModelDescription(inputs=("in",), layers=tuple(layers), outputs=("b",)))
    still = model(IMAGES, training=False).numpy()
    assert np.array_equal(still, IMAGES.reshape(4, -1))
    assert not np.array_equal(model(IMAGES, training=True).numpy(), still)
