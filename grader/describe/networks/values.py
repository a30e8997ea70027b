"""Single values of a layer's Keras configuration -> what the records say: activations, sizes."""

from __future__ import annotations

from typing import Any, get_args

from grader import records as r

Config = dict[str, Any]


class Unrepresentable(Exception):
    """A setting of this layer that the records cannot say: a sentence, or a `Reason`."""


def pair(value: Any) -> tuple[int, int]:
    if isinstance(value, int):
        return (value, value)
    items = tuple(value)
    if len(items) == 1:
        items *= 2
    if len(items) != 2:
        raise Unrepresentable(f"{value!r} is not a pair")
    return (int(items[0]), int(items[1]))


def margins(value: Any) -> Any:
    """ZeroPadding2D's and Cropping2D's int, (rows, columns) or ((top, bottom), (left, right))."""
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
    """A Keras object in any of its serialised forms: its class or function name, its settings."""
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
_KNOWN_ACTIVATIONS = set(get_args(r.Activation))


def activation(value: Any) -> str:
    """Keras writes its own functions as plain names; anything else is the student's own."""
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


def initializer(value: Any) -> r.Initializer | None:
    if value is None:
        return None
    name, settings = named(value)
    key = "".join(part.capitalize() for part in name.split("_")) if name.islower() else name
    key = {"Uniform": "RandomUniform", "Normal": "RandomNormal"}.get(key, key)
    family, _, spread = _split_camel(key)
    if family in _SCALED and spread in ("Uniform", "Normal"):
        scale, mode = _SCALED[family]
        return r.VarianceScaling(
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


def _plain_initializer(key: str, settings: Config) -> r.Initializer:
    match key:
        case "Zeros":
            return r.ZEROS
        case "Ones":
            return r.ONES
        case "VarianceScaling":
            return r.VarianceScaling(**({"mode": "fan_in", "distribution": "truncated_normal"} | settings))
        case "RandomNormal":
            return r.RandomNormal(**settings)
        case "TruncatedNormal":
            return r.TruncatedNormal(**settings)
        case "RandomUniform":
            return r.RandomUniform(**settings)
        case "Constant":
            return r.Constant(**settings)
        case "Orthogonal":
            return r.Orthogonal(**settings)
    raise Unrepresentable(f"grader has no record for the initializer {key!r}")


# Keras 1.2 wrote L1L2Regularizer, earlier versions the other two.
_REGULARIZERS = {
    "l1", "l2", "l1l2", "l1_l2", "l1l2regularizer", "weightregularizer", "activityregularizer",
}  # fmt: skip


def regularizer(value: Any) -> r.L1L2 | None:
    if value is None:
        return None
    name, settings = named(value)
    penalties = {k: float(settings[k]) for k in ("l1", "l2") if settings.get(k) is not None}
    if name.lower() not in _REGULARIZERS:
        raise Unrepresentable(f"grader has no record for the regularizer {name!r}")
    if isinstance(value, str):
        penalties = {k: 0.01 for k in ("l1", "l2") if k in value.lower()}
    penalty = r.L1L2(**penalties)
    return penalty if penalty.l1 or penalty.l2 else None
