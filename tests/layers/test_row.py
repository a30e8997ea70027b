"""Layers as reports list them: their settings in a few words, and what they take."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from grader import records as r
from grader.layers.convolution import Conv1D
from grader.layers.normalization import GroupNormalization
from grader.layers.row import row
from grader.layers.shapes import analyse

Network = Callable[..., r.ModelDescription]


@pytest.mark.parametrize(
    ("layer", "detail"),
    [
        (r.Conv2D(name="a", filters=8, kernel_size=(3, 3), activation="relu"), "3×3, relu"),
        (
            r.Conv2D(name="a", filters=8, kernel_size=(1, 1), padding="same", strides=(2, 2)),
            "1×1, stride 2, same",
        ),
        (r.Conv2D(name="a", filters=8, kernel_size=(3, 5), strides=(1, 2)), "3×5, strides 1, 2"),
        (r.MaxPooling2D(name="a"), "2×2"),
        (r.MaxPooling2D(name="a", pool_size=(3, 3)), "3×3, stride 2"),
        (r.Dropout(name="a", rate=0.25), "0.25"),
        (r.ActivationLayer(name="a", activation="softmax"), "softmax"),
        (GroupNormalization(name="a", groups=1), "1 group"),
        (GroupNormalization(name="a", groups=-1), "one group per channel"),
        (r.ZeroPadding2D(name="a"), ""),
        (r.Dense(name="a", units=10, trainable=False), "frozen"),
    ],
)
def test_settings_in_words(network: Network, layer: r.Layer, detail: str) -> None:
    """What differs from the usual, and nothing else."""
    described = network(layer)
    shown = row(analyse(described).of("a"))
    assert shown.detail == detail
    assert shown.inbound == ("input",)


def test_a_window_along_one_axis(network: Network) -> None:
    """A sequence has one size where an image has two."""
    layer = Conv1D(name="a", filters=8, kernel_size=(3,), strides=(2,), padding="causal")
    described = network(layer, shape=(28, 28))
    assert row(analyse(described).of("a")).detail == "3, stride 2, causal"


def test_what_is_not_known_is_none(network: Network, unsupported: r.UnsupportedLayer) -> None:
    """A layer that grader cannot describe keeps its own name, and has no numbers."""
    shown = row(analyse(network(unsupported)).of("mystery"))
    assert shown.type == "MyLayer"
    assert shown.trainable_parameters is None
    assert shown.output_shape is None
