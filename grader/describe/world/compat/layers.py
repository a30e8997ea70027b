"""Lets layers have the names and arguments of Keras 1 and 2, and reads `Conv2D(16, 3, 3)`."""

from __future__ import annotations

import inspect
from types import ModuleType
from typing import Any

import keras
import numpy as np

from grader.describe.world import legacy
from grader.describe.world.era import Era
from grader.records import Reading

_TF = keras._tf_keras.keras  # the module behind `tensorflow.keras`


class Positional:
    """Counts calls like `Conv2D(16, 3, 3)`, and remembers how they were read."""

    def __init__(self, forced: Reading | None) -> None:
        self.forced = forced
        self.calls = 0
        self.used: Reading | None = None

    def read(self, args: tuple[Any, ...], style: Reading) -> tuple[Any, ...]:
        """Return positional arguments of a convolution with one kernel size, where the reading asks for it.

        ``style`` is the reading of the Keras at hand; a forced reading overrides it.
        """
        if len(args) < 3 or not all(isinstance(a, int | np.integer) for a in args[1:3]):
            return args
        if args[1] == args[2] == 1:
            return args  # a 1x1 kernel with stride 1 either way
        self.calls += 1
        self.used = self.forced or style
        if self.used == "strides":
            return args
        return (args[0], (int(args[1]), int(args[2])), *args[3:])


def layers() -> None:
    """Let every layer class take the argument names of Keras 1 and 2 as well."""
    for name in dir(keras.layers):
        cls = getattr(keras.layers, name)
        if isinstance(cls, type) and issubclass(cls, keras.layers.Layer) and cls.__name__ == name:
            _take_old_arguments(cls)


def _take_old_arguments(cls: type) -> None:
    original = cls.__init__  # type: ignore[misc]

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        lost = legacy.lost(cls.__name__, kwargs)
        kwargs = legacy.modern_arguments(cls.__name__, kwargs)
        if isinstance(kwargs.get("name"), str):
            kwargs["name"] = kwargs["name"].replace("/", "_")  # Keras 3 refuses slashes
        shape = kwargs.pop("batch_input_shape", None)
        if shape is not None and cls is not keras.layers.InputLayer:
            kwargs["input_shape"] = tuple(shape)[1:]
        if cls is keras.layers.AveragePooling2D and not args:
            kwargs.setdefault("pool_size", (2, 2))  # the default until Keras 3
        if isinstance(kwargs.get("input_shape"), int):
            kwargs["input_shape"] = (kwargs["input_shape"],)
        original(self, *args, **kwargs)
        if lost:
            object.__setattr__(self, "grader_lost", lost)

    # Keras compares two views of the signature; they must not differ.
    init.__signature__ = inspect.signature(original)  # type: ignore[attr-defined]
    cls.__init__ = init  # type: ignore[misc]


def count_names_from_one() -> None:
    """Name layers as the student's own summary did: the first is `conv2d_1`."""
    from keras.src.utils import naming

    counts: dict[str, int] = {}

    def uniquify(name: str) -> str:
        counts[name] = counts.get(name, 0) + 1
        return f"{name}_{counts[name]}"

    naming.uniquify = uniquify
    clear = keras.backend.clear_session

    def clear_session(*args: Any, **kwargs: Any) -> None:
        counts.clear()
        clear()

    keras.backend.clear_session = _TF.backend.clear_session = clear_session


def positional(era: Era, counted: Positional) -> None:
    """Read `Conv2D(16, 3, 3)` as rows and columns in old standalone Keras, as a stride anywhere else."""
    old: Reading = "rows_columns" if era == "keras2" else "strides"
    spaces: list[tuple[ModuleType, Reading]] = [(keras.layers, old), (_TF.layers, "strides")]
    for space, style in spaces:
        for name in ("Conv2D", "SeparableConv2D", "Conv2DTranspose"):
            alias = _positional_alias(getattr(space, name), counted, style)
            for spelling in (name, *(k for k, v in legacy.CLASS_NAMES.items() if v == name)):
                setattr(space, spelling, alias)


def _positional_alias(real: Any, counted: Positional, style: Reading) -> type:
    """Return a class that makes `real` layers, so that they convert and save like any other."""

    class Alias(type):
        def __call__(cls, *args: Any, **kwargs: Any) -> Any:
            args = counted.read(args, style)
            if cls is alias:
                return real(*args, **kwargs)
            return super().__call__(*args, **kwargs)

        def __instancecheck__(cls, instance: Any) -> bool:
            return isinstance(instance, real) if cls is alias else super().__instancecheck__(instance)

    alias = Alias(real.__name__, (real,), {"__module__": real.__module__})
    return alias


def gone(name: str) -> type:
    """Return a class of layers that pass their input on; they are described as unsupported."""

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        shape = {"input_shape": kwargs["input_shape"]} if "input_shape" in kwargs else {}
        keras.layers.Layer.__init__(self, **shape)

    body = {"__init__": init, "call": lambda self, x: x, "__module__": __name__}
    return type(name, (keras.layers.Layer,), body)
