"""Settings of a layer, as any Keras writes them -> values of the records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, get_args

from grader.layers import values as v

Config = dict[str, Any]
Readers = Mapping[str, Callable[[Any], Any]]


class Unrepresentable(Exception):
    """A setting of this layer that the records cannot hold: a sentence, or a `Reason`."""


def refuse(config: Config, *names: str) -> None:
    """Raise `Unrepresentable` where one of the settings is in use."""
    for name in names:
        if config.get(name) not in (None, False, (), []):
            raise Unrepresentable(f"it has a {name}, which grader does not retrain")


def fields(config: Config, names: Iterable[str], readers: Readers) -> Config:
    """Return the settings of these ``names`` that a configuration has, each read as its name asks for.

    ``readers`` come first; a weight whose ``_initializer`` is among the names may have no constraint.
    """
    found: Config = {}
    for name in names:
        if name.endswith("_initializer"):
            refuse(config, name.replace("_initializer", "_constraint"))
        value = _read(name, config[name], readers) if name in config else None
        if value is not None:
            found[name] = value
    return found


def _read(name: str, value: Any, readers: Readers) -> Any:
    if name == "activation":
        return activation(value)
    if value is None:
        return None
    if name in readers:
        return readers[name](value)
    if name.endswith("_initializer"):
        return initializer(value)
    return regularizer(value) if name.endswith("_regularizer") else value


def pair(value: Any) -> tuple[int, int]:
    """Return (rows, columns) of a number, or of one or two numbers; raises `Unrepresentable` for more."""
    if isinstance(value, int):
        return (value, value)
    items = tuple(value)
    if len(items) == 1:
        items *= 2
    if len(items) != 2:
        raise Unrepresentable(f"{value!r} is not a pair")
    return (int(items[0]), int(items[1]))


def one(value: Any) -> tuple[int]:
    """Return the size along the only axis, from a number or a list of one."""
    (number,) = (value,) if isinstance(value, int) else tuple(value)
    return (int(number),)


def margins(value: Any) -> Any:
    """Return margins from an int, (rows, columns), ((top, bottom), (left, right)) or Keras 1's dict."""
    if isinstance(value, int):
        return ((value, value), (value, value))
    if isinstance(value, dict):  # Keras 1
        top, bottom = value.get("top_pad", 0), value.get("bottom_pad", 0)
        return ((top, bottom), (value.get("left_pad", 0), value.get("right_pad", 0)))
    items = tuple(value)
    if len(items) == 4:
        return ((items[0], items[1]), (items[2], items[3]))
    return tuple((x, x) if isinstance(x, int) else tuple(x) for x in items)


def named(value: Any) -> tuple[str, Config]:
    """Return the class or function name of a Keras object in any serialised form, and its settings."""
    if isinstance(value, str):
        return value, {}
    if isinstance(value, dict):
        if "class_name" in value:
            inner = value.get("config")
            if value["class_name"] == "function":
                return str(inner), {}
            return str(value["class_name"]), inner if isinstance(inner, dict) else {}
        if "name" in value:  # Keras 1
            return str(value["name"]), {k: v for k, v in value.items() if k != "name"}
    raise Unrepresentable(f"{value!r:.80} is no Keras object")


_ACTIVATIONS = {"swish": "silu", "hard_swish": "hard_silu", "softmax_v2": "softmax"}
_KNOWN_ACTIVATIONS = set(get_args(v.Activation))


def activation(value: Any) -> str:
    """Return the name of an activation: Keras writes its own functions as plain names, no others."""
    if value is None:
        return "linear"
    if not isinstance(value, str):
        raise Unrepresentable(f"its activation {named(value)[0]!r} is not a function of Keras's")
    name = _ACTIVATIONS.get(value, value)
    if name not in _KNOWN_ACTIVATIONS:
        raise Unrepresentable(f"grader has no record for the activation {name!r}")
    return name


_SCALED = {
    "glorot": (1.0, "fan_avg"),
    "he": (2.0, "fan_in"),
    "lecun": (1.0, "fan_in"),
}


def initializer(value: Any) -> v.Initializer | None:
    """Return the record of an initializer in any serialised form; raises `Unrepresentable` for others."""
    if value is None:
        return None
    name, settings = named(value)
    key = "".join(part.capitalize() for part in name.split("_")) if name.islower() else name
    key = {"Uniform": "RandomUniform", "Normal": "RandomNormal"}.get(key, key)
    family, _, spread = _split_camel(key)
    if family in _SCALED and spread in ("Uniform", "Normal"):
        scale, mode = _SCALED[family]
        return v.VarianceScaling(
            scale=scale,
            mode=mode,
            distribution="uniform" if spread == "Uniform" else "truncated_normal",
        )
    settings = {k: v for k, v in settings.items() if k in _INITIALIZER_FIELDS.get(key, ())}
    if settings.get("distribution") == "normal":
        settings["distribution"] = "truncated_normal"
    return _plain_initializer(key, settings)


def _split_camel(key: str) -> tuple[str, str, str]:
    for family in _SCALED:
        if key.lower().startswith(family):
            return family, "", key[len(family) :]
    return "", "", key


_INITIALIZER_FIELDS = {
    "VarianceScaling": ("scale", "mode", "distribution"),
    "RandomNormal": ("mean", "stddev"),
    "TruncatedNormal": ("mean", "stddev"),
    "RandomUniform": ("minval", "maxval"),
    "Constant": ("value",),
    "Orthogonal": ("gain",),
}


def _plain_initializer(key: str, settings: Config) -> v.Initializer:
    match key:
        case "Zeros":
            return v.ZEROS
        case "Ones":
            return v.ONES
        case "VarianceScaling":
            return v.VarianceScaling(**({"mode": "fan_in", "distribution": "truncated_normal"} | settings))
        case "RandomNormal":
            return v.RandomNormal(**settings)
        case "TruncatedNormal":
            return v.TruncatedNormal(**settings)
        case "RandomUniform":
            return v.RandomUniform(**settings)
        case "Constant":
            return v.Constant(**settings)
        case "Orthogonal":
            return v.Orthogonal(**settings)
    raise Unrepresentable(f"grader has no record for the initializer {key!r}")


# Keras 1.2 wrote L1L2Regularizer, earlier versions the other two.
_REGULARIZERS = {
    "l1", "l2", "l1l2", "l1_l2", "l1l2regularizer", "weightregularizer", "activityregularizer",
}  # fmt: skip


def regularizer(value: Any) -> v.L1L2 | None:
    """Return the penalties of a regularizer in any serialised form; None if they are zero."""
    if value is None:
        return None
    name, settings = named(value)
    penalties = {k: float(settings[k]) for k in ("l1", "l2") if settings.get(k) is not None}
    if name.lower() not in _REGULARIZERS:
        raise Unrepresentable(f"grader has no record for the regularizer {name!r}")
    if isinstance(value, str):
        penalties = {k: 0.01 for k in ("l1", "l2") if k in value.lower()}
    penalty = v.L1L2(**penalties)
    return penalty if penalty.l1 or penalty.l2 else None
