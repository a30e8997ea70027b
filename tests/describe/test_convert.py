"""Layer configurations of every Keras -> records; and what is refused, with which reason."""

from __future__ import annotations

from typing import Any

import keras
import pytest
from pydantic import ValidationError

from grader import records as r
from grader.describe.networks import convert
from grader.layers import old_names, settings
from grader.layers.kinds import CLASSES

# --- old names ----------------------------------------------------------------------------------

RENAMES = [(kind, old, new) for kind, names in old_names.ARGUMENTS.items() for old, new in names.items()]
OLD_VALUES = {
    "padding": ("half", "same"),
    "data_format": ("th", "channels_first"),
    "kernel_initializer": ("normal", "random_normal"),
    "depthwise_initializer": ("uniform", "random_uniform"),
    "gamma_initializer": ("one", "ones"),
    "beta_initializer": ("zero", "zeros"),
}


@pytest.mark.parametrize(("kind", "old", "new"), RENAMES)
def test_every_old_argument_has_its_modern_name(kind: str, old: str, new: str) -> None:
    """Each rename of the table, and the values that were renamed with it."""
    value, modern = OLD_VALUES.get(new, (7, 7))

    assert old_names.modern_arguments(kind, {old: value}) == {new: modern}


@pytest.mark.parametrize(
    ("old", "modern"),
    [
        ({"nb_row": 3, "nb_col": 5}, {"kernel_size": (3, 5)}),
        ({"nb_row": 3}, {"kernel_size": (3, 3)}),
        ({"nb_row": 3, "nb_col": 3, "kernel_size": (5, 5)}, {"kernel_size": (5, 5)}),
        ({"bias": None}, {}),
        ({"bias": False}, {"use_bias": False}),
        ({"weights": [1, 2]}, {}),
        ({"input_length": 28, "input_dim": 7}, {"input_length": 28, "input_dim": 7}),
        ({"batch_size": 3, "sparse": False, "ragged": False, "input_dtype": "float32"}, {}),
        ({"border_mode": "valid"}, {"padding": "valid"}),
        ({"dim_ordering": "tf"}, {"data_format": "channels_last"}),
        ({"init": "he_normal"}, {"kernel_initializer": "he_normal"}),
        ({"filters": 3, "name": "mine"}, {"filters": 3, "name": "mine"}),
    ],
)
def test_old_convolution_arguments(old: dict[str, Any], modern: dict[str, Any]) -> None:
    """Kernel sizes in two arguments, arguments without meaning, and values under old names."""
    assert old_names.modern_arguments("Conv2D", old) == modern


def test_a_sequence_had_its_shape_in_two_arguments() -> None:
    """Keras 1 asked for the steps and the channels of a sequence one by one."""
    old = {"filter_length": 3, "input_length": 28, "input_dim": 7}
    assert old_names.modern_arguments("Conv1D", old) == {"kernel_size": 3, "input_shape": (28, 7)}


def test_old_normalisation_arguments_without_meaning_are_dropped() -> None:
    """`mode`, `fused` and renormalisation are no part of Keras 3."""
    old = {"mode": 0, "fused": True, "renorm": False, "virtual_batch_size": None, "momentum": 0.9}

    assert old_names.modern_arguments("BatchNormalization", old) == {"momentum": 0.9}


@pytest.mark.parametrize(("old", "modern"), old_names.CLASS_NAMES.items())
def test_every_old_class_is_a_layer_of_keras(old: str, modern: str) -> None:
    """Each old class name stands for a layer that Keras 3 has and grader converts."""
    assert old_names.modern_class(old) == modern
    assert hasattr(keras.layers, modern)
    assert old_names.modern_class(modern) == modern


def test_an_atrous_convolution_of_keras_1() -> None:
    """Keras 1 had a class of its own for dilated convolutions."""
    config = {"nb_filter": 2, "nb_row": 3, "nb_col": 3, "atrous_rate": [2, 2]}
    layer = record("AtrousConvolution2D", config)

    assert layer == r.Conv2D(name="x", inbound=("y",), filters=2, kernel_size=(3, 3), dilation_rate=(2, 2))


# --- serialised objects -------------------------------------------------------------------------


def record(kind: str, config: dict[str, Any]) -> r.Layer:
    return convert.layer_record(kind, config, "x", ("y",))


def keras3(name: str, **config: Any) -> dict[str, Any]:
    return {"module": "keras.initializers", "class_name": name, "config": config, "registered_name": None}


def keras2(name: str, **config: Any) -> dict[str, Any]:
    return {"class_name": name, "config": config}


def keras1(name: str, **config: Any) -> dict[str, Any]:
    return {"name": name, **config}


HE = r.VarianceScaling(scale=2.0, mode="fan_in", distribution="truncated_normal")
LECUN = r.VarianceScaling(scale=1.0, mode="fan_in", distribution="uniform")
GLOROT_NORMAL = r.VarianceScaling(scale=1.0, mode="fan_avg", distribution="truncated_normal")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("glorot_uniform", r.GLOROT_UNIFORM),
        ("GlorotUniform", r.GLOROT_UNIFORM),
        ("glorot_normal", GLOROT_NORMAL),
        ("he_normal", HE),
        ("HeNormal", HE),
        ("lecun_uniform", LECUN),
        ("zeros", r.ZEROS),
        ("ones", r.ONES),
        ("uniform", r.RandomUniform()),
        ("normal", r.RandomNormal()),
        ("random_uniform", r.RandomUniform()),
        ("truncated_normal", r.TruncatedNormal()),
        ("orthogonal", r.Orthogonal()),
        ("variance_scaling", r.VarianceScaling(mode="fan_in", distribution="truncated_normal")),
        (keras3("HeNormal", seed=None), HE),
        (keras3("GlorotUniform", seed=1), r.GLOROT_UNIFORM),
        (keras3("LecunUniform"), LECUN),
        (keras3("RandomNormal", mean=0.5, stddev=0.25, seed=None), r.RandomNormal(mean=0.5, stddev=0.25)),
        (keras3("Constant", value=0.5), r.Constant(value=0.5)),
        (keras3("Orthogonal", gain=2.0, seed=None), r.Orthogonal(gain=2.0)),
        (keras2("Zeros"), r.ZEROS),
        (keras2("Ones", dtype="float32"), r.ONES),
        (keras2("TruncatedNormal", stddev=0.5, dtype="float32"), r.TruncatedNormal(stddev=0.5)),
        (keras2("RandomUniform", minval=-1, maxval=1, seed=None), r.RandomUniform(minval=-1, maxval=1)),
        (keras2("VarianceScaling", scale=1.0, mode="fan_avg", distribution="uniform"), r.GLOROT_UNIFORM),
        (keras2("VarianceScaling", scale=2.0, mode="fan_in", distribution="normal", seed=None), HE),
        (keras1("he_normal"), HE),
    ],
)  # fmt: skip
def test_initializers_in_every_form(value: Any, expected: r.Initializer | None) -> None:
    """As a name, and as Keras 3, 2 and 1 wrote them."""
    assert settings.initializer(value) == expected


@pytest.mark.parametrize(
    "name",
    [
        "glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "lecun_uniform", "lecun_normal",
        "zeros", "ones", "random_normal", "random_uniform", "truncated_normal", "orthogonal",
        "variance_scaling",
    ],
)  # fmt: skip
def test_initializers_are_those_of_keras(name: str) -> None:
    """A name means what Keras makes of it."""
    live = keras.initializers.serialize(keras.initializers.get(name))

    assert settings.initializer(name) == settings.initializer(live)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("l1", r.L1L2(l1=0.01)),
        ("l2", r.L1L2(l2=0.01)),
        (keras3("L2", l2=0.5), r.L1L2(l2=0.5)),
        (keras3("L1", l1=0.5), r.L1L2(l1=0.5)),
        (keras3("L1L2", l1=0.5, l2=0.25), r.L1L2(l1=0.5, l2=0.25)),
        (keras2("L1L2", l1=0.0, l2=0.25), r.L1L2(l2=0.25)),
        (keras2("L1L2", l1=0.0, l2=0.0), None),
        (keras2("L1L2", l1=None, l2=0.25), r.L1L2(l2=0.25)),
        (keras1("WeightRegularizer", l1=0.0, l2=0.25), r.L1L2(l2=0.25)),
        (keras1("ActivityRegularizer", l1=0.5, l2=0.0), r.L1L2(l1=0.5)),
        (keras1("L1L2Regularizer", l1=0.5, l2=0.25), r.L1L2(l1=0.5, l2=0.25)),
    ],
)
def test_regularizers_in_every_form(value: Any, expected: r.L1L2 | None) -> None:
    """As a name, and as Keras 3, 2 and 1 wrote them; a penalty of nothing is none."""
    assert settings.regularizer(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "linear"),
        ("relu", "relu"),
        ("swish", "silu"),
        ("hard_swish", "hard_silu"),
        ("softmax_v2", "softmax"),
        ("log_softmax", "log_softmax"),
    ],
)
def test_activations_in_every_form(value: Any, expected: str) -> None:
    """No activation is the linear one; some functions changed their names."""
    assert settings.activation(value) == expected


CONV_1D = {"filters": 1, "kernel_size": [3]}


# --- layers of old and new files ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "config", "expected"),
    [
        ("Activation", {"activation": "relu"}, {"type": "Activation", "activation": "relu"}),
        ("Softmax", {"axis": -1}, {"type": "Activation", "activation": "softmax"}),
        ("ReLU", {"max_value": None, "negative_slope": None}, {"type": "ReLU", "negative_slope": 0.0}),
        ("ReLU", {"max_value": 6.0, "threshold": 0.5}, {"max_value": 6.0, "threshold": 0.5}),
        ("LeakyReLU", {"alpha": 0.1}, {"negative_slope": 0.1}),
        ("Dropout", {"p": 0.5}, {"rate": 0.5}),
        ("GaussianNoise", {"sigma": 0.5}, {"stddev": 0.5}),
        ("BatchNormalization", {"axis": [3]}, {"axis": 3}),
        ("BatchNormalizationV1", {"axis": 1, "fused": True}, {"type": "BatchNormalization", "axis": 1}),
        ("LayerNormalization", {"axis": [-1]}, {"type": "LayerNormalization"}),
        ("GroupNormalization", {"groups": -1, "axis": [3]}, {"groups": -1, "axis": 3}),
        ("MaxPooling2D", {"pool_size": 3, "strides": None}, {"pool_size": (3, 3), "strides": (3, 3)}),
        ("AvgPool2D", {"pool_size": [2], "strides": [1, 2]}, {"pool_size": (2, 2), "strides": (1, 2)}),
        ("MaxPooling2D", {"border_mode": "same"}, {"padding": "same", "pool_size": (2, 2)}),
        ("Conv1D", {"filters": 2, "kernel_size": 3}, {"kernel_size": (3,), "strides": (1,)}),
        (
            "Convolution1D",
            {
                "nb_filter": 2,
                "filter_length": 3,
                "subsample_length": 2,
                "border_mode": "same",
                "input_dim": None,
            },
            {"filters": 2, "kernel_size": (3,), "strides": (2,), "padding": "same"},
        ),
        ("AtrousConvolution1D", {**CONV_1D, "atrous_rate": 2}, {"type": "Conv1D", "dilation_rate": (2,)}),
        ("Conv1D", {**CONV_1D, "padding": "causal"}, {"padding": "causal"}),
        ("MaxPooling1D", {"pool_length": 3, "stride": None}, {"pool_size": (3,), "strides": (3,)}),
        ("AvgPool1D", {"pool_size": [2], "strides": [1]}, {"pool_size": (2,), "strides": (1,)}),
        ("GlobalAvgPool1D", {}, {"type": "GlobalAveragePooling1D", "keepdims": False}),
        ("ZeroPadding2D", {"padding": 1}, {"padding": ((1, 1), (1, 1))}),
        ("ZeroPadding2D", {"padding": [1, 2]}, {"padding": ((1, 1), (2, 2))}),
        ("ZeroPadding2D", {"padding": [1, 2, 3, 4]}, {"padding": ((1, 2), (3, 4))}),
        ("ZeroPadding2D", {"padding": {"top_pad": 1, "left_pad": 2}}, {"padding": ((1, 0), (2, 0))}),
        ("Cropping2D", {"cropping": [[1, 2], [3, 4]]}, {"cropping": ((1, 2), (3, 4))}),
        ("UpSampling2D", {"size": 3}, {"size": (3, 3), "interpolation": "nearest"}),
        ("Reshape", {"target_shape": [7, -1]}, {"target_shape": (7, -1)}),
        ("PReLU", {"init": "zero", "shared_axes": None}, {"shared_axes": ()}),
        ("Concatenate", {"concat_axis": 3}, {"axis": 3}),
        ("Average", {}, {"type": "Average"}),
        ("Dense", {"units": 3, "trainable": False}, {"trainable": False}),
        ("Dense", {"output_dim": 3, "bias": False}, {"units": 3, "use_bias": False}),
        ("Deconvolution2D", {"filters": 1, "kernel_size": 2}, {"type": "Conv2DTranspose"}),
    ],
)
def test_configurations_of_every_era(kind: str, config: dict[str, Any], expected: dict[str, Any]) -> None:
    """Old names, short forms of pairs and margins, and defaults that are left out."""
    layer = record(kind, config).model_dump()

    assert expected.items() <= layer.items()
    assert (layer["name"], layer["inbound"]) == ("x", ("y",))


CONV = {"filters": 1, "kernel_size": [3, 3]}
FUNCTION = {"module": "builtins", "class_name": "function", "config": "mine", "registered_name": "function"}

REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("Lambda", {"function": "x"}, "no record for this kind of layer"),
    ("MyLayer", {}, "no record for this kind of layer"),
    ("Functional", {"layers": []}, "no record for this kind of layer"),
    ("LSTM", {"units": 3}, "no record for this kind of layer"),
    ("Conv2D", CONV | {"kernel_constraint": keras3("MaxNorm", max_value=2)}, "kernel_constraint"),
    ("Dense", {"units": 3, "bias_constraint": "nonneg"}, "bias_constraint"),
    ("Dense", {"output_dim": 3, "W_constraint": keras1("MaxNorm", m=2)}, "kernel_constraint"),
    ("Conv2D", CONV | {"activation": FUNCTION}, "activation 'mine' is not a function of Keras"),
    ("Conv2D", CONV | {"activation": keras3("LeakyReLU")}, "activation 'LeakyReLU' is not a function"),
    ("Dense", {"units": 3, "activation": "my_relu"}, "no record for the activation 'my_relu'"),
    ("Activation", {"activation": "swoosh"}, "no record for the activation 'swoosh'"),
    ("Activation", {"activation": 3}, "no Keras object"),
    ("Activation", {}, "its configuration lacks 'activation'"),
    ("Softmax", {"axis": 1}, "softmax runs over axis 1"),
    ("Conv2D", CONV | {"kernel_initializer": "identity"}, "no record for the initializer 'Identity'"),
    ("Conv2D", CONV | {"kernel_initializer": FUNCTION}, "no record for the initializer 'Mine'"),
    ("Conv2D", CONV | {"bias_initializer": keras3("Constant", value=[1.0, 2.0])}, "value"),
    ("Dense", {"units": 3, "kernel_regularizer": FUNCTION}, "no record for the regularizer 'mine'"),
    ("Dense", {"units": 3, "kernel_regularizer": keras3("OrthogonalRegularizer")}, "'OrthogonalRegularizer'"),
    ("Dense", {"units": 3, "kernel_regularizer": 0.01}, "no Keras object"),
    ("Dense", {"units": 3, "lora_rank": 2}, "lora_rank"),
    ("Dense", {"units": 0}, "units"),
    ("Dense", {}, "units"),
    ("Dense", {"units": float("nan")}, "units"),
    ("Conv2D", {"filters": 1, "kernel_size": [3, 3, 3]}, "is not a pair"),
    ("Conv2D", {"filters": 1, "kernel_size": "ab"}, "invalid literal"),
    ("Conv2D", {"filters": 1}, "kernel_size"),
    ("Conv2D", CONV | {"padding": "causal"}, "padding"),
    ("Conv1D", CONV, "too many values"),
    ("Conv1D", CONV_1D | {"data_format": "channels_first"}, "channels of its sequence come first"),
    ("GlobalMaxPooling1D", {"data_format": "channels_first"}, "channels of its sequence come first"),
    ("Conv2DTranspose", CONV | {"output_padding": [1, 1]}, "output_padding"),
    ("BatchNormalization", {"axis": [1, 2]}, "several axes"),
    ("BatchNormalization", {"momentum": 2.0}, "momentum"),
    ("GroupNormalization", {"groups": 0}, "groups"),
    ("GroupNormalization", {"gamma_constraint": "nonneg"}, "gamma_constraint"),
    ("LayerNormalization", {"axis": [1, 2]}, "not the last one"),
    ("LayerNormalization", {"rms_scaling": True}, "rms_scaling"),
    ("Dropout", {"rate": 1.5}, "rate"),
    ("Dropout", {}, "its configuration lacks 'rate'"),
    ("Dropout", {"rate": 0.5, "noise_shape": [None, 1, 1, 8]}, "noise_shape"),
    ("UpSampling2D", {"interpolation": "lanczos3"}, "interpolation"),
    ("ZeroPadding2D", {"padding": [1, 2, 3]}, "padding"),
    ("Reshape", {"target_shape": None}, "its configuration lacks 'target_shape'"),
    ("Permute", {"dims": [0, 1]}, "dims"),
    ("Rescaling", {"scale": [1.0, 2.0]}, "scale"),
    ("InputLayer", {"batch_shape": [None, None, None, 1]}, "not fixed"),
    ("InputLayer", {}, "not fixed"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "config", "reason"), REFUSED)
def test_what_the_records_cannot_say_is_named_with_the_reason(
    kind: str, config: dict[str, Any], reason: str
) -> None:
    """An unsupported layer keeps its place in the graph, its class, and why."""
    layer = record(kind, config)

    assert isinstance(layer, r.UnsupportedLayer)
    assert (layer.class_name, layer.name, layer.inbound) == (kind, "x", ("y",))
    assert reason in layer.reason.sentence
    assert len(layer.reason.sentence) <= 500


def test_long_names() -> None:
    """A class's name is for reading, and cut; a layer's is one of a graph, and a limit of grader's."""
    with pytest.raises(ValidationError) as raised:
        convert.layer_record("Flatten", {}, "x" * 5000, ("y",))
    assert r.exceeded(raised.value) == "name: more than 200 characters, which is grader's limit"
    assert len(convert.layer_record("L" * 5000, {}, "x", ("y",)).model_dump()["class_name"]) == 200
    assert convert.layer_record("Flatten", {}, "", ("y",)).name == "layer"


@pytest.mark.parametrize("kind", list(CLASSES))
@pytest.mark.parametrize("value", [None, [], {}, "text", -1, 1e300, [None], {"class_name": []}], ids=repr)
def test_no_configuration_raises(kind: str, value: Any) -> None:
    """A forged file may hold anything under any name: every answer is a record."""
    names = ["filters", "units", "kernel_size", "strides", "activation", "kernel_initializer", "axis", "rate"]
    names += ["bias_regularizer", "padding", "pool_size", "dims", "target_shape", "size", "cropping", "scale"]
    names += ["stddev", "alpha", "shared_axes", "batch_shape", "max_value", "trainable", "nb_row", "bias"]

    for name in names:
        assert convert.layer_record(kind, {name: value}, "x", ("y",)).name == "x"
    assert convert.layer_record(kind, dict.fromkeys(names, value), "x", ("y",)).name == "x"
