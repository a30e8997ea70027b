"""Restores what NumPy used to allow: names that it has dropped, and arrays of one element as numbers."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

TYPES = {"int": int, "float": float, "bool": bool, "object": object, "str": str, "complex": complex}
NAMES = {
    "float_": np.float64, "complex_": np.complex128, "unicode_": np.str_, "string_": np.bytes_, "Inf": np.inf,
    "Infinity": np.inf, "infty": np.inf, "PINF": np.inf, "NINF": -np.inf, "NaN": np.nan, "NAN": np.nan,
    "product": np.prod, "cumproduct": np.cumprod, "sometrue": np.any, "alltrue": np.all,
    "row_stack": np.vstack, "round_": np.round, "asfarray": lambda a: np.asarray(a, np.float64),
    "asscalar": lambda a: a.item(),
}  # fmt: skip


class OneElement(np.ndarray):
    """An array of one element that converts to a number, as every such array did until NumPy 2."""

    def __float__(self) -> float:
        return float(np.asarray(self).reshape(-1)[0]) if self.size == 1 else super().__float__()

    def __int__(self) -> int:
        return int(float(self))


def install() -> None:
    """Give NumPy its old names back, and let an ImageDataGenerator have statistics that are numbers."""
    for name, value in (TYPES | NAMES).items():
        if name not in vars(np):
            setattr(np, name, value)
    _statistics()


def _statistics() -> None:
    """Let `'%.3f' % datagen.mean` work: the statistics of an ImageDataGenerator are arrays of one element."""
    generator = keras.src.legacy.preprocessing.image.ImageDataGenerator
    fit = generator.fit

    def fitted(self: Any, *args: Any, **kwargs: Any) -> None:
        fit(self, *args, **kwargs)
        for name in ("mean", "std"):
            if isinstance(value := getattr(self, name, None), np.ndarray):
                setattr(self, name, value.view(OneElement))

    generator.fit = fitted
