"""One layer's Keras configuration -> one of our own layer records.

Configurations come from live layers (`get_config`) and from saved models of every era; both
are read as data. What has no record of its own becomes an `UnsupportedLayer` with the reason.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from grader import records as r
from grader.describe.networks.values import (
    Unrepresentable,
    activation,
    initializer,
    margins,
    pair,
    regularizer,
)
from grader.describe.world import legacy

Config = dict[str, Any]


def layer_record(class_name: str, config: Config, name: str, inbound: tuple[str, ...]) -> r.Layer:
    """Convert; raises for what a student may have written only where names or inbound layers are too many."""
    kind = legacy.modern_class(class_name)
    base = {"name": name or "layer", "inbound": inbound}
    trainable = config.get("trainable", True)
    try:
        if kind not in _CONVERTERS:
            raise Unrepresentable(r.because("no_record"))
        if lost := legacy.lost(kind, config):
            raise Unrepresentable(r.because("gone_argument", lost))
        modern = legacy.modern_arguments(kind, config)
        return _CONVERTERS[kind](kind, modern, base | {"trainable": bool(trainable)})
    except (Unrepresentable, ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
        return r.UnsupportedLayer(**base, class_name=class_name[:200] or "Layer", reason=_reason(error))


def _reason(error: Exception) -> r.Reason:
    if isinstance(error, Unrepresentable) and isinstance(error.args[0], r.Reason):
        return error.args[0]
    return r.because("unrepresentable", detail=_said(error)[:500])


def _said(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part != "type")
        return f"{where}: {first['msg']}"
    if isinstance(error, KeyError):
        return f"its configuration lacks {error}"
    return str(error)


def _refuse(config: Config, *names: str) -> None:
    for name in names:
        if config.get(name) not in (None, False, (), []):
            raise Unrepresentable(f"it has a {name}, which grader does not retrain")


def _weights(config: Config, *names: str) -> Config:
    """Initializers and regularizers of the named weights, where the configuration has them."""
    found: Config = {}
    for name in names:
        _refuse(config, f"{name}_constraint")
        if (value := initializer(config.get(f"{name}_initializer"))) is not None:
            found[f"{name}_initializer"] = value
        found[f"{name}_regularizer"] = regularizer(config.get(f"{name}_regularizer"))
    return found


def _given(config: Config, *names: str) -> Config:
    return {name: config[name] for name in names if config.get(name) is not None}


def _convolution(kind: str, config: Config, base: Config) -> r.Layer:
    kernels = {
        "Conv2D": ("kernel", "bias"),
        "Conv2DTranspose": ("kernel", "bias"),
        "DepthwiseConv2D": ("depthwise", "bias"),
        "SeparableConv2D": ("depthwise", "pointwise", "bias"),
    }[kind]
    fields = base | _weights(config, *kernels) | _given(config, "filters", "use_bias", "padding")
    if kind in ("DepthwiseConv2D", "SeparableConv2D"):
        fields |= _given(config, "depth_multiplier")
    if kind == "Conv2D":
        fields |= _given(config, "groups")
    if kind == "DepthwiseConv2D":
        fields.pop("filters", None)
    if kind == "Conv2DTranspose":
        _refuse(config, "output_padding")
    for name in ("kernel_size", "strides", "dilation_rate"):
        if config.get(name) is not None:
            fields[name] = pair(config[name])
    fields["activation"] = activation(config.get("activation"))
    fields["activity_regularizer"] = regularizer(config.get("activity_regularizer"))
    return _RECORDS[kind](**fields)


def _dense(kind: str, config: Config, base: Config) -> r.Layer:
    _refuse(config, "lora_rank", "quantization_mode")
    return r.Dense(
        **base,
        **_weights(config, "kernel", "bias"),
        **_given(config, "units", "use_bias"),
        activation=activation(config.get("activation")),
        activity_regularizer=regularizer(config.get("activity_regularizer")),
    )


def _batch_normalization(kind: str, config: Config, base: Config) -> r.Layer:
    axis = config.get("axis", -1)
    if isinstance(axis, list | tuple):
        if len(axis) != 1:
            raise Unrepresentable(f"it normalises several axes, {axis}")
        axis = axis[0]
    return r.BatchNormalization(
        **base,
        **_weights(config, "beta", "gamma"),
        **_given(config, "momentum", "epsilon", "center", "scale"),
        axis=axis,
    )


def _layer_normalization(kind: str, config: Config, base: Config) -> r.Layer:
    axis = config.get("axis", -1)
    if axis not in (-1, [-1], (-1,)):
        raise Unrepresentable(f"it normalises the axes {axis}, not the last one")
    _refuse(config, "rms_scaling")
    return r.LayerNormalization(**base, **_given(config, "epsilon", "center", "scale"))


def _dropout(kind: str, config: Config, base: Config) -> r.Layer:
    _refuse(config, "noise_shape")
    return _RECORDS[kind](**base, rate=config["rate"])


def _pooling(kind: str, config: Config, base: Config) -> r.Layer:
    pool = pair(config.get("pool_size", 2))
    strides = pool if config.get("strides") is None else pair(config["strides"])
    return _RECORDS[kind](**base, pool_size=pool, strides=strides, **_given(config, "padding"))


def _relu(kind: str, config: Config, base: Config) -> r.Layer:
    slope = config.get("negative_slope") or 0.0
    return r.ReLU(
        **base,
        max_value=config.get("max_value"),
        negative_slope=slope,
        threshold=config.get("threshold") or 0.0,
    )


def _softmax(kind: str, config: Config, base: Config) -> r.Layer:
    if config.get("axis", -1) != -1:
        raise Unrepresentable(f"its softmax runs over axis {config['axis']}, not the last one")
    return r.ActivationLayer(**base, activation="softmax")


def _activation(kind: str, config: Config, base: Config) -> r.Layer:
    return r.ActivationLayer(**base, activation=activation(config["activation"]))


def _prelu(kind: str, config: Config, base: Config) -> r.Layer:
    shared = tuple(config.get("shared_axes") or ())
    return r.PReLU(**base, **_weights(config, "alpha"), shared_axes=shared)


def _input(kind: str, config: Config, base: Config) -> r.Layer:
    shape = config.get("batch_shape") or config.get("batch_input_shape")
    if shape is None or any(n is None for n in tuple(shape)[1:]):
        raise Unrepresentable("the shape of its input is not fixed")
    return r.InputLayer(name=base["name"], shape=tuple(shape)[1:])


def _plain(*names: str) -> Callable[[str, Config, Config], r.Layer]:
    def convert(kind: str, config: Config, base: Config) -> r.Layer:
        return _RECORDS[kind](**base, **_given(config, *names))

    return convert


def _spaced(name: str, read: Callable[[Any], Any], *others: str) -> Callable[..., r.Layer]:
    def convert(kind: str, config: Config, base: Config) -> r.Layer:
        fields = {name: read(config[name])} if name in config else {}
        return _RECORDS[kind](**base, **fields, **_given(config, *others))

    return convert


def _resizing(kind: str, config: Config, base: Config) -> r.Layer:
    _refuse(config, "crop_to_aspect_ratio", "pad_to_aspect_ratio", "antialias")
    return _RECORDS[kind](**base, **_given(config, "height", "width", "interpolation"))


def _normalization(kind: str, config: Config, base: Config) -> r.Layer:
    """Statistics that were given; those that were adapted are added by `graph`, which sees the live layer."""
    _refuse(config, "invert")
    if config.get("axis", -1) not in (-1, [-1], (-1,), None, [], (), 3, [3], (3,)):
        raise Unrepresentable(f"it normalises the axes {config['axis']}, not the last one")
    if config.get("mean") is None:
        raise Unrepresentable("its statistics are not in its configuration")
    mean, variance = (_flat(config[name]) for name in ("mean", "variance"))
    return r.Normalization(**base, mean=mean, variance=variance, adapted=bool(config.get("adapted")))


def _flat(value: Any) -> tuple[float, ...]:
    if isinstance(value, list | tuple):
        return tuple(x for item in value for x in _flat(item))
    return (float(value),)


def _interval(value: Any, least: float | None = None) -> Any:
    """Keras takes ``factor`` for (-factor, factor); ``least`` is another lower end."""
    if value is None:
        return None
    if isinstance(value, int | float):
        return (-value if least is None else least, value)
    return tuple(value)


def _random(*factors: str) -> Callable[[str, Config, Config], r.Layer]:
    """A layer of random changes: its factors, and how borders are filled."""

    def convert(kind: str, config: Config, base: Config) -> r.Layer:
        fields = {name: _interval(config[name]) for name in factors if config.get(name) is not None}
        if config.get("value_range") is not None:
            fields["value_range"] = tuple(config["value_range"])
        given = _given(config, "mode", "fill_mode", "interpolation", "fill_value")
        allowed = _RECORDS[kind].model_fields
        return _RECORDS[kind](**base, **fields, **{k: v for k, v in given.items() if k in allowed})

    return convert


def _merge(kind: str, config: Config, base: Config) -> r.Layer:
    return r.Merge(**base, type=kind)


_RECORDS: dict[str, Any] = {
    cls.__name__: cls
    for cls in (
        r.Conv2D, r.Conv2DTranspose, r.DepthwiseConv2D, r.SeparableConv2D, r.Dropout,
        r.SpatialDropout2D, r.GaussianDropout, r.AlphaDropout, r.GaussianNoise, r.LeakyReLU,
        r.ELU, r.MaxPooling2D, r.AveragePooling2D, r.GlobalMaxPooling2D,
        r.GlobalAveragePooling2D, r.ZeroPadding2D, r.Cropping2D, r.UpSampling2D, r.Flatten,
        r.Reshape, r.Permute, r.Rescaling, r.Concatenate, r.Resizing, r.CenterCrop, r.RandomFlip,
        r.RandomRotation, r.RandomTranslation, r.RandomZoom, r.RandomContrast, r.RandomBrightness,
    )
}  # fmt: skip

_CONVERTERS: dict[str, Callable[[str, Config, Config], r.Layer]] = {
    "InputLayer": _input,
    "Conv2D": _convolution,
    "Conv2DTranspose": _convolution,
    "DepthwiseConv2D": _convolution,
    "SeparableConv2D": _convolution,
    "Dense": _dense,
    "BatchNormalization": _batch_normalization,
    "LayerNormalization": _layer_normalization,
    "Dropout": _dropout,
    "SpatialDropout2D": _dropout,
    "GaussianDropout": _dropout,
    "AlphaDropout": _dropout,
    "GaussianNoise": _plain("stddev"),
    "Activation": _activation,
    "Softmax": _softmax,
    "ReLU": _relu,
    "LeakyReLU": _plain("negative_slope"),
    "ELU": _plain("alpha"),
    "PReLU": _prelu,
    "MaxPooling2D": _pooling,
    "AveragePooling2D": _pooling,
    "GlobalMaxPooling2D": _plain("keepdims"),
    "GlobalAveragePooling2D": _plain("keepdims"),
    "ZeroPadding2D": _spaced("padding", margins),
    "Cropping2D": _spaced("cropping", margins),
    "UpSampling2D": _spaced("size", pair, "interpolation"),
    "Flatten": _plain(),
    "Reshape": _spaced("target_shape", tuple),
    "Permute": _spaced("dims", tuple),
    "Rescaling": _plain("scale", "offset"),
    "Resizing": _resizing,
    "CenterCrop": _plain("height", "width"),
    "Normalization": _normalization,
    "RandomFlip": _random(),
    "RandomRotation": _random("factor"),
    "RandomTranslation": _random("height_factor", "width_factor"),
    "RandomZoom": _random("height_factor", "width_factor"),
    "RandomContrast": _random("factor"),
    "RandomBrightness": _random("factor"),
    "Concatenate": _plain("axis"),
    "Add": _merge,
    "Subtract": _merge,
    "Multiply": _merge,
    "Average": _merge,
    "Maximum": _merge,
    "Minimum": _merge,
}
