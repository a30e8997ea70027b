"""Old names of Keras 1 and 2, as data: argument names, class names, values, defaults.

One table serves both live code (`compat` renames the arguments of calls) and saved models (`convert` renames
the keys of configurations). Facts from the Keras 1.2, 2.2 and 2.3 documentation; nothing here imports Keras.
"""

from __future__ import annotations

from typing import Any

# Layer classes that Keras 3 knows under another name.
CLASS_NAMES = {
    "Convolution2D": "Conv2D",
    "AtrousConvolution2D": "Conv2D",
    "AtrousConv2D": "Conv2D",
    "SeparableConvolution2D": "SeparableConv2D",
    "Deconvolution2D": "Conv2DTranspose",
    "Deconv2D": "Conv2DTranspose",
    "Convolution2DTranspose": "Conv2DTranspose",
    "MaxPool2D": "MaxPooling2D",
    "AvgPool2D": "AveragePooling2D",
    "GlobalMaxPool2D": "GlobalMaxPooling2D",
    "GlobalAvgPool2D": "GlobalAveragePooling2D",
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "SyncBatchNormalization": "BatchNormalization",
}

_WEIGHTS = {
    "init": "kernel_initializer",
    "W_regularizer": "kernel_regularizer",
    "b_regularizer": "bias_regularizer",
    "W_constraint": "kernel_constraint",
    "b_constraint": "bias_constraint",
    "bias": "use_bias",
}
_IMAGE = {"dim_ordering": "data_format", "border_mode": "padding"}
_CONVOLUTION = {
    **_WEIGHTS,
    **_IMAGE,
    "nb_filter": "filters",
    "subsample": "strides",
    "atrous_rate": "dilation_rate",
}
_SEPARABLE = {
    **{old: new for old, new in _CONVOLUTION.items() if not old.startswith("W_")},
    "depthwise_init": "depthwise_initializer",
    "pointwise_init": "pointwise_initializer",
    "init": "depthwise_initializer",
}
_RATE = {"p": "rate", "dim_ordering": "data_format"}

ARGUMENTS: dict[str, dict[str, str]] = {
    "Conv2D": _CONVOLUTION,
    "Conv2DTranspose": _CONVOLUTION,
    "SeparableConv2D": _SEPARABLE,
    "DepthwiseConv2D": {**_IMAGE, "subsample": "strides", "init": "depthwise_initializer"},
    "Dense": {**_WEIGHTS, "output_dim": "units"},
    "Dropout": _RATE,
    "SpatialDropout2D": _RATE,
    "GaussianDropout": _RATE,
    "GaussianNoise": {"sigma": "stddev"},
    "BatchNormalization": {"gamma_init": "gamma_initializer", "beta_init": "beta_initializer"},
    "MaxPooling2D": _IMAGE,
    "AveragePooling2D": _IMAGE,
    "GlobalMaxPooling2D": _IMAGE,
    "GlobalAveragePooling2D": _IMAGE,
    "ZeroPadding2D": _IMAGE,
    "Cropping2D": _IMAGE,
    "UpSampling2D": _IMAGE,
    "LeakyReLU": {"alpha": "negative_slope"},
    "PReLU": {"init": "alpha_initializer"},
    "Concatenate": {"concat_axis": "axis"},
}

# Arguments that change what a layer does, and that Keras 3 has no counterpart for.
LOST = {"BatchNormalization": ("renorm", "virtual_batch_size"), "*": ("weights",)}

# Arguments that have no meaning left, or are `lost`, and are dropped.
DROPPED = {
    "BatchNormalization": {"mode", "fused", "renorm", "renorm_clipping", "renorm_momentum",
                           "virtual_batch_size", "adjustment"},
    "*": {"weights", "batch_size", "sparse", "ragged", "input_dtype"},
}  # fmt: skip

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

# Keras 2.2's defaults where Keras 3's differ (keras.io/api/optimizers against Keras 2.2.4).
OPTIMIZER_DEFAULTS: dict[str, dict[str, float]] = {
    "SGD": {"learning_rate": 0.01},
    "RMSprop": {"learning_rate": 0.001},
    "Adagrad": {"learning_rate": 0.01, "initial_accumulator_value": 0.0},
    "Adadelta": {"learning_rate": 1.0, "rho": 0.95},
    "Adam": {"learning_rate": 0.001},
    "Adamax": {"learning_rate": 0.002},
    "Nadam": {"learning_rate": 0.002, "schedule_decay": 0.004},
}


# Positional arguments of Keras 2.2's optimizers, in its order.
OPTIMIZER_ORDER: dict[str, tuple[str, ...]] = {
    "SGD": ("learning_rate", "momentum", "decay", "nesterov"),
    "RMSprop": ("learning_rate", "rho", "epsilon", "decay"),
    "Adagrad": ("learning_rate", "epsilon", "decay"),
    "Adadelta": ("learning_rate", "rho", "epsilon", "decay"),
    "Adam": ("learning_rate", "beta_1", "beta_2", "epsilon", "decay", "amsgrad"),
    "Adamax": ("learning_rate", "beta_1", "beta_2", "epsilon", "decay"),
    "Nadam": ("learning_rate", "beta_1", "beta_2", "epsilon", "schedule_decay"),
}
# Keras 2.2 divides by sqrt(a) + epsilon in these, Keras 3 by sqrt(a + epsilon): nearly the same
# with the square of the epsilon.
EPSILON_OUTSIDE_ROOT = {"RMSprop", "Adagrad"}

# Layers that Keras 3 no longer has.
GONE_LAYERS = ("LocallyConnected1D", "LocallyConnected2D", "ThresholdedReLU", "Highway", "MaxoutDense")


def modern_optimizer(name: str, args: tuple[Any, ...], arguments: dict[str, Any]) -> dict[str, Any]:
    """Turn arguments of a Keras 2.2 optimizer into those with which Keras 3 takes the same steps."""
    given = {**dict(zip(OPTIMIZER_ORDER[name], args, strict=False)), **arguments}
    if "epsilon" in OPTIMIZER_ORDER[name] and given.get("epsilon") is None:
        given["epsilon"] = 1e-7
    if name in EPSILON_OUTSIDE_ROOT:
        given["epsilon"] = given["epsilon"] ** 2
    if "clipnorm" in given:  # Keras 2 clipped the norm of all gradients together
        given["global_clipnorm"] = given.pop("clipnorm")
    return {**OPTIMIZER_DEFAULTS[name], **given}


def lost(class_name: str, arguments: dict[str, Any]) -> str:
    """Return the first given argument that changes the layer and that Keras 3 lacks; empty without one."""
    names = (*LOST["*"], *LOST.get(class_name, ()))
    return next((name for name in names if arguments.get(name) not in (None, False)), "")


def modern_class(name: str) -> str:
    """Return the name that Keras 3 has for a layer class of any Keras."""
    return CLASS_NAMES.get(name, name)


def modern_arguments(class_name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return arguments or configuration of any Keras under the names that Keras 3 uses."""
    renames = ARGUMENTS.get(class_name, {})
    dropped = DROPPED["*"] | DROPPED.get(class_name, set())
    modern: dict[str, Any] = {}
    for name, value in arguments.items():
        if name in dropped:
            continue
        name = renames.get(name, name)
        if isinstance(value, str):
            value = value.lower() if name == "padding" else value
            value = VALUES.get(name, {}).get(value, value)
            if name.endswith("_initializer"):
                value = INITIALIZERS.get(value, value)
        modern[name] = value
    rows, columns = modern.pop("nb_row", None), modern.pop("nb_col", None)
    if rows is not None and "kernel_size" not in modern:
        modern["kernel_size"] = (rows, columns if columns is not None else rows)
    if modern.get("use_bias") is None:
        modern.pop("use_bias", None)
    return modern
