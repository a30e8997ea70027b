"""Recognises the arrays passed to `fit` by comparing them with the raw data set.

Arrays are recognised by their content, never by their names: the split that an image came from, and the map
that turned its pixels into inputs, `x * scale + offset` most often (`grader.describe.images.preparation`
tries other maps). The labels of the test split in this process are permuted, so they are never compared.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from grader.describe.images import preparation
from grader.errors import StudentsCode
from grader.records import DataUse, Geometry, InputScaling, Rows

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Recognised:
    """The images in an array, and how they were prepared.

    ``rows`` and ``places`` have one entry for each image; None where the images are unknown.
    """

    use: DataUse
    scaling: InputScaling | None = None
    rows: Array | None = None  # positions in the training split, -1 for other images
    geometry: Geometry = field(default_factory=Geometry)
    places: Array | None = None  # positions among all images: the training split first, then the test split

    @property
    def ranges(self) -> Rows:
        """The rows of the training split among these images, as ranges; sorted, without repetition."""
        if self.rows is None:
            return ()
        rows = np.unique(self.rows[self.rows >= 0])
        if not len(rows):
            return ()
        gaps = np.flatnonzero(np.diff(rows) > 1)
        firsts = rows[np.concatenate([[0], gaps + 1])]
        lasts = rows[np.concatenate([gaps, [len(rows) - 1]])]
        return tuple((int(a), int(b) + 1) for a, b in zip(firsts, lasts, strict=True))

    def distinct(self) -> Recognised:
        """Return each training image once, for data that repeat without end."""
        if self.rows is None:
            return self
        rows = np.unique(self.rows[self.rows >= 0])
        return replace(self, rows=rows, use=self.use.model_copy(update={"images": len(rows)}))

    def other_than(self, others: Recognised) -> int:
        """Count training images that are in only one of the two."""
        ours, theirs = (x.rows if x.rows is not None else np.arange(0) for x in (self, others))
        return len(np.setxor1d(ours, theirs))

    def with_those_of(self, others: Recognised) -> Recognised:
        """Return the training images that are in either."""
        if self.rows is None or others.rows is None:
            return self
        new = np.setdiff1d(others.rows, self.rows)
        return replace(self, rows=np.concatenate([self.rows, new]))

    def times(self) -> int | None:
        """Return how often each training image occurs; None if some images occur more often than others."""
        if self.rows is None or self.use.split != "train":
            return 1
        counts = np.unique(self.rows, return_counts=True)[1]
        usual = int(np.median(counts))
        # A few images of a data set may be equal.
        return usual if (counts != usual).sum() <= max(10, len(counts) // 1000) else None

    def part(self, keep: slice) -> Recognised:
        """Return some of these images, as `validation_split` divides them."""
        if self.rows is None:
            return self
        rows = self.rows[keep]
        use = self.use.model_copy(update={"images": len(rows), "whole_split": False})
        return replace(self, rows=rows, use=use)


class RawData:
    """The data set as far as this process may know it: uint8 images and the training labels."""

    def __init__(self, path: str) -> None:
        with np.load(path, allow_pickle=False) as arrays:
            self.x_train: Array = arrays["x_train"]
            self.y_train: Array = arrays["y_train"]
            self.x_test: Array = arrays["x_test"]
            self.y_test: Array = arrays["y_test"]  # permuted
            # In a replay: some of the test images, changed a little.
            self.x_changed: Array | None = arrays.get("x_changed")

    @property
    def image_shape(self) -> tuple[int, ...]:
        """(rows, columns, channels) of an image."""
        shape = self.x_train.shape[1:]
        return (*shape, 1) if len(shape) == 2 else shape

    def load_data(self, *args: Any, **kwargs: Any) -> Any:
        """Return ((x, y), (x, y)) in fresh copies, in place of `keras.datasets.<name>.load_data`."""
        return (self.x_train.copy(), self.y_train.copy()), (self.x_test.copy(), self.y_test.copy())

    @cached_property
    def _mixer(self) -> Array:
        generator = np.random.default_rng(20_190_101)
        size = int(np.prod(self.x_train.shape[1:]))
        return generator.integers(1, 2**63 - 1, size=size, dtype=np.int64).astype(np.uint64)

    def _keys(self, images: Array) -> Array:
        """Return one 64-bit key per image (a random linear hash; unsigned arithmetic wraps)."""
        flat = images.reshape(len(images), -1)
        return np.concatenate(
            [c.astype(np.uint64) @ self._mixer for c in np.array_split(flat, max(1, len(flat) // _IN_CACHE))]
        )

    @cached_property
    def _known(self) -> tuple[Array, Array]:
        """Sorted keys of all images, and the place of each: training split first, then test."""
        keys = np.concatenate([self._keys(self.x_train), self._keys(self.x_test)])
        order = np.argsort(keys, kind="stable")
        return keys[order], order

    def recognise(self, x: Any, labels: Any = None) -> Recognised:
        """Find out which images ``x`` holds; an array of anything else, or no array, is `unrecognised`.

        ``labels`` help to find the place of images that were changed by more than a scale and an offset.
        """
        array = _as_array(x)
        if array is None or array.ndim < 2 or not len(array):
            return Recognised(DataUse(split="unrecognised"))
        if (known := self._scaled(array)) is not None:
            return known
        for geometry, images in preparation.undone(array, self.image_shape):
            if self._scaled(images[preparation.spread(len(images))]) is None:
                continue
            if (known := self._scaled(images)) is not None and known.scaling is not None:
                return replace(known, geometry=preparation.unscaled(geometry, known.scaling))
        return self._in_order(array, labels) or Recognised(DataUse(split="unrecognised", images=len(array)))

    def _scaled(self, array: Array) -> Recognised | None:
        """Recognise images of any order under one scale and offset, by their content."""
        if array[0].size != self.x_train[0].size:
            return None
        for scaling in _candidates(array):
            pixels = _unscale(array, scaling)
            if pixels is not None:
                rows = self._places(pixels)
                if (rows >= 0).mean() > 0.5:
                    return Recognised(self._use(rows), scaling, self._train_rows(rows), places=rows)
        return None

    def _in_order(self, array: Array, labels: Any) -> Recognised | None:
        """Recognise images changed in other ways, whose place in the data set is known."""
        first = self._first(len(array), class_numbers(labels))
        if (
            first is None or not array.size or not (abs(array[0]).max() < 1e9 and abs(array).max() < 1e9)
        ):  # nor NaN
            return None
        rows = np.arange(first, first + len(array))
        start = first if first < len(self.x_train) else first - len(self.x_train)
        split = self.x_train if first < len(self.x_train) else self.x_test
        raw = split[start : start + len(array)].reshape(-1, *self.image_shape)
        if (found := preparation.find(array, raw)) is None:
            return None
        scaling, geometry = found
        return Recognised(self._use(rows), scaling, self._train_rows(rows), geometry, rows)

    def _first(self, count: int, labels: Array | None) -> int | None:
        """Return the place of the first image: that of the labels in the data set, or of a whole split."""
        if labels is not None and len(labels) == count >= _ENOUGH_LABELS:
            wanted, known = (a.astype(np.int32).tobytes() for a in (labels, self.y_train))
            at = known.find(wanted)
            if at >= 0 and at % 4 == 0:
                return at // 4
        if labels is None and count == len(self.x_test) != len(self.x_train):
            return len(self.x_train)
        return 0 if labels is None and count == len(self.x_train) else None

    def _places(self, pixels: Array) -> Array:
        keys, order = self._known
        wanted = self._keys(pixels)
        at = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
        return np.where(keys[at] == wanted, order[at], -1)

    def _use(self, rows: Array) -> DataUse:
        train = int(((rows >= 0) & (rows < len(self.x_train))).sum())
        test = int((rows >= len(self.x_train)).sum())
        distinct = len(np.unique(rows[rows >= 0]))
        if train + test < len(rows):
            return DataUse(split="unrecognised", images=len(rows))
        if train and test:
            return DataUse(split="mixed", images=len(rows))
        size = len(self.x_train) if train else len(self.x_test)
        # A few images of a data set may be equal, hence the small allowance.
        whole = distinct >= size - max(10, size // 1000)
        return DataUse(split="train" if train else "test", images=len(rows), whole_split=whole)

    def _train_rows(self, rows: Array) -> Array:
        return np.where(rows < len(self.x_train), rows, -1)

    def agrees(self, rows: Array, labels: Any) -> bool:
        """Whether the ``labels`` given with training images ``rows`` are those of the data set."""
        given = class_numbers(labels)
        if given is None or len(given) != len(rows):
            return False
        known = rows >= 0
        return bool((given[known] == self.y_train[rows[known]]).mean() > 0.999) if known.any() else True


def _as_array(x: Any) -> Array | None:
    with StudentsCode():  # a stand-in too may raise anything
        if isinstance(x, list | tuple) and len(x) == 1:
            x = x[0]
        array = np.asarray(x)
        return array if array.dtype.kind in "buif" else None
    return None


def class_numbers(labels: Any) -> Array | None:
    """Turn integer or one-hot labels into class numbers (n,); None for what is neither."""
    array = _as_array(labels)
    if array is None or array.ndim == 0:
        return None
    if array.ndim > 1 and array.shape[-1] > 1:
        return array.reshape(-1, int(np.prod(array.shape[1:]))).argmax(axis=1)
    return array.reshape(-1).astype(np.int64)


def _candidates(x: Array) -> list[InputScaling]:
    """Return affine maps that would bring pixels from 0 to 255 into the range of ``x``."""
    low, high = float(x.min()), float(x.max())
    if not (np.isfinite(low) and np.isfinite(high)) or high == low:
        return []
    usual = [(1 / 255, 0.0), (1.0, 0.0), (1 / 127.5, -1.0), (1 / 256, 0.0), (1 / 255, -0.5)]
    ranged = [((high - low) / 255, low), ((low - high) / 255, high)]
    chosen = []
    for scale, offset in usual + ranged:
        fits = offset - 1e-4 <= low and high <= scale * 255 + offset + 1e-4
        if (fits or (scale, offset) in ranged) and abs(scale) < 1e6 and abs(offset) < 1e6:
            chosen.append(InputScaling(scale=scale, offset=offset))
    return chosen


_ENOUGH_LABELS = 20  # with ten classes, chance does not put this many in the same order
_IN_CACHE = 128  # images at a time, so that intermediate results stay in the processor's cache


def _unscale(x: Array, scaling: InputScaling) -> Array | None:
    """Return the pixels that ``scaling`` would turn into ``x``; None where no pixels would."""
    flat = x.reshape(len(x), -1)
    pixels = np.empty(flat.shape, np.uint8)
    for start in range(0, len(flat), _IN_CACHE):
        exact = flat[start : start + _IN_CACHE].astype(np.float64)
        exact -= scaling.offset
        exact *= 1 / scaling.scale
        rounded = np.rint(exact)
        exact -= rounded
        if max(exact.max(), -exact.min()) > 0.02 or rounded.min() < 0 or rounded.max() > 255:
            return None
        pixels[start : start + _IN_CACHE] = rounded
    return pixels
