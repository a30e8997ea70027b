"""The native engine computes what Keras computes: losses, gradients, moving averages, evaluations.

Both start from the same weights and see the same images. Tolerances: 2e-5 of the loss; of a gradient 2e-4 of
its largest element (or 3e-6); 1e-5 for moving averages.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from grader import records as r
from grader.train.native.network import Network
from grader.train.native.team import Team

TEAM = Team()
Build = Callable[..., r.ModelDescription]
SHAPE = (9, 8, 2)
BATCH = 37  # three tiles, the last one partly filled


def conv(**settings: Any) -> r.Conv2D:
    return r.Conv2D(**({"name": "conv", "filters": 5, "kernel_size": (3, 3)} | settings))


HEAD: tuple[r.Layer, ...] = (r.Flatten(name="flat"), r.Dense(name="head", units=4, activation="softmax"))
ROUGH = r.RandomNormal(stddev=0.5)
RESIDUAL: tuple[r.Layer, ...] = (
    conv(padding="same"),
    conv(name="b", padding="same", activation="relu"),
    conv(name="c", padding="same", inbound=("conv",)),
)

CASES: dict[str, tuple[r.Layer, ...]] = {
    "dense": (r.Flatten(name="f"), r.Dense(name="d", units=21, activation="relu")),
    "dense on pixels": (r.Dense(name="d", units=21, activation="tanh"), conv()),
    "conv": (conv(), conv(name="second", activation="relu")),
    "conv without bias": (conv(use_bias=False), conv(name="second", use_bias=False)),
    "conv same": (conv(padding="same"), conv(name="second", padding="same", kernel_size=(4, 2))),
    "conv stride 2": (conv(strides=(2, 2)), conv(name="second", strides=(2, 1), kernel_size=(2, 3))),
    "conv same stride 2": (
        conv(strides=(2, 2), padding="same"), conv(name="s", strides=(2, 2), padding="same"),
    ),
    "conv stride beyond kernel": (
        conv(strides=(3, 2), kernel_size=(2, 1)), conv(name="second", kernel_size=(1, 1)),
    ),
    "conv dilated": (conv(dilation_rate=(2, 2)), conv(name="second", dilation_rate=(2, 1), padding="same")),
    "conv of many channels": (conv(filters=35), conv(name="second", filters=33, activation="relu")),
    "conv as head": (conv(), conv(name="second", kernel_size=(7, 6), filters=19)),
    "bias that starts elsewhere": (conv(bias_initializer=r.Constant(value=0.3)), conv(name="b")),
    "depthwise": (r.DepthwiseConv2D(name="w", kernel_size=(3, 3)), conv()),
    "depthwise many": (
        conv(),
        r.DepthwiseConv2D(name="w", kernel_size=(3, 2), depth_multiplier=3, padding="same", strides=(2, 2),
                          activation="relu"),
    ),
    "separable": (conv(), r.SeparableConv2D(name="s", filters=7, kernel_size=(3, 3), depth_multiplier=2,
                                            activation="relu")),
    "batch norm": (conv(activation="relu"), r.BatchNormalization(name="n"), conv(name="second")),
    "batch norm before relu": (
        conv(), r.BatchNormalization(name="n"), r.ActivationLayer(name="a", activation="relu"),
        conv(name="b"),
    ),
    "batch norm of the input": (r.BatchNormalization(name="n"), conv()),
    "batch norm without scale": (
        conv(activation="relu"), r.BatchNormalization(name="n", scale=False, momentum=0.9, epsilon=1e-5),
    ),
    "batch norm without centre": (
        conv(activation="relu"), r.BatchNormalization(name="n", center=False, gamma_initializer=ROUGH),
    ),
    "batch norm of a vector": (
        r.Flatten(name="f"), r.Dense(name="d", units=9, activation="relu"), r.BatchNormalization(name="n"),
    ),
    "two batch norms": (
        conv(activation="relu"), r.BatchNormalization(name="n"), r.BatchNormalization(name="m"),
        conv(name="b"),
    ),
    "max pooling": (conv(), r.MaxPooling2D(name="p"), conv(name="b", kernel_size=(2, 2))),
    "max pooling overlapping": (
        conv(), r.MaxPooling2D(name="p", pool_size=(3, 3), strides=(2, 2), padding="same"),
    ),
    "mean pooling": (conv(), r.AveragePooling2D(name="p"), conv(name="b", kernel_size=(2, 2))),
    "mean pooling same": (conv(), r.AveragePooling2D(name="p", pool_size=(3, 3), padding="same")),
    "global mean": (conv(), r.GlobalAveragePooling2D(name="p")),
    "global max": (conv(), r.GlobalMaxPooling2D(name="p", keepdims=True)),
    "padding": (r.ZeroPadding2D(name="z", padding=((1, 2), (0, 3))), conv(), r.ZeroPadding2D(name="y")),
    "reshape": (conv(), r.Reshape(name="r", target_shape=(-1, 3, 5)), conv(name="b", kernel_size=(2, 2))),
    "rescaling": (r.Rescaling(name="s", scale=2.0, offset=-1.0), conv()),
    "add": (*RESIDUAL, r.Merge(name="m", type="Add", inbound=("conv", "b", "c"))),
    "average": (*RESIDUAL, r.Merge(name="m", type="Average", inbound=("conv", "b", "c"))),
    "subtract": (*RESIDUAL, r.Merge(name="m", type="Subtract", inbound=("b", "c"))),
    "concatenate": (*RESIDUAL, r.Concatenate(name="m", inbound=("conv", "b", "c")), conv(name="d")),
    "one tensor twice": (
        conv(activation="relu"), r.BatchNormalization(name="n"),
        r.Merge(name="m", type="Add", inbound=("conv", "n")),
    ),
    "leaky relu": (conv(), r.LeakyReLU(name="l"), conv(name="b", activation="leaky_relu")),
    "elu": (conv(), r.ELU(name="l", alpha=0.7), conv(name="b", activation="elu")),
    "relu with limits": (conv(), r.ReLU(name="l", max_value=0.4, negative_slope=0.1, threshold=0.05)),
    "regularised": (
        conv(kernel_regularizer=r.L1L2(l1=0.01, l2=0.02), bias_regularizer=r.L1L2(l2=0.5),
             bias_initializer=ROUGH),
        r.BatchNormalization(name="n", gamma_regularizer=r.L1L2(l1=0.1)),
    ),
    "dropout of nothing": (conv(), r.Dropout(name="d", rate=0.0)),
}  # fmt: skip
for _name in ("relu", "relu6", "selu", "celu", "tanh", "sigmoid", "silu", "softplus", "softsign",
              "hard_sigmoid", "exponential"):  # fmt: skip
    CASES[f"activation {_name}"] = (conv(), conv(name="b", activation=_name))


def _data() -> tuple[Any, Any]:
    random = np.random.default_rng(3)
    return random.integers(0, 256, (BATCH, *SHAPE), np.uint8), random.integers(0, 4, BATCH)


def _recipe(**changes: Any) -> r.TrainingRecipe:
    given = {"optimizer": r.SGD(), "epochs": 1, "batch_size": BATCH, "learning_rates": (0.1,)}
    return r.TrainingRecipe(**(given | changes))


def _compare(network: r.ModelDescription, recipe: r.TrainingRecipe) -> None:
    """One step's loss and gradients, what it does to moving averages, and an evaluation after it."""
    import tensorflow as tf

    from grader.train.keras import build, feeding

    images, labels = _data()
    ours = Network(network, recipe, seed=4, team=TEAM)
    theirs = build.model(network)
    theirs.set_weights(ours.get_weights())
    x, y = feeding.inputs(images, recipe, SHAPE), feeding.targets(labels, recipe.loss, 4)
    criterion = build.loss(recipe.loss)
    flat = images.reshape(BATCH, -1)
    with tf.GradientTape() as tape:
        loss = criterion(y, theirs(x, training=True)) + sum(theirs.losses)
    wanted = tape.gradient(loss, [v.value for v in theirs.trainable_variables])
    outcome, slopes = ours.slopes(flat, labels, np.arange(BATCH))
    assert outcome.loss == pytest.approx(float(loss), rel=2e-5)
    trained = [v for v in ours.plan.variables if v.trained]
    for variable, gradient in zip(trained, wanted, strict=True):
        mine = slopes[variable.at : variable.at + variable.size].reshape(variable.shape)
        atol = max(2e-4 * float(np.abs(gradient).max()), 3e-6)  # some are sums that cancel out
        np.testing.assert_allclose(mine, gradient, rtol=2e-4, atol=atol, err_msg=str(variable))
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
    outputs = theirs(x, training=False)
    evaluated = ours.evaluate(flat, labels)
    loss = criterion(y, outputs) + sum(theirs.losses)
    assert evaluated.loss == pytest.approx(float(loss), rel=2e-5)
    assert evaluated.correct == int((np.argmax(outputs, axis=-1) == labels).sum())


@pytest.mark.parametrize("case", CASES)
def test_every_layer_is_kerass(case: str, network: Build) -> None:
    """Each layer, in the settings that submissions use, forth and back."""
    _compare(network(*CASES[case], *HEAD, shape=SHAPE), _recipe())


@pytest.mark.parametrize(
    ("loss", "activation"),
    [
        (r.Loss(label_smoothing=0.1), "softmax"),
        (r.Loss(name="sparse_categorical_crossentropy"), "softmax"),
        (r.Loss(from_logits=True), "linear"),
        (r.Loss(name="sparse_categorical_crossentropy", from_logits=True), "linear"),
    ],
    ids=lambda x: str(x)[:60],
)
def test_every_loss_is_kerass(loss: r.Loss, activation: Any, network: Build) -> None:
    """Cross-entropies on a softmax and on logits, smoothed and sparse."""
    head = (r.Flatten(name="flat"), r.Dense(name="head", units=4, activation=activation))
    _compare(network(conv(), *head, shape=SHAPE), _recipe(loss=loss))


def test_the_scaling_is_the_recipes(network: Build) -> None:
    """Pixels from -1 to 1 give other numbers than pixels from 0 to 1, the same as for Keras."""
    _compare(network(conv(), *HEAD, shape=SHAPE), _recipe(scaling=r.InputScaling(scale=2 / 255, offset=-1)))
