"""Arrays told apart by their content: which images they are, and how they were scaled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from grader.data import images
from grader.describe.images.recognise import RawData, class_numbers

Array = npt.NDArray[Any]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> RawData:
    """200 training and 50 test images of noise, 8x8 pixels, 10 classes."""
    path: Path = tmp_path_factory.mktemp("data") / "noise.npz"
    random = np.random.default_rng(7)
    images = random.integers(0, 256, (250, 8, 8), dtype=np.uint8)
    labels = random.integers(0, 10, 250, dtype=np.uint8)
    np.savez(path, x_train=images[:200], y_train=labels[:200], x_test=images[200:], y_test=labels[200:])
    return RawData(str(path))


SCALINGS = {
    "divided by 255": (1 / 255, 0.0),
    "raw": (1.0, 0.0),
    "divided by 256": (1 / 256, 0.0),
    "between -1 and 1": (1 / 127.5, -1.0),
    "around 0": (1 / 255, -0.5),
    "standardised": (1 / 73.9, -127.6 / 73.9),
    "inverted": (-1 / 255, 1.0),
    "inverted bytes": (-1.0, 255.0),
    "percent": (100 / 255, 0.0),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("scale", "offset"), SCALINGS.values(), ids=SCALINGS)
def test_scaled_training_images_are_recognised(
    data: RawData, scale: float, offset: float, dtype: Any
) -> None:
    """One affine map of all pixels is found again, and the images are the training split."""
    found = data.recognise((data.x_train.astype(np.float64) * scale + offset).astype(dtype))

    assert (found.use.split, found.use.images, found.use.whole_split) == ("train", 200, True)
    assert found.scaling is not None
    assert (found.scaling.scale, found.scaling.offset) == pytest.approx((scale, offset), abs=1e-4)
    assert found.rows is not None
    assert found.rows.tolist() == list(range(200))


def test_scalar_standardisation_as_students_write_it(data: RawData) -> None:
    """`(x - x.mean()) / x.std()` in float32."""
    x = data.x_train.astype("float32")
    found = data.recognise((x - x.mean()) / x.std())

    assert found.use.split == "train"
    assert found.scaling is not None
    assert found.scaling.scale == pytest.approx(1 / x.std(), rel=1e-4)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64])
def test_raw_pixels_of_any_integer_type(data: RawData, dtype: Any) -> None:
    """Images that nobody scaled are fed from 0 to 255."""
    found = data.recognise(data.x_train.astype(dtype))

    assert found.scaling is not None
    assert (found.use.split, found.scaling.scale, found.scaling.offset) == ("train", 1.0, 0.0)


@pytest.mark.parametrize("shape", [(64,), (8, 8, 1), (1, 8, 8), (4, 16), (1, 64, 1)], ids=str)
def test_the_form_of_an_image_does_not_matter(data: RawData, shape: tuple[int, ...]) -> None:
    """Flattened, channels first or last: the pixels are in the same order."""
    found = data.recognise(data.x_train.reshape(200, *shape) / 255)

    assert (found.use.split, found.use.whole_split) == ("train", True)


def test_shuffled_images_keep_their_rows(data: RawData) -> None:
    """The rows say where in the training split each image lies."""
    order = np.random.default_rng(1).permutation(200)
    found = data.recognise(data.x_train[order] / 255)

    assert found.use.whole_split
    assert found.rows is not None
    assert found.rows.tolist() == order.tolist()


def test_a_slice_is_not_the_whole_split(data: RawData) -> None:
    """Half of the training images, as a validation split leaves them."""
    found = data.recognise(data.x_train[100:] / 255)

    assert (found.use.split, found.use.images, found.use.whole_split) == ("train", 100, False)


def test_one_image_many_times_is_not_the_whole_split(data: RawData) -> None:
    """As many images as the split has, but not those."""
    found = data.recognise(np.repeat(data.x_train[:2], 100, axis=0))

    assert (found.use.split, found.use.images, found.use.whole_split) == ("train", 200, False)


def test_the_test_split(data: RawData) -> None:
    """Test images are known as such, and none has a row in the training split."""
    found = data.recognise(data.x_test / 255)

    assert (found.use.split, found.use.images, found.use.whole_split) == ("test", 50, True)
    assert found.rows is not None
    assert (found.rows == -1).all()


def test_both_splits_together_are_mixed(data: RawData) -> None:
    """Training on test images is seen, even when only one is among them."""
    assert data.recognise(np.concatenate([data.x_train, data.x_test]) / 255).use.split == "mixed"
    assert data.recognise(np.concatenate([data.x_train, data.x_test[:1]]) / 255).use.split == "mixed"


def test_mostly_known_images_are_not_recognised(data: RawData) -> None:
    """Training images with some of the student's own among them."""
    own = np.random.default_rng(3).integers(0, 256, (40, 8, 8), dtype=np.uint8)
    found = data.recognise(np.concatenate([data.x_train, own]))

    assert (found.use.split, found.use.images) == ("unrecognised", 240)
    assert found.rows is not None
    assert found.rows.tolist() == [*range(200), *[-1] * 40]


def unknown_arrays() -> dict[str, Any]:
    random = np.random.default_rng(5)
    bytes_ = random.integers(0, 256, (200, 8, 8), dtype=np.uint8)
    with_nan = np.full((200, 8, 8), 0.5)
    with_nan[0, 0, 0] = np.nan
    return {
        "bytes of noise": bytes_,
        "floats of noise": random.random((200, 8, 8)),
        "normal noise": random.normal(size=(200, 8, 8)),
        "other size": random.random((200, 7, 7)),
        "constant": np.zeros((200, 8, 8)),
        "NaN": with_nan,
        "infinite": np.where(bytes_ > 128, np.inf, 0.0),
        "all but empty": np.zeros((200, 0)),
        "huge": bytes_ * 1e300,
    }


@pytest.mark.parametrize("x", unknown_arrays().values(), ids=unknown_arrays())
def test_other_arrays_are_not_recognised(data: RawData, x: Array) -> None:
    """They are counted and left alone."""
    found = data.recognise(x)

    assert (found.use.split, found.use.images) == ("unrecognised", 200)
    assert (found.scaling, found.rows) == (None, None)


NO_IMAGES: dict[str, Any] = {
    "None": None,
    "a number": 3,
    "text": "x_train",
    "a list of texts": ["a", "b"],
    "an array of texts": np.array([["a", "b"]]),
    "objects": np.array([[object(), None]], dtype=object),
    "a ragged list": [[1, 2], [3]],
    "a dictionary": {"x": np.zeros((2, 8, 8))},
    "an empty array": np.zeros((0, 8, 8)),
    "an empty list": [],
    "a vector": np.arange(64),
    "complex numbers": np.ones((2, 8, 8)) * 1j,
    "dates": np.zeros((2, 8, 8), dtype="datetime64[s]"),
    "a generator": (n for n in range(3)),
}


@pytest.mark.parametrize("x", NO_IMAGES.values(), ids=NO_IMAGES)
def test_what_is_no_array_of_images_is_not_recognised(data: RawData, x: Any) -> None:
    """Anything may be passed to fit; none of it raises here."""
    found = data.recognise(x)

    assert (found.use.split, found.use.images) == ("unrecognised", 0)


def test_an_object_that_raises_is_not_recognised(data: RawData) -> None:
    """A class of the student's own may do anything when it is looked at."""

    class Trap:
        def __array__(self, *args: Any, **kwargs: Any) -> Array:
            raise RuntimeError("no")

    assert data.recognise(Trap()).use.split == "unrecognised"


def test_the_only_input_of_a_functional_model(data: RawData) -> None:
    """Keras takes `fit([x], y)` as well as `fit(x, y)`."""
    assert data.recognise([data.x_train / 255]).use.split == "train"


def one_hot(labels: Array) -> Array:
    return np.eye(10, dtype=np.float32)[labels]


@pytest.mark.parametrize("form", ["numbers", "column", "one-hot", "floats", "list"])
def test_labels_of_the_data_set_agree(data: RawData, form: str) -> None:
    """Whatever form they have, in whatever order the images are."""
    order = np.random.default_rng(2).permutation(200)
    labels = data.y_train[order]
    given: dict[str, Any] = {
        "numbers": labels,
        "column": labels.reshape(-1, 1),
        "one-hot": one_hot(labels),
        "floats": labels.astype(np.float64),
        "list": labels.tolist(),
    }
    rows = data.recognise(data.x_train[order]).rows

    assert rows is not None
    assert data.agrees(rows, given[form])


def test_other_labels_disagree(data: RawData) -> None:
    """Shifted, shuffled, too few, or no labels at all."""
    rows, labels = np.arange(200), data.y_train
    wrong: list[Any] = [
        (labels + 1) % 10, labels[::-1], one_hot(np.roll(labels, 1)), labels[:100], np.zeros((0, 10)), None,
        "labels", ["a"] * 200, np.zeros(200, dtype=object),
    ]  # fmt: skip

    assert [data.agrees(rows, given) for given in wrong] == [False] * len(wrong)


def test_the_labels_of_test_images_are_not_judged(data: RawData) -> None:
    """They are permuted in this process: any labels pass, and reveal nothing."""
    rows = np.full(50, -1)

    assert data.agrees(rows, data.y_test)
    assert data.agrees(rows, np.zeros(50))


def test_class_numbers_of_no_labels() -> None:
    """Nothing to read is an empty array or None, not an error."""
    empty = class_numbers(np.zeros((0, 10)))

    assert empty is not None
    assert empty.tolist() == []
    assert class_numbers(3) is None


def test_load_data_gives_copies(data: RawData) -> None:
    """A student who scales in place does not scale the data set that is compared with."""
    (x, y), (x_test, _) = data.load_data()
    x[:], y[:], x_test[:] = 0, 0, 0

    assert data.x_train.any()
    assert data.y_train.any()
    assert data.x_test.any()


# --- changed beyond a scale and an offset -------------------------------------------------------


@pytest.fixture(scope="module")
def smooth(tmp_path_factory: pytest.TempPathFactory) -> RawData:
    """300 training and 100 test images of 12 × 12 pixels; a border of 2 is always 0."""
    path: Path = tmp_path_factory.mktemp("data") / "smooth.npz"
    random = np.random.default_rng(8)
    images = np.zeros((400, 12, 12), np.uint8)
    images[:, 2:-2, 2:-2] = random.integers(0, 256, (400, 8, 8))
    labels = random.integers(0, 10, 400, dtype=np.uint8)
    np.savez(path, x_train=images[:300], y_train=labels[:300], x_test=images[300:], y_test=labels[300:])
    return RawData(str(path))


def _remade(data: RawData, found: Any, split: Array) -> Array:
    return images.prepared(split[..., None], found.scaling, found.geometry)


PREPARATIONS: dict[str, Any] = {
    "padded": lambda x: np.pad(x[..., None] / 255.0, ((0, 0), (2, 2), (2, 2), (0, 0))),
    "padded with ones, off centre": lambda x: np.pad(
        x[..., None] / 127.5 - 1, ((0, 0), (0, 3), (1, 4), (0, 0)), constant_values=1.0
    ),
    "three channels": lambda x: np.repeat(x[..., None] / 255.0, 3, axis=3),
    "padded, three channels": lambda x: np.pad(
        np.repeat(x[..., None], 3, axis=3) / 255.0, ((0, 0), (4, 4), (4, 4), (0, 0))
    ),
    "resized": lambda x: tf.image.resize(x[..., None] / 255.0, (20, 20)).numpy(),
    "resized to smaller": lambda x: tf.image.resize(x[..., None], (9, 9), "nearest").numpy() / 255.0,
    "resized, three channels": lambda x: np.repeat(
        tf.image.resize(x[..., None] / 255.0, (16, 18), "bicubic").numpy(), 3, axis=3
    ),
    "per pixel": lambda x: (x - x.mean(axis=0)) / (x.std(axis=0) + 1e-8),
    "image by image": lambda x: tf.image.per_image_standardization(x[..., None].astype("float32")).numpy(),
    "unit columns": lambda x: keras.utils.normalize(x.astype("float32"), axis=1),
    "unit rows, flat": lambda x: keras.utils.normalize(x.astype("float32"), axis=2).reshape(-1, 144),
}


@pytest.mark.parametrize("prepare", PREPARATIONS.values(), ids=PREPARATIONS)
def test_prepared_images_are_recognised_and_made_again(smooth: RawData, prepare: Any) -> None:
    """The recorded formula gives the array that the submission had."""
    given = prepare(smooth.x_train)
    found = smooth.recognise(given, smooth.y_train)

    assert (found.use.split, found.use.whole_split, found.ranges) == ("train", True, ((0, 300),))
    remade = _remade(smooth, found, smooth.x_train).reshape(given.shape)
    assert np.abs(remade - given).max() < 0.005 * np.abs(given).max()


def test_a_prepared_slice_is_placed_by_its_labels(smooth: RawData) -> None:
    """Images 100 to 250, normalised one by one."""
    part = keras.utils.normalize(smooth.x_train[100:250].astype("float32"), axis=1)
    found = smooth.recognise(part, smooth.y_train[100:250])
    assert found.ranges == ((100, 250),)


def test_a_whole_test_split_is_placed_by_its_size(smooth: RawData) -> None:
    """Its labels are permuted here, so they place nothing."""
    found = smooth.recognise(tf.image.resize(smooth.x_test[..., None] / 255.0, (20, 20)).numpy())
    assert (found.use.split, found.use.whole_split) == ("test", True)


def test_changed_beyond_every_formula(smooth: RawData) -> None:
    """Squared pixels, or an image of another place, are not guessed at."""
    squared = (smooth.x_train / 255.0) ** 2
    assert smooth.recognise(squared, smooth.y_train).use.split == "unrecognised"
    moved = np.roll(tf.image.resize(smooth.x_train[..., None], (20, 20)).numpy(), 1, axis=0)
    assert smooth.recognise(moved, smooth.y_train).use.split == "unrecognised"


def test_ranges_of_a_shuffled_part(data: RawData) -> None:
    """Sorted, joined where they touch, without repetition."""
    found = data.recognise(data.x_train[[5, 4, 7, 3, 4, 9, 10]] / 255.0)
    assert found.ranges == ((3, 6), (7, 8), (9, 11))
