"""Attempts by symmetry: which relabelling a seed draws, and where transposing images is exact."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from grader import records as r
from grader.judge import symmetry
from grader.layers.shapes import analyse
from grader.train import symmetric
from grader.train.keras import build

IMAGE = (28, 28, 1)
DENSE = (r.Flatten(name="flat"), r.Dense(name="scores", units=10))


@pytest.mark.parametrize("classes", [2, 3, 10, 100])
def test_no_class_keeps_its_number(classes: int) -> None:
    """Every class has one number, none its own; the same seed draws the same."""
    for seed in range(20):
        numbers = symmetry.drawn(seed, classes, True).classes
        assert sorted(numbers) == list(range(classes))
        assert all(number != place for place, number in enumerate(numbers))
        assert symmetry.drawn(seed, classes, True).classes == numbers


def test_seeds_draw_different_symmetries() -> None:
    """The published seeds' are known to everyone and all different; some transpose, some do not."""
    drawn = [symmetry.drawn(seed, 10, True) for seed in r.PUBLISHED_SEEDS]
    assert len({one.classes for one in drawn}) == len(drawn)
    assert {one.transposed for one in drawn} == {True, False}
    assert not any(symmetry.drawn(seed, 10, False).transposed for seed in r.PUBLISHED_SEEDS)


@pytest.fixture
def exact(network: Callable[..., Any], recipe: Callable[..., Any]) -> Callable[..., bool]:
    """Whether transposing is exact for some layers, with a recipe with changes."""

    def run(
        *layers: r.Layer, shape: tuple[int, ...] = IMAGE, image: tuple[int, int, int] = IMAGE, **changes: Any
    ) -> bool:
        built = network(*layers, shape=shape)
        return symmetry.is_transposable(built, analyse(built), (recipe(**changes),), image)

    return run


def conv(**changes: Any) -> r.Conv2D:
    return r.Conv2D(**({"name": "c", "filters": 4, "kernel_size": (3, 3)} | changes))


ALIKE: list[tuple[r.Layer, ...]] = [
    (conv(padding="same", strides=(2, 2)), *DENSE),
    (
        r.DepthwiseConv2D(name="d", kernel_size=(5, 5)),
        r.SeparableConv2D(name="s", filters=3, kernel_size=(3, 3)),
        *DENSE,
    ),
    (
        r.ZeroPadding2D(name="z", padding=((1, 2), (1, 2))),
        r.Cropping2D(name="k", cropping=((0, 3), (0, 3))),
        *DENSE,
    ),
    (
        r.UpSampling2D(name="u"),
        r.MaxPooling2D(name="m", padding="same"),
        r.AveragePooling2D(name="a"),
        *DENSE,
    ),
    (r.BatchNormalization(name="b"), r.PReLU(name="p", shared_axes=(1, 2)), r.LeakyReLU(name="l"), *DENSE),
    (
        conv(),
        r.Conv2DTranspose(name="t", filters=2, kernel_size=(3, 3), strides=(2, 2)),
        r.LayerNormalization(name="n"),
        *DENSE,
    ),
    (r.Resizing(name="r", height=14, width=14), r.Rescaling(name="x", scale=2.0), *DENSE),
    (
        conv(filters=10, kernel_size=(28, 28)),
        r.Flatten(name="f"),
        r.ActivationLayer(name="s", activation="softmax"),
    ),
    (conv(filters=10), r.GlobalAveragePooling2D(name="g")),
]


@pytest.mark.parametrize("layers", ALIKE, ids=lambda layers: "-".join(layer.type for layer in layers))
def test_transposed_weights_give_the_same_scores(
    layers: tuple[r.Layer, ...], exact: Callable[..., bool], network: Callable[..., Any]
) -> None:
    """What is called exact is: kernels with rows and columns exchanged answer transposed images alike."""
    assert exact(*layers)
    keras.utils.set_random_seed(1)
    one, other = (build.model(network(*layers)) for _ in range(2))
    images = np.random.default_rng(1).random((3, *IMAGE)).astype(np.float32)
    maps = next(
        (layer.input.shape[1:] for layer in one.layers if isinstance(layer, keras.layers.Flatten)), ()
    )
    for layer, turned in zip(one.layers, other.layers, strict=True):
        turned.set_weights([_turned(layer, weight, maps) for weight in layer.get_weights()])
    np.testing.assert_allclose(other(images.swapaxes(1, 2)), one(images), rtol=1e-4, atol=1e-5)


def _turned(layer: Any, weight: Any, maps: tuple[int, ...]) -> Any:
    """Kernels with their first two axes exchanged; so the rows of a Dense layer behind flattened ``maps``."""
    if weight.ndim == 4 or (weight.ndim == 3 and isinstance(layer, keras.layers.PReLU)):
        return weight.swapaxes(0, 1)
    if isinstance(layer, keras.layers.Dense) and weight.ndim == 2:
        return weight.reshape(*maps, -1).swapaxes(0, 1).reshape(weight.shape)
    return weight


NOT_ALIKE: list[tuple[tuple[r.Layer, ...], dict[str, Any]]] = [
    ((conv(kernel_size=(3, 5)), *DENSE), {}),
    ((conv(strides=(2, 1)), *DENSE), {}),
    ((r.ZeroPadding2D(name="z", padding=((1, 1), (2, 2))), *DENSE), {}),
    ((r.Permute(name="p", dims=(2, 1, 3)), *DENSE), {}),
    ((r.Reshape(name="r", target_shape=(14, 56, 1)), *DENSE), {}),
    ((conv(kernel_size=(27, 24), filters=1), r.Flatten(name="f")), {}),
    ((r.PReLU(name="p", shared_axes=(1,)), *DENSE), {}),
    ((r.RandomFlip(name="f", mode="horizontal"), *DENSE), {}),
    ((r.RandomTranslation(name="f", height_factor=(0, 0.1), width_factor=(0, 0.2)), *DENSE), {}),
    (DENSE, {"shape": (28, 28)}),
    (DENSE, {"image": (28, 27, 1)}),
    (DENSE, {"scaling": r.InputScaling(pixel_scale=(0.1,) * 784, pixel_offset=(0.0,) * 784)}),
    (DENSE, {"scaling": r.InputScaling(per_image="unit_rows")}),
    (DENSE, {"augmentation": r.Augmentation(shear_range=1.0)}),
    (DENSE, {"augmentation": r.Augmentation(width_shift_range=0.1)}),
    (DENSE, {"geometry": r.Geometry(padding=((2, 2), (0, 0)))}),
]


@pytest.mark.parametrize(("layers", "changes"), NOT_ALIKE)
def test_what_treats_rows_and_columns_differently_is_not_transposed(
    layers: tuple[r.Layer, ...], changes: dict[str, Any], exact: Callable[..., bool]
) -> None:
    """Kernels, strides, margins, shifts and scalings that are not alike, and sequences of rows."""
    assert not exact(*layers, **changes)


def test_what_an_attempt_trains_on(network: Callable[..., Any], recipe: Callable[..., Any]) -> None:
    """Labels and class weights under the new numbers, images transposed, each weight still with its image."""
    job = r.TrainJob(
        network=network(*DENSE), training=(recipe(class_weights=(1.0, 2.0, 3.0), sample_weights=()),),
        dataset=r.DatasetSpec(name="x", path="x", sha256="0" * 64), seed=1, max_epochs=1,
        symmetry=r.Symmetry(classes=(1, 3, 0, 2), transposed=True),
    )  # fmt: skip
    labels = np.array([0, 1, 2, 3], np.uint8)
    images = np.arange(4 * 6, dtype=np.uint8).reshape(4, 2, 3, 1)
    given = {"x_train": images, "x_test": images, "y_train": labels, "y_test": labels}
    changed, arrays = symmetric.applied(job, given)
    assert arrays["y_test"].tolist() == [1, 3, 0, 2]
    assert arrays["y_test"].dtype == labels.dtype
    assert arrays["x_train"].shape == (4, 3, 2, 1)
    assert (arrays["x_train"][1, :, :, 0] == images[1, :, :, 0].T).all()
    assert changed.training[0].class_weights == (3.0, 1.0, 1.0, 2.0)
    untouched, same = symmetric.applied(job.model_copy(update={"symmetry": r.AS_HANDED_IN}), given)
    assert untouched.training == job.training
    assert same == given
