"""Keras's own classes and functions, taken before any code of a submission runs.

Keras's own is what stands here. What a submission calls a class of its own, and in which module it puts that
class, does not count.
"""

from __future__ import annotations

import sys
from types import FunctionType
from typing import Any

import keras

_PACKAGE = "keras.src."


def _defined(kind: type) -> dict[Any, str]:
    """The classes or functions that Keras's modules define, and what they are called."""
    modules = [module for name, module in sys.modules.items() if name.startswith(_PACKAGE)]
    values: list[Any] = [v for module in modules for v in vars(module).values() if isinstance(v, kind)]
    return {value: value.__name__ for value in values if value.__module__.startswith(_PACKAGE)}


CLASSES: dict[type, str] = _defined(type)
FUNCTIONS: dict[FunctionType, str] = _defined(FunctionType)
OPERATIONS = frozenset(cls for cls in CLASSES if cls.__module__.startswith("keras.src.ops."))
SEQUENTIAL, INPUT_LAYER = keras.Sequential, keras.layers.InputLayer


def name_of(value: object) -> str | None:
    """What Keras calls a class or function of its own; None for any other object."""
    if isinstance(value, type):
        return CLASSES.get(value)
    return FUNCTIONS.get(value) if isinstance(value, FunctionType) else None
