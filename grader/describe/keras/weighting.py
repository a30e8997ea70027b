"""Class weights, sample weights and soft labels, as they were passed to `fit`."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from grader.describe.images.recognise import Recognised, class_numbers
from grader.describe.keras.refusals import Refusals
from grader.errors import StudentsCode

Array = npt.NDArray[Any]
Weights = tuple[float, ...]


def read(given: dict[str, Any], train: Recognised, y: Any, unsupported: Refusals) -> tuple[Weights, Weights]:
    """Return weights per class, and per image in the order of the training split; empty if there are none."""
    by_class, by_image = given.get("class_weight"), given.get("sample_weight")
    if by_class is not None and by_image is not None:
        unsupported.add("two_weights")
        return (), ()
    try:
        if by_class is not None:
            return _by_class(by_class, y), ()
        return _by_image(np.asarray(by_image, np.float64), train, y) if by_image is not None else ((), ())
    except (ValueError, TypeError, LookupError) as error:
        unsupported.add("weights_unreadable", detail=error)
        return (), ()


def _by_class(weights: Any, y: Any) -> Weights:
    """Return the weights of a dict by class number, or of a sequence; classes not named weigh 1."""
    if isinstance(weights, str):
        raise ValueError(f"class_weight is {weights!r}")
    pairs = dict(weights.items() if hasattr(weights, "items") else enumerate(weights))
    labels = class_numbers(y)
    classes = 1 + max([int(k) for k in pairs] + ([int(labels.max())] if labels is not None else []))
    if classes > 1_000:
        raise ValueError(f"there are {classes:,} classes")
    named = {int(k): float(v) for k, v in pairs.items()}
    return tuple(named.get(c, 1.0) for c in range(classes))


def _by_image(weights: Array, train: Recognised, y: Any) -> tuple[Weights, Weights]:
    labels = class_numbers(y)
    if weights.ndim != 1 or train.rows is None or labels is None or len(weights) < len(train.rows):
        raise ValueError("they are not one number for each image")
    weights, labels = weights[: len(train.rows)], labels[: len(train.rows)]
    by_class = [np.unique(weights[labels == c]) for c in range(int(labels.max()) + 1)]
    if all(len(values) <= 1 for values in by_class):
        return tuple(float(values[0]) if len(values) else 1.0 for values in by_class), ()
    order = np.argsort(train.rows, kind="stable")
    rows = train.rows[order]
    if (rows < 0).any() or (np.diff(rows) < 1).any():
        raise ValueError("some images are used twice, or are none of the training split")
    return (), tuple(float(np.float32(w)) for w in weights[order])


def smoothing(y: Any, unsupported: Refusals) -> float:
    """Return s of one-hot labels that were smoothed by hand, `y * (1 - s) + s / classes`; otherwise 0."""
    with StudentsCode() as call:
        labels = np.asarray(y)
    if call.error is not None:
        return 0.0
    if labels.ndim != 2 or labels.shape[1] < 2 or labels.dtype.kind != "f" or not len(labels):
        return 0.0
    low, high = float(labels.min()), float(labels.max())
    if (low, high) == (0.0, 1.0):
        hard = (labels == 0) | (labels == 1)
        if hard.all():
            return 0.0
    classes = labels.shape[1]
    two_values = (np.isclose(labels, low) | np.isclose(labels, high)).all()
    one_high = (np.isclose(labels, high).sum(axis=1) == 1).all()
    amount = low * classes
    if two_values and one_high and 0 < amount < 1 and np.isclose(high, 1 - amount + low, atol=1e-4):
        return round(amount, 6)
    unsupported.add("soft_labels")
    return 0.0
