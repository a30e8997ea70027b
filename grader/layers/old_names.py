"""What Keras 1 and 2 called layers, their arguments and their values.

Live code (arguments of calls are renamed) and saved models (keys of configurations are) are read by the same
tables, which are those of the kinds. Facts from the Keras 1.2, 2.2 and 2.3 documentation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from grader.layers.kinds import CLASSES

# Layer classes that Keras 3 knows under another name.
CLASS_NAMES: Mapping[str, str] = {
    old: name for name, kind in CLASSES.items() for old in kind.old_classes if name in kind.types
}
ARGUMENTS: Mapping[str, Mapping[str, str]] = {
    name: kind.old_arguments for name, kind in CLASSES.items() if kind.old_arguments
}

# Arguments that Keras 3 does not have: of every layer, and of each class. Some change the layer (`lost`), the
# rest have no meaning left.
_LOST = ("weights",)
DROPPED_BY_ALL = (*_LOST, "batch_size", "sparse", "ragged", "input_dtype")
DROPPED: Mapping[str, tuple[str, ...]] = {
    name: (*kind.lost, *kind.dropped) for name, kind in CLASSES.items() if kind.lost or kind.dropped
}

VALUES = {
    "data_format": {"th": "channels_first", "tf": "channels_last"},
    "padding": {"half": "same"},
}
INITIALIZERS = {
    "uniform": "random_uniform",
    "normal": "random_normal",
    "zero": "zeros",
    "one": "ones",
}

# Layers that Keras 3 no longer has.
GONE = ("LocallyConnected1D", "LocallyConnected2D", "ThresholdedReLU", "Highway", "MaxoutDense")


def modern_class(name: str) -> str:
    """Return the name in Keras 3 of a layer class of any Keras."""
    return CLASS_NAMES.get(name, name)


def lost(class_name: str, arguments: Mapping[str, Any]) -> str:
    """Return the given argument without which the layer is another; empty if there is none."""
    kind = CLASSES.get(class_name)
    names = (*_LOST, *(kind.lost if kind else ()))
    return next((name for name in names if arguments.get(name) not in (None, False)), "")


def modern_arguments(class_name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments or a configuration of any Keras under the names that Keras 3 uses."""
    kind = CLASSES.get(class_name)
    renames = kind.old_arguments if kind else {}
    dropped = (*DROPPED_BY_ALL, *DROPPED.get(class_name, ()))
    modern: dict[str, Any] = {}
    for old, value in arguments.items():
        if old not in dropped:
            name = renames.get(old, old)
            modern[name] = _modern_value(name, value)
    for name, (first, second) in (kind.joined if kind else {}).items():
        _join(modern, name, modern.pop(first, None), modern.pop(second, None))
    if modern.get("use_bias") is None:
        modern.pop("use_bias", None)
    return modern


def _modern_value(name: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    value = value.lower() if name == "padding" else value
    value = VALUES.get(name, {}).get(value, value)
    return INITIALIZERS.get(value, value) if name.endswith("_initializer") else value


def _join(modern: dict[str, Any], name: str, first: Any, second: Any) -> None:
    """Set ``name`` to what were two arguments; the second may be left out where it equals the first."""
    if first is not None and name not in modern:
        modern[name] = (first, second if second is not None else first)
