"""One small network as every Keras wrote it into a file, and the file formats around it."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import yaml as pyyaml

Config = dict[str, Any]

IMAGE = [None, 28, 28, 1]


def layer(kind: str, name: str, **config: Any) -> Config:
    return {"class_name": kind, "config": {"name": name, "trainable": True, **config}}


KERAS_1 = [
    layer(
        "Convolution2D",
        "conv",
        batch_input_shape=IMAGE,
        input_dtype="float32",
        nb_filter=8,
        nb_row=3,
        nb_col=3,
        init="he_normal",
        activation="relu",
        border_mode="valid",
        subsample=[1, 1],
        dim_ordering="tf",
        bias=True,
        W_regularizer={"name": "WeightRegularizer", "l1": 0.0, "l2": 0.01},
        b_regularizer=None,
        activity_regularizer=None,
        W_constraint=None,
        b_constraint=None,
    ),
    layer(
        "BatchNormalization",
        "norm",
        epsilon=0.001,
        mode=0,
        axis=-1,
        momentum=0.99,
        gamma_regularizer=None,
        beta_regularizer=None,
    ),
    layer("MaxPooling2D", "pool", strides=[2, 2], pool_size=[2, 2], border_mode="valid", dim_ordering="tf"),
    layer("Dropout", "drop", p=0.25),
    layer("Flatten", "flat"),
    layer(
        "Dense",
        "scores",
        output_dim=10,
        init="glorot_uniform",
        activation="softmax",
        bias=True,
        input_dim=None,
        W_regularizer=None,
        b_regularizer=None,
        activity_regularizer=None,
        W_constraint=None,
        b_constraint=None,
    ),
]

HE_NORMAL = {
    "class_name": "VarianceScaling",
    "config": {"scale": 2.0, "mode": "fan_in", "distribution": "normal", "seed": None},
}
GLOROT = {
    "class_name": "VarianceScaling",
    "config": {"scale": 1.0, "mode": "fan_avg", "distribution": "uniform", "seed": None},
}
ZEROS: Config = {"class_name": "Zeros", "config": {}}
L2: Config = {"class_name": "L1L2", "config": {"l1": 0.0, "l2": 0.01}}

KERAS_2 = [
    layer(
        "Conv2D",
        "conv",
        batch_input_shape=IMAGE,
        dtype="float32",
        filters=8,
        kernel_size=[3, 3],
        strides=[1, 1],
        padding="valid",
        data_format="channels_last",
        dilation_rate=[1, 1],
        activation="relu",
        use_bias=True,
        kernel_initializer=HE_NORMAL,
        bias_initializer=ZEROS,
        kernel_regularizer=L2,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
    ),
    layer("BatchNormalization", "norm", axis=-1, momentum=0.99, epsilon=0.001, center=True, scale=True),
    layer(
        "MaxPooling2D", "pool", pool_size=[2, 2], padding="valid", strides=[2, 2], data_format="channels_last"
    ),
    layer("Dropout", "drop", rate=0.25, noise_shape=None, seed=None),
    layer("Flatten", "flat", data_format="channels_last"),
    layer(
        "Dense",
        "scores",
        units=10,
        activation="softmax",
        use_bias=True,
        kernel_initializer=GLOROT,
        bias_initializer=ZEROS,
        kernel_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
    ),
]

_INPUT = {
    "class_name": "InputLayer",
    "config": {
        "batch_input_shape": IMAGE,
        "dtype": "float32",
        "sparse": False,
        "ragged": False,
        "name": "in",
    },
}
TF_1 = [
    {
        **x,
        "config": {**x["config"], "dtype": "float32"},
        **({"class_name": "BatchNormalizationV1"} if i == 1 else {}),
    }
    for i, x in enumerate(KERAS_2)
]

SEQUENTIAL: dict[str, Any] = {
    "Keras 1.2": {"class_name": "Sequential", "config": KERAS_1},
    "Keras 2.0.5": {"class_name": "Sequential", "config": KERAS_2},
    "Keras 2.1": {"class_name": "Sequential", "config": KERAS_2},
    "Keras 2.2.4": {"class_name": "Sequential", "config": {"name": "sequential_1", "layers": KERAS_2}},
    "Keras 2.3": {
        "class_name": "Sequential",
        "config": {"name": "sequential_1", "layers": KERAS_2, "build_input_shape": IMAGE},
    },
    "tf.keras 1.15": {"class_name": "Sequential", "config": {"name": "sequential", "layers": TF_1}},
    "tf.keras 2.4": {
        "class_name": "Sequential",
        "config": {"name": "sequential", "layers": [_INPUT, *KERAS_2]},
    },
    "tf.keras 2.15": {
        "class_name": "Sequential",
        "config": {
            "name": "sequential",
            "layers": [{"module": "keras.layers", "registered_name": None, **x} for x in [_INPUT, *KERAS_2]],
        },
    },
}

_ADAM = {"beta_1": 0.9, "beta_2": 0.999, "decay": 0.0, "epsilon": 1e-07}
TRAINING: dict[str, Any] = {
    "Keras 1.2": {
        "optimizer_config": {"class_name": "Adam", "config": {"lr": 0.003, **_ADAM}},
        "loss": "categorical_crossentropy",
        "metrics": ["accuracy"],
        "sample_weight_mode": None,
    },
    "tf.keras 1.15": {
        "optimizer_config": {
            "class_name": "Adam",
            "config": {"name": "Adam", "learning_rate": 0.003000000026077032, "amsgrad": False, **_ADAM},
        },
        "loss": "categorical_crossentropy",
        "metrics": ["accuracy"],
        "weighted_metrics": None,
    },
    "tf.keras 2.15": {
        "optimizer_config": {
            "class_name": "Custom>Adam",
            "config": {
                "name": "Adam",
                "weight_decay": None,
                "clipnorm": None,
                "use_ema": False,
                "jit_compile": False,
                "learning_rate": 0.003000000026077032,
                "beta_1": 0.9,
                "beta_2": 0.999,
                "epsilon": 1e-07,
                "amsgrad": False,
            },
        },
        "loss": {
            "class_name": "CategoricalCrossentropy",
            "config": {"reduction": "auto", "name": "c", "from_logits": False, "label_smoothing": 0.0},
        },
    },
}


def hdf5(
    path: Path, config: Any, training: Any = None, version: str = "2.2.4", as_bytes: bool = True
) -> Path:
    """As `model.save` laid it out: attributes of the root, weights in groups of layers."""

    def text(value: Any) -> Any:
        written = json.dumps(value)
        return written.encode() if as_bytes else written

    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = version.encode()
        file.attrs["backend"] = b"tensorflow"
        file.attrs["model_config"] = text(config)
        if training is not None:
            file.attrs["training_config"] = text(training)
        weights = file.create_group("model_weights")
        weights.attrs["layer_names"] = [b"conv"]
        group = weights.create_group("conv")
        group.attrs["weight_names"] = [b"conv/kernel:0"]
        group.create_dataset("conv/kernel:0", data=[[0.5]])
    return path


def weights(path: Path) -> Path:
    """As `model.save_weights` laid it out: groups of layers, no configuration."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"conv"]
        file.create_group("conv").create_dataset("kernel:0", data=[[0.5]])
    return path


def keras_zip(path: Path, config: Any) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("config.json", json.dumps(config))
        file.writestr("metadata.json", '{"keras_version": "3.10.0"}')
    return path


def yaml(value: Any, flow: bool = False) -> str:
    """As PyYAML writes it: ``flow`` puts collections without collections in them on one line."""
    return pyyaml.dump(value, default_flow_style=None if flow else False)
