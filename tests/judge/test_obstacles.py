"""What is said of a description that cannot be retrained, before anything of it is allocated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from grader import records as r
from grader.data import datasets
from grader.errors import StudentError
from grader.judge import obstacles
from grader.layers import shapes

MNIST = datasets.load(datasets.MNIST)
POLICY = r.TrainingPolicy()


@pytest.fixture
def said(network: Callable[..., Any], recipe: Callable[..., Any]) -> Callable[..., str]:
    """The obstacle for a small network with some changes to its recipe."""

    def run(shape: tuple[int, ...] = (28, 28, 1), **changes: Any) -> str:
        built = network(r.Flatten(name="a"), r.Dense(name="b", units=10), shape=shape)
        fits = (recipe(**changes),)
        found = obstacles.obstacle(built, shapes.analyse(built), fits, MNIST, POLICY)
        return found.sentence if found is not None else ""

    return run


FITTING: list[dict[str, Any]] = [
    {},
    {"rows": ((0, 10), (10, 20), (59_000, 60_000)), "held_out": ((20, 30),)},
    {"rows": ((0, 2),), "sample_weights": (1.0, 2.0)},
    {"scaling": r.InputScaling(pixel_scale=(0.1,) * 784, pixel_offset=(0.0,) * 784)},
    {"steps_per_epoch": 5_000, "batch_size": 32},
    {"augmentation": r.Augmentation(rotation_range=10)},
]


@pytest.mark.parametrize("changes", FITTING, ids=lambda changes: ", ".join(changes))
def test_what_fits_has_no_obstacle(said: Callable[..., str], changes: dict[str, Any]) -> None:
    """Parts, weights, maps, steps and augmentation within the data set."""
    assert said(**changes) == ""


MEAN = MNIST.x_train.mean(axis=0, dtype=np.float64)
DEVIATION = MNIST.x_train.std(axis=0, dtype=np.float64)
HALF = MNIST.x_train[:30_000].mean(axis=0, dtype=np.float64)


def _by_pixel(scale: Any, mean: Any, more: Any = 0.0) -> r.InputScaling:
    scale = np.broadcast_to(scale, MEAN.shape)
    offset = more - mean * scale
    return r.InputScaling(
        pixel_scale=tuple(scale.ravel().tolist()), pixel_offset=tuple(offset.ravel().tolist())
    )


STANDARD: dict[str, tuple[r.InputScaling, r.Rows]] = {
    "mean image": (_by_pixel(1 / 255, MEAN), ()),
    "StandardScaler": (_by_pixel(1 / np.where(DEVIATION == 0, 1, DEVIATION), MEAN), ()),
    "with an epsilon": (_by_pixel(1 / (DEVIATION + 255e-6), MEAN), ()),
    "deviations alone": (_by_pixel(1 / (DEVIATION + 1e-3), 0.0), ()),
    "of a part": (_by_pixel(1 / 255, HALF), ((0, 30_000),)),
}


@pytest.mark.parametrize("name", STANDARD)
def test_standardized_pixels_are_fine(said: Callable[..., str], name: str) -> None:
    """By the mean and the deviation of each pixel, as the usual recipes have it."""
    scaling, rows = STANDARD[name]
    assert said(scaling=scaling, rows=rows) == ""


def test_a_scaling_by_pixel_brings_no_numbers_of_its_own(said: Callable[..., str]) -> None:
    """What is not the data's own statistics, or lies in a padding, could be a trained network."""
    random = np.random.default_rng(1)
    noise = random.normal(size=MEAN.shape)
    assert "no standardization" in said(scaling=_by_pixel(1 / 255, MEAN, noise))
    assert "no standardization" in said(scaling=_by_pixel(1 + random.random(MEAN.shape), MEAN))
    assert "no standardization" in said(scaling=_by_pixel(1 / 255, HALF))
    assert "no standardization" in said(scaling=_by_pixel(1 / 255, MEAN, 900_000 + 4_000 * noise))
    padded = r.Geometry(padding=((2, 2), (2, 2)))
    wide = r.InputScaling(pixel_scale=(0.1,) * 1_024, pixel_offset=(0.0,) * 1_024)
    assert "no standardization" in said(shape=(32, 32, 1), geometry=padded, scaling=wide)


def test_a_submission_that_fixes_too_much_goes_to_a_person(network: Any, recipe: Any) -> None:
    """Statistics of three channels are preparation; those of a thousand places could be a network."""
    random = np.random.default_rng(1)

    def found(places: int) -> str:
        mean, variance = (tuple(random.random(places).tolist()) for _ in range(2))
        statistics = r.Normalization(name="n", mean=mean, variance=variance)
        built = network(statistics, r.Flatten(name="y"), r.Dense(name="z", units=10), shape=(28, 28, places))
        return r.sentences(obstacles._brings_numbers(built, (recipe(),), MNIST))

    assert found(3) == ""
    assert "could hold trained weights" in found(1_000)


def test_padded_images_fit_a_larger_network(said: Callable[..., str]) -> None:
    """32 × 32 from 28 × 28; without the padding they do not fit."""
    padded = r.Geometry(padding=((2, 2), (2, 2)))
    assert said(shape=(32, 32, 1), geometry=padded) == ""
    assert "not what its network takes" in said(shape=(32, 32, 1))
    assert "not what its network takes" in said(geometry=padded)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"rows": ((0, 60_001),)}, "rows"),
    ({"rows": ((5, 10), (9, 12))}, "rows"),
    ({"rows": ((7, 7),)}, "rows"),
    ({"held_out": ((59_999, 70_000),)}, "rows"),
    ({"rows": ((0, 3),), "sample_weights": (1.0, 2.0)}, "sample weights"),
    ({"sample_weights": (1.0, 2.0)}, "sample weights"),
    ({"scaling": r.InputScaling(pixel_scale=(0.1,) * 783, pixel_offset=(0.0,) * 783)}, "by pixel"),
    ({"scaling": r.InputScaling(pixel_scale=(0.1,) * 784)}, "by pixel"),
    ({"steps_per_epoch": 1_000_000}, "passes"),
    (
        {"unsupported": (r.because("loss", "focal"),)},
        "as handed in: grader has no record for the loss 'focal'",
    ),
    ({"pretrained": "load_weights('x.h5')"}, "only retraining counts"),
    ({"batch_size": 1_000_000, "geometry": r.Geometry()}, "feature maps"),
]


@pytest.mark.parametrize(("changes", "why"), REFUSED, ids=lambda x: x if isinstance(x, str) else ", ".join(x))
def test_what_does_not_fit_is_named(said: Callable[..., str], changes: dict[str, Any], why: str) -> None:
    """A forged recipe reaches no row that is not there, and no memory that is not given."""
    assert why in said(**changes)


def test_images_that_would_fill_the_memory(said: Callable[..., str]) -> None:
    """60,000 images of 500 × 500 pixels are 60 GB."""
    large = r.Geometry(resized=(500, 500))
    assert "more memory" in said(shape=(500, 500, 1), geometry=large)


def test_augmentation_of_flat_images(said: Callable[..., str]) -> None:
    """An ImageDataGenerator moves images; 784 numbers are none."""
    change = r.Augmentation(rotation_range=10)
    assert "ImageDataGenerator" in said(shape=(784,), augmentation=change)


def test_a_network_for_padded_images_is_no_error(network: Any, recipe: Any) -> None:
    """The student is told of a misfit by the shape that the images really have."""
    built = network(r.Flatten(name="a"), r.Dense(name="b", units=10), shape=(32, 32, 1))
    padded = (recipe(geometry=r.Geometry(padding=((2, 2), (2, 2)))),)
    obstacles.check_fit(built, shapes.analyse(built), padded, MNIST)
    with pytest.raises(StudentError, match=r"images are \(28, 28, 1\)"):
        obstacles.check_fit(built, shapes.analyse(built), (recipe(),), MNIST)
