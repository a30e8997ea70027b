"""Keras's ImageDataGenerator -> `Augmentation`, and the scaling that the generator does besides."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import keras
import numpy as np

from grader import records as r
from grader.describe.images.recognise import Recognised
from grader.describe.keras.refusals import Refusals

_EPSILON = 1e-6  # what ImageDataGenerator.standardize adds to a deviation
# Not random changes: read separately, set by `fit`, or without effect on the augmentation.
_NOT_RANDOM = {
    "mean", "std", "zca_whitening_matrix", "rescale", "dtype", "data_format", "channel_axis", "row_axis",
    "col_axis", "_validation_split", "featurewise_center", "featurewise_std_normalization",
    "samplewise_center", "samplewise_std_normalization", "zca_epsilon", "interpolation_order",
}  # fmt: skip


def read(
    generator: Any, train: Recognised, unsupported: Refusals
) -> tuple[r.Augmentation | None, Recognised]:
    """Return the random changes, if any, and the training images with the generator's scaling added."""
    settings = vars(generator)
    for name in ("preprocessing_function", "zca_whitening", "brightness_range"):
        if settings.get(name):
            unsupported.add("generator_setting", name)
    if settings.get("channel_axis", 3) != 3:
        unsupported.add("generator_channels_first")
    factor, shift = _standardised(generator, unsupported)
    scaling = _scaled(train.scaling, factor, shift) if train.scaling is not None else None
    if scaling is None and train.scaling is not None:
        unsupported.add("generator_rescales")
    changed = replace(train, scaling=scaling or train.scaling)
    if not _changes(settings):
        return None, changed
    try:
        return _augmentation(settings, factor, shift), changed
    except (ValueError, TypeError) as error:
        first = str(error).split("\n")[0]
        unsupported.add("setting", "an ImageDataGenerator", first)
        return None, changed


def _changes(settings: dict[str, Any]) -> bool:
    """Whether anything but featurewise scaling is set."""
    plain = vars(keras.src.legacy.preprocessing.image.ImageDataGenerator())
    changed = {k for k, v in plain.items() if repr(settings.get(k)) != repr(v)}
    # A way to fill matters only where something moves.
    moved = changed - _NOT_RANDOM - {"fill_mode", "cval"}
    return bool(moved) or any(
        settings.get(name) for name in ("samplewise_center", "samplewise_std_normalization")
    )


def _standardised(generator: Any, unsupported: Refusals) -> tuple[float, float]:
    """Return factor and shift of ``x * factor + shift``, as rescale and featurewise statistics do it."""
    factor, shift = float(generator.rescale or 1.0), 0.0
    for name in ("mean", "std"):
        statistic = getattr(generator, name)
        wanted = generator.featurewise_center if name == "mean" else generator.featurewise_std_normalization
        if not wanted or statistic is None:  # without fit, Keras warns and leaves the images alone
            continue
        values = np.unique(np.asarray(statistic))
        if len(values) != 1:
            unsupported.add("generator_by_channel", name)
            continue
        if name == "mean":
            shift = -float(values[0])
        else:
            deviation = float(values[0]) + _EPSILON
            factor, shift = factor / deviation, shift / deviation
    return factor, shift


def _scaled(scaling: r.InputScaling, factor: float, shift: float) -> r.InputScaling | None:
    """Return ``scaling`` followed by the affine map; None where a record cannot hold that."""
    if (factor, shift) == (1.0, 0.0):
        return scaling
    if scaling.per_image:
        return None
    return scaling.model_copy(
        update={
            "scale": scaling.scale * factor,
            "offset": scaling.offset * factor + shift,
            "pixel_scale": tuple(v * factor for v in scaling.pixel_scale),
            "pixel_offset": tuple(v * factor + shift for v in scaling.pixel_offset),
        }
    )


def _augmentation(settings: dict[str, Any], factor: float, shift: float) -> r.Augmentation:
    """Return the random changes as they are made to images that have been scaled already.

    An affine map of all values can be done before or after moving them. So only settings that are values
    change: the value that fills the border, and how far channels are shifted.
    """
    if settings.get("interpolation_order", 1) != 1:
        raise ValueError("interpolation_order must be 1")
    low, high = (float(z) for z in settings["zoom_range"])
    return r.Augmentation(
        rotation_range=settings["rotation_range"],
        width_shift_range=_number(settings["width_shift_range"]),
        height_shift_range=_number(settings["height_shift_range"]),
        shear_range=settings["shear_range"],
        zoom_range=(low, high),
        channel_shift_range=float(settings["channel_shift_range"]) * abs(factor),
        fill_mode=settings["fill_mode"],
        cval=float(settings["cval"]) * factor + shift,
        horizontal_flip=bool(settings["horizontal_flip"]),
        vertical_flip=bool(settings["vertical_flip"]),
        samplewise_center=bool(settings["samplewise_center"]),
        samplewise_std_normalization=bool(settings["samplewise_std_normalization"]),
    )


def _number(value: Any) -> int | float:
    """Return a shift: Keras draws from whole pixels for a whole number, otherwise from a range."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"a shift of {value!r:.60} is no number")
    return value
