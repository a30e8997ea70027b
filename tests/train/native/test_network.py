"""What a step computes by itself: finite differences, Dropout, padding lanes, and the same bits again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from grader import records as r
from grader.train.native.network import Network
from grader.train.native.optimizers import Optimizer
from grader.train.native.team import Team

TEAM = Team()
Build = Callable[..., r.ModelDescription]
SHAPE = (8, 8, 1)
RECIPE = r.TrainingRecipe(optimizer=r.Adam(), epochs=1, batch_size=50, learning_rates=(0.01,))


def _layers(*dropped: r.Layer) -> tuple[r.Layer, ...]:
    return (
        r.Conv2D(name="a", filters=6, kernel_size=(3, 3), activation="tanh"),
        *dropped,
        r.AveragePooling2D(name="p"),
        r.Flatten(name="flat"),
        r.Dense(name="head", units=4, activation="softmax"),
    )


def _data(images: int = 50) -> tuple[Any, Any]:
    random = np.random.default_rng(3)
    return random.integers(0, 256, (images, 64), np.uint8), random.integers(0, 4, images)


DROPPED: dict[str, tuple[r.Layer, ...]] = {
    "dropout": (r.Dropout(name="d", rate=0.3),),
    "spatial dropout": (r.SpatialDropout2D(name="d", rate=0.3),),
    "batch norm and dropout": (r.BatchNormalization(name="n"), r.Dropout(name="d", rate=0.3)),
    "batch norm": (r.BatchNormalization(name="n"),),
}


@pytest.mark.parametrize("case", DROPPED)
def test_gradients_are_finite_differences(case: str, network: Build) -> None:
    """Along random directions, the same masks drawn: the loss changes as its gradient says, to 1 %."""
    model = Network(network(*_layers(*DROPPED[case]), shape=SHAPE), RECIPE, seed=1, team=TEAM)
    images, labels = _data()
    chosen, start = np.arange(50), model.weights.copy()

    def at(weights: Any) -> tuple[float, Any]:
        model.weights[:] = weights
        model.random = np.random.default_rng(9)
        outcome, slopes = model.slopes(images, labels, chosen)
        return outcome.loss, slopes

    _, slopes = at(start)
    random = np.random.default_rng(2)
    for _ in range(4):
        direction = np.sign(slopes) * random.uniform(0, 1, slopes.size).astype(np.float32)
        step = np.float32(2e-3)
        change = (at(start + step * direction)[0] - at(start - step * direction)[0]) / (2 * step)
        assert change == pytest.approx(float(slopes @ direction), rel=0.01)


@pytest.mark.parametrize(("case", "per"), [("dropout", 1), ("spatial dropout", 36)])
def test_dropout_drops_at_its_rate_and_makes_up_for_it(case: str, per: int, network: Build) -> None:
    """Of all numbers 30 % are zero, to five deviations, the others 1/0.7 times what they were."""
    model = Network(network(*_layers(*DROPPED[case]), shape=SHAPE), RECIPE, seed=1, team=TEAM)
    images, labels = _data()
    kept, total = 0, 0
    masks = []
    for _ in range(20):
        model.slopes(images, labels, np.arange(50))
        values = model.memory.values[:3]
        size = 36 * 6 * 16
        # The convolution's sum, its tanh and the dropped one lie one after another, each before its gradient.
        start = 64 * 16 + 2 * size
        before, after = values[:, start : start + size], values[:, start + 2 * size : start + 3 * size]
        mask = after != 0
        np.testing.assert_allclose(after[mask], before[mask] / np.float32(0.7), rtol=1e-6)
        kept, total = kept + int(mask.sum()), total + mask.size
        masks.append(mask)
    assert kept / total == pytest.approx(0.7, abs=5 * np.sqrt(0.21 * per / total))
    assert (masks[0] != masks[1]).mean() > 0.3  # 2 * 0.3 * 0.7 = 0.42 for independent ones
    assert (masks[0][0] != masks[0][1]).mean() > 0.3


def _trained(model: Network, steps: int = 5) -> Any:
    images, labels = _data()
    optimizer = Optimizer(r.Adam(), 0.01, model.plan.variables, model.plan.parameters)
    losses = [model.step(images, labels, np.arange(50), optimizer).loss for _ in range(steps)]
    return losses, model.get_weights()


def test_the_same_seed_gives_the_same_bits_on_any_number_of_threads(network: Build) -> None:
    """Losses and weights are equal bit by bit on one thread and on all; another seed gives others."""
    built = network(*_layers(*DROPPED["batch norm and dropout"]), shape=SHAPE)
    losses, weights = _trained(Network(built, RECIPE, seed=1, team=Team(3)))
    again, once_more = _trained(Network(built, RECIPE, seed=1, team=Team(1)))
    assert losses == again
    for a, b in zip(weights, once_more, strict=True):
        np.testing.assert_array_equal(a, b)
    assert _trained(Network(built, RECIPE, seed=2, team=TEAM))[0] != losses


def test_a_loss_that_is_no_number_is_seen(network: Build) -> None:
    """One weight that is not a number makes the loss none, and is not hidden by a ReLU."""
    layers = (r.Conv2D(name="a", filters=6, kernel_size=(3, 3), activation="relu"), r.MaxPooling2D(name="m"))
    model = Network(network(*layers, *_layers()[1:], shape=SHAPE), RECIPE, seed=1, team=TEAM)
    model.weights[0] = np.nan
    images, labels = _data()
    assert np.isnan(model.slopes(images, labels, np.arange(50))[0].loss)


@pytest.mark.parametrize(
    ("initializer", "mean", "deviation", "farthest"),
    [
        (r.VarianceScaling(), 0.0, np.sqrt(2 / 144), np.sqrt(6 / 144)),
        (
            r.VarianceScaling(scale=2.0, mode="fan_in", distribution="truncated_normal"),
            0.0, np.sqrt(2 / 80), 2 * np.sqrt(2 / 80) / 0.8796,
        ),
        (r.VarianceScaling(mode="fan_out", distribution="untruncated_normal"), 0.0, 1 / 8, 1.0),
        (r.RandomNormal(mean=0.5, stddev=0.1), 0.5, 0.1, 0.6),
        (r.TruncatedNormal(stddev=0.1), 0.0, 0.08796, 0.2),
        (r.RandomUniform(minval=0.0, maxval=1.0), 0.5, np.sqrt(1 / 12), 0.5),
        (r.RandomUniform(minval=1.0, maxval=0.0), 0.5, np.sqrt(1 / 12), 0.5),
        (r.Orthogonal(gain=2.0), 0.0, 2 * np.sqrt(1 / 80), 2.0),
    ],
    ids=lambda x: getattr(x, "type", ""),
)  # fmt: skip
def test_initial_weights_have_kerass_distribution(
    initializer: Any, mean: float, deviation: float, farthest: float
) -> None:
    """Mean and deviation of 40 kernels, and how far they go; 80 inputs and 64 outputs each."""
    from grader.train.native import initial
    from grader.train.native.plan import Variable

    variable = Variable(0, "kernel", (2, 2, 20, 16), 0, initializer)
    random = np.random.default_rng(8)
    drawn = np.stack([initial.values(variable, random) for _ in range(40)])
    assert drawn.mean() == pytest.approx(mean, abs=6 * deviation / np.sqrt(drawn.size))
    assert drawn.std() == pytest.approx(deviation, rel=0.02)
    assert np.abs(drawn - mean).max() <= farthest * 1.001
    if isinstance(initializer, r.Orthogonal):
        rows = drawn[0].reshape(80, 16)
        np.testing.assert_allclose(rows.T @ rows, 4 * np.eye(16), atol=1e-5)
