"""What acts while training alone: dropout and noise."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import Field

from grader.layers.base import BaseLayer, Kind, always, image_unchanged
from grader.record import Rate


class DropoutLayer(BaseLayer):
    """A layer that drops or disturbs values; ``rate`` as in Keras, from 0 to 1."""

    type: str
    rate: Rate


class Dropout(DropoutLayer):
    """Single values are set to 0, each with probability ``rate``; the others are scaled up."""

    type: Literal["Dropout"] = "Dropout"


class SpatialDropout2D(DropoutLayer):
    """Whole channels are set to 0, each with probability ``rate``; the others are scaled up."""

    type: Literal["SpatialDropout2D"] = "SpatialDropout2D"


class GaussianDropout(DropoutLayer):
    """Values are multiplied by noise of mean 1 and standard deviation ``sqrt(rate / (1 - rate))``."""

    type: Literal["GaussianDropout"] = "GaussianDropout"


class AlphaDropout(DropoutLayer):
    """Dropout that keeps the mean and variance of its input, for networks with ``selu``."""

    type: Literal["AlphaDropout"] = "AlphaDropout"


class GaussianNoise(BaseLayer):
    """Noise of standard deviation ``stddev`` is added."""

    type: Literal["GaussianNoise"] = "GaussianNoise"
    stddev: Annotated[float, Field(ge=0.0, le=1.0)]


def _words(layer: DropoutLayer) -> Iterable[str]:
    return (f"{layer.rate:g}",)


_OLD_RATE = {"p": "rate", "dim_ordering": "data_format"}
_DROPOUT: dict[str, Any] = {"refused": ("noise_shape",), "alike": always, "words": _words}

KINDS = (
    Kind(record=Dropout, old_arguments=_OLD_RATE, **_DROPOUT),
    Kind(record=SpatialDropout2D, rule=image_unchanged, old_arguments=_OLD_RATE, **_DROPOUT),
    Kind(record=GaussianDropout, old_arguments=_OLD_RATE, **_DROPOUT),
    Kind(record=AlphaDropout, **_DROPOUT),
    Kind(record=GaussianNoise, old_arguments={"sigma": "stddev"}, alike=always),
)
