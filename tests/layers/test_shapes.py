"""Shapes, counts and fields of random networks against Keras, and by hand."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from random import Random
from typing import Any, get_args

import keras
import numpy as np
import pytest
import tensorflow as tf

from grader import records as r
from grader.describe.networks import configuration, graph, live
from grader.errors import StudentError
from grader.layers import convolution, pooling, shapes
from grader.layers.normalization import GroupNormalization
from grader.train.keras import build

# --- random networks of our own records ---------------------------------------------------------

SEEDS = 300
CHUNKS = [range(first, first + 10) for first in range(0, SEEDS, 10)]
LARGEST = 24  # rows or columns

ACTIVATIONS = get_args(r.Activation)
INITIALIZERS: list[Any] = [
    r.VarianceScaling(scale=2.0, mode="fan_in", distribution="truncated_normal"),
    r.VarianceScaling(scale=0.5, mode="fan_out", distribution="untruncated_normal"),
    r.GLOROT_UNIFORM,
    r.RandomNormal(mean=0.25, stddev=0.125),
    r.TruncatedNormal(stddev=0.5),
    r.RandomUniform(minval=-0.5, maxval=0.25),
    r.Constant(value=0.5),
    r.ZEROS,
    r.ONES,
]
REGULARIZERS = [None, r.L1L2(l1=0.25), r.L1L2(l2=0.125), r.L1L2(l1=0.5, l2=0.25)]

Settings = dict[str, Any]
Proposal = tuple[type[r.BaseLayer], Settings]


class Sketch:
    """A network that grows layer by layer; every proposal fits by construction."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        rank = self.random.choice([1, 2, 3, 3, 3, 3])
        image = (self.random.randint(6, 16), self.random.randint(6, 16), self.random.randint(1, 4))
        shape = image if rank == 3 else tuple(self.random.randint(2, 24) for _ in range(rank))
        self.layers: list[Any] = [r.InputLayer(name="pixels", shape=shape)]
        self.shapes: dict[str, shapes.Shape] = {"pixels": shape}

    def add(self, cls: type[r.BaseLayer], settings: Settings, *inbound: str) -> str:
        name = f"{cls.__name__} {len(self.layers)}"
        # SpatialDropout2D's configuration does not say whether it is frozen: it has no weights.
        trainable = self.random.random() > 0.15 or cls is r.SpatialDropout2D
        self.layers.append(cls(name=name, inbound=inbound, trainable=trainable, **settings))
        network = self.ending_in(name)
        output = shapes.analyse(network).of(name).output
        assert output is not None
        self.shapes[name] = output
        return name

    def ending_in(self, last: str) -> r.ModelDescription:
        """The layers that lead to ``last``."""
        leading = {last}
        for layer in reversed(self.layers):
            leading |= set(layer.inbound) if layer.name in leading else set()
        layers = tuple(layer for layer in self.layers if layer.name in leading)
        return r.ModelDescription(inputs=("pixels",), layers=layers, outputs=(last,))

    def step(self, source: str) -> str:
        cls, settings = proposal(self.random, self.shapes[source])
        return self.add(cls, settings, source)

    def keeping(self, source: str) -> str:
        """A layer on top of ``source`` that leaves the shape as it is."""
        shape = self.shapes[source]
        options: list[Proposal] = [
            (r.BatchNormalization, {}),
            (r.Dropout, {"rate": 0.5}),
            (r.ReLU, {}),
            (r.Dense, {"units": shape[-1]}),
        ]
        if len(shape) == 3:
            options.append((r.Conv2D, {"filters": shape[2], "kernel_size": (3, 2), "padding": "same"}))
        return self.add(*self.random.choice(options), source)

    def branches(self, source: str) -> str:
        """Split and meet again: element-wise, squeezed to one pixel, or side by side."""
        shape = self.shapes[source]
        kind = self.random.choice(["merge", "merge", "squeeze", "beside"])
        if kind == "squeeze" and len(shape) == 3:
            keepdims = self.random.random() < 0.5
            pooled = self.add(r.GlobalAveragePooling2D, {"keepdims": keepdims}, source)
            return self.add(r.Merge, {"type": "Multiply"}, *self.shuffled(source, pooled))
        if kind == "beside":
            return self.beside(source)
        name = self.random.choice(["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"])
        count = 2 if name == "Subtract" else self.random.randint(2, 3)
        ends = [self.keeping(self.keeping(source)), *(self.keeping(source) for _ in range(count - 2)), source]
        return self.add(r.Merge, {"type": name}, *self.shuffled(*ends))

    def beside(self, source: str) -> str:
        shape = self.shapes[source]
        if len(shape) == 3 and self.random.random() < 0.4:
            axis = self.random.choice([1, 2])
            margins = ((1, 0), (0, 0)) if axis == 1 else ((0, 0), (0, 2))
            wider = self.add(r.ZeroPadding2D, {"padding": margins}, source)
            return self.add(r.Concatenate, {"axis": axis}, wider, self.keeping(source))
        units = self.add(r.Dense, {"units": self.random.randint(1, 5)}, source)
        axis = self.random.choice([-1, len(shape)])
        return self.add(r.Concatenate, {"axis": axis}, *self.shuffled(units, source, self.keeping(source)))

    def shuffled(self, *names: str) -> list[str]:
        return self.random.sample(names, len(names))


def network(seed: int) -> r.ModelDescription:
    """Even seeds: Sequential. Odd seeds: functional, with branches."""
    sketch = Sketch(seed)
    last = "pixels"
    for _ in range(sketch.random.randint(4, 9)):
        branch = seed % 2 and sketch.random.random() < 0.4
        last = sketch.branches(last) if branch else sketch.step(last)
    return sketch.ending_in(last)


def proposal(random: Random, shape: shapes.Shape) -> Proposal:
    anywhere = [
        _dense,
        _batch_normalization,
        _layer_normalization,
        _group_normalization,
        _prelu,
        _reshape,
        _permute,
        _parameterless,
    ]
    images = [_conv2d, _transposed, _depthwise, _separable, _pooling, _margins, _to_vector, _preprocessing]
    sequences = [_conv1d, _steps, _to_one_step]
    if len(shape) == 2:
        return random.choice([*sequences, *sequences, *anywhere, _flatten])(random, shape)
    if len(shape) != 3:
        return random.choice([*anywhere, _flatten])(random, shape)
    return random.choice([*images, *images, *anywhere])(random, shape)


def _activation(random: Random, channels: int) -> str:
    """Keras warns of a softmax over a single value, and rightly."""
    known = [a for a in ACTIVATIONS if channels > 1 or "softmax" not in a]
    return random.choice(["linear", "relu", random.choice(known)])


def _weights(random: Random, *names: str) -> Settings:
    settings: Settings = {"use_bias": random.random() < 0.7} if "bias" in names else {}
    for name in names:
        settings[f"{name}_initializer"] = random.choice(INITIALIZERS)
        settings[f"{name}_regularizer"] = random.choice(REGULARIZERS)
    return settings


def _window(random: Random, shape: shapes.Shape, *, square: bool) -> Settings:
    """Kernel, padding, and either strides or dilation (Keras refuses both at once)."""
    rows, columns = random.randint(1, min(4, shape[0])), random.randint(1, min(4, shape[1]))
    settings: Settings = {"kernel_size": (rows, columns), "padding": random.choice(["valid", "same"])}
    if random.random() < 0.4:
        down = random.randint(1, 3)
        settings["strides"] = (down, down if square else random.randint(1, 3))
    elif (rows - 1) * 2 < shape[0] and (columns - 1) * 2 < shape[1] and random.random() < 0.5:
        settings["dilation_rate"] = (2, 2 if square else random.randint(1, 2))
    return settings


def _conv2d(random: Random, shape: shapes.Shape) -> Proposal:
    groups = random.choice([n for n in range(1, shape[2] + 1) if shape[2] % n == 0])
    filters = groups * random.randint(1, 3)
    return r.Conv2D, {
        "filters": filters,
        "groups": groups,
        "activation": _activation(random, filters),
        "activity_regularizer": random.choice(REGULARIZERS),
        **_window(random, shape, square=False),
        **_weights(random, "kernel", "bias"),
    }


def _conv1d(random: Random, shape: shapes.Shape) -> Proposal:
    """The same along one axis, whose start alone may be padded."""
    _, settings = _conv2d(random, (shape[0], 1, shape[1]))
    for name in {"kernel_size", "strides", "dilation_rate"} & settings.keys():
        settings[name] = settings[name][:1]
    settings["padding"] = random.choice([settings["padding"], "causal"])
    return convolution.Conv1D, settings


def _steps(random: Random, shape: shapes.Shape) -> Proposal:
    _, settings = _pooling(random, (shape[0], 1))
    settings |= {name: settings[name][:1] for name in ("pool_size", "strides")}
    return random.choice([pooling.MaxPooling1D, pooling.AveragePooling1D]), settings


def _to_one_step(random: Random, shape: shapes.Shape) -> Proposal:
    kind = random.choice([pooling.GlobalMaxPooling1D, pooling.GlobalAveragePooling1D])
    return kind, {"keepdims": random.random() < 0.5}


def _transposed(random: Random, shape: shapes.Shape) -> Proposal:
    if max(shape[:2]) * 3 > LARGEST:
        return _conv2d(random, shape)
    filters = random.randint(1, 6)
    return r.Conv2DTranspose, {
        "filters": filters,
        "activation": _activation(random, filters),
        **_window(random, shape, square=False),
        **_weights(random, "kernel", "bias"),
    }


def _depthwise(random: Random, shape: shapes.Shape) -> Proposal:
    multiplier = random.randint(1, 2)
    return r.DepthwiseConv2D, {
        "depth_multiplier": multiplier,
        "activation": _activation(random, shape[2] * multiplier),
        **_window(random, shape, square=True),
        **_weights(random, "depthwise", "bias"),
    }


def _separable(random: Random, shape: shapes.Shape) -> Proposal:
    filters = random.randint(1, 6)
    return r.SeparableConv2D, {
        "filters": filters,
        "depth_multiplier": random.randint(1, 2),
        "activation": _activation(random, filters),
        **_window(random, shape, square=True),
        **_weights(random, "depthwise", "pointwise", "bias"),
    }


def _pooling(random: Random, shape: shapes.Shape) -> Proposal:
    pool = (random.randint(1, min(3, shape[0])), random.randint(1, min(3, shape[1])))
    return random.choice([r.MaxPooling2D, r.AveragePooling2D]), {
        "pool_size": pool,
        "strides": random.choice([pool, (random.randint(1, 3), random.randint(1, 3))]),
        "padding": random.choice(["valid", "same"]),
    }


def _margins(random: Random, shape: shapes.Shape) -> Proposal:
    rows, columns = shape[:2]
    kind = random.choice([r.ZeroPadding2D, r.Cropping2D, r.UpSampling2D])
    if kind is r.UpSampling2D and max(rows, columns) * 2 <= LARGEST:
        interpolation = random.choice(["nearest", "bilinear"])
        return kind, {"size": (random.randint(1, 2), random.randint(1, 2)), "interpolation": interpolation}
    if kind is r.Cropping2D and min(rows, columns) > 3:
        return kind, {"cropping": ((random.randint(0, 2), 1), (0, random.randint(0, 2)))}
    return r.ZeroPadding2D, {"padding": ((0, random.randint(0, 2)), (random.randint(0, 2), 1))}


def _to_vector(random: Random, shape: shapes.Shape) -> Proposal:
    if random.random() < 0.4:
        return r.Flatten, {}
    kind = random.choice([r.GlobalMaxPooling2D, r.GlobalAveragePooling2D])
    return kind, {"keepdims": random.random() < 0.5}


def _flatten(random: Random, shape: shapes.Shape) -> Proposal:
    return r.Flatten, {}


def _dense(random: Random, shape: shapes.Shape) -> Proposal:
    units = random.randint(1, 8)
    return r.Dense, {
        "units": units,
        "activation": _activation(random, units),
        "activity_regularizer": random.choice(REGULARIZERS),
        **_weights(random, "kernel", "bias"),
    }


def _batch_normalization(random: Random, shape: shapes.Shape) -> Proposal:
    return r.BatchNormalization, {
        "axis": random.choice([-1, -1, random.randint(1, len(shape))]),
        "momentum": random.choice([0.99, 0.5]),
        "epsilon": random.choice([1e-3, 1e-5]),
        "center": random.random() < 0.7,
        "scale": random.random() < 0.7,
        **_weights(random, "beta", "gamma"),
    }


def _layer_normalization(random: Random, shape: shapes.Shape) -> Proposal:
    return r.LayerNormalization, {
        "epsilon": random.choice([1e-3, 1e-6]),
        "center": random.random() < 0.7,
        "scale": random.random() < 0.7,
    }


def _group_normalization(random: Random, shape: shapes.Shape) -> Proposal:
    axis = random.choice([-1, random.randint(1, len(shape))])
    channels = shape[axis if axis == -1 else axis - 1]
    return GroupNormalization, {
        "groups": random.choice([n for n in range(1, channels + 1) if channels % n == 0]),
        "axis": axis,
        "epsilon": random.choice([1e-3, 1e-5]),
        "center": random.random() < 0.7,
        "scale": random.random() < 0.7,
        **_weights(random, "beta", "gamma"),
    }


def _prelu(random: Random, shape: shapes.Shape) -> Proposal:
    axes = [axis for axis in range(1, len(shape) + 1) if random.random() < 0.5]
    return r.PReLU, {"shared_axes": tuple(axes), **_weights(random, "alpha")}


def _reshape(random: Random, shape: shapes.Shape) -> Proposal:
    size = int(np.prod(shape))
    divisors = [n for n in range(1, LARGEST) if size % n == 0]
    first = random.choice(divisors)
    second = random.choice([n for n in divisors if (size // first) % n == 0])
    target = [first, second, size // first // second]
    if target[2] > LARGEST:
        target = [first, size // first]
    if random.random() < 0.6:
        target[random.randrange(len(target))] = -1
    return r.Reshape, {"target_shape": tuple(target)}


def _permute(random: Random, shape: shapes.Shape) -> Proposal:
    return r.Permute, {"dims": tuple(random.sample(range(1, len(shape) + 1), len(shape)))}


def _parameterless(random: Random, shape: shapes.Shape) -> Proposal:
    options: list[Proposal] = [
        (r.Dropout, {"rate": 0.25}),
        (r.GaussianDropout, {"rate": 0.25}),
        (r.AlphaDropout, {"rate": 0.125}),
        (r.GaussianNoise, {"stddev": 0.5}),
        (r.ActivationLayer, {"activation": _activation(random, shape[-1])}),
        (r.ReLU, {"max_value": random.choice([None, 6.0]), "negative_slope": 0.125, "threshold": 0.5}),
        (r.LeakyReLU, {"negative_slope": random.choice([0.125, 0.3])}),
        (r.ELU, {"alpha": random.choice([1.0, 0.5])}),
        (r.Rescaling, {"scale": 0.5, "offset": random.choice([0.0, -1.0])}),
    ]
    if len(shape) == 3:
        options.append((r.SpatialDropout2D, {"rate": 0.5}))
    return random.choice(options)


def _preprocessing(random: Random, shape: shapes.Shape) -> Proposal:
    channels = random.choice([1, shape[2]])
    options: list[Proposal] = [
        (r.Resizing, {"height": random.randint(2, 9), "width": random.randint(2, 9)}),
        (r.CenterCrop, {"height": random.randint(1, shape[0]), "width": random.randint(1, shape[1])}),
        (r.Normalization, {"mean": (0.5,) * channels, "variance": (0.25,) * channels}),
        (r.RandomFlip, {"mode": random.choice(["horizontal", "vertical"])}),
        (r.RandomRotation, {"factor": (-0.125, 0.25), "fill_mode": "nearest"}),
        (r.RandomTranslation, {"height_factor": (-0.125, 0.125), "width_factor": (-0.25, 0.0)}),
        (r.RandomZoom, {"height_factor": (-0.125, 0.25), "width_factor": (0.0, 0.5)}),
        (r.RandomContrast, {"factor": (0.0, 0.25), "value_range": (0.0, 1.0)}),
        (r.RandomBrightness, {"factor": (-0.25, 0.25), "value_range": (0.0, 1.0)}),
    ]
    return random.choice(options)


# --- against Keras ------------------------------------------------------------------------------


@functools.cache
def keras_model(seed: int) -> Any:
    """The network in Keras; even seeds give a real `keras.Sequential`."""
    model = build.model(network(seed))
    return model if seed % 2 else keras.Sequential(model.layers)


def by_number(description: r.ModelDescription, original: r.ModelDescription) -> r.ModelDescription:
    """The description with its layers in the order and under the names of the original."""
    names = {f"layer_{i}": layer.name for i, layer in enumerate(original.layers)}
    order = {layer.name: i for i, layer in enumerate(original.layers)}
    renamed = []
    for layer in description.layers:
        name = names.get(layer.name, "pixels")  # a Sequential's input may have got a name of its own
        inbound = tuple(names.get(source, "pixels") for source in layer.inbound)
        renamed.append(layer.model_copy(update={"name": name, "inbound": inbound}))
    return r.ModelDescription(
        inputs=tuple(names.get(name, "pixels") for name in description.inputs),
        layers=tuple(sorted(renamed, key=lambda layer: order[layer.name])),
        outputs=tuple(names[name] for name in description.outputs),
    )


def test_random_networks_hold_the_whole_vocabulary() -> None:
    """Every supported record occurs, so that the comparisons below leave none out."""
    union = get_args(get_args(r.Layer)[0])
    seen = {type(layer) for seed in range(SEEDS) for layer in network(seed).layers}

    assert set(union) - seen == {r.UnsupportedLayer}


def test_random_networks_hold_every_activation() -> None:
    """Every activation of the vocabulary occurs in some layer."""
    layers = [layer for seed in range(SEEDS) for layer in network(seed).layers]

    assert {getattr(layer, "activation", "linear") for layer in layers} == set(ACTIVATIONS)


@pytest.mark.parametrize("seeds", CHUNKS, ids=str)
def test_random_network_has_the_shapes_of_keras(seeds: range) -> None:
    """Every layer's output shape and parameter count is the one that Keras computes."""
    for seed in seeds:
        original, model = network(seed), keras_model(seed)
        for number, found in enumerate(shapes.analyse(original).layers[1:], 1):
            layer = model.get_layer(f"layer_{number}")
            assert (found.output, found.parameters) == (layer.output.shape[1:], layer.count_params()), (
                seed,
                found,
            )


@pytest.mark.parametrize("seeds", CHUNKS, ids=str)
def test_random_network_has_the_counts_of_keras(seeds: range) -> None:
    """Total, trainable and non-trainable parameters are those that Keras computes."""
    for seed in seeds:
        found, model = shapes.analyse(network(seed)), keras_model(seed)
        trainable = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
        frozen = sum(int(np.prod(w.shape)) for w in model.non_trainable_weights)
        assert (found.total, found.trainable, found.non_trainable) == (
            trainable + frozen,
            trainable,
            frozen,
        ), seed


@pytest.mark.parametrize("seeds", CHUNKS, ids=str)
def test_random_network_survives_the_round_trip(seeds: range) -> None:
    """Records, built in Keras and described again, are the same records."""
    for seed in seeds:
        original = network(seed)
        described = graph.describe(live.of_model(keras_model(seed)))
        assert by_number(described, original) == original, seed


@pytest.mark.parametrize("seeds", CHUNKS, ids=str)
def test_saved_network_is_described_as_the_live_one(seeds: range) -> None:
    """`model.to_json()` holds the same network as the live model."""
    for seed in seeds:
        original, model = network(seed), keras_model(seed)
        saved = graph.describe(configuration.of_config(json.loads(model.to_json())))
        alive = graph.describe(live.of_model(model))
        assert by_number(saved, original) == by_number(alive, original), seed
        assert {x.name for x in saved.layers} == {x.name for x in alive.layers}, seed


def test_a_merge_of_unequal_ranks_is_broadcast() -> None:
    """Keras gives `Multiply()([image, vector])` the image's shape, as squeeze-and-excite needs it."""
    found = shapes.analyse(
        described(
            r.InputLayer(name="image", shape=(7, 7, 16)),
            r.GlobalAveragePooling2D(name="squeezed", inbound=("image",)),
            r.Merge(name="scaled", inbound=("squeezed", "image"), type="Multiply"),
        )
    )

    assert found.of("scaled").output == (7, 7, 16)


# --- receptive fields ---------------------------------------------------------------------------


def described(*layers: Any) -> r.ModelDescription:
    inputs = tuple(layer.name for layer in layers if layer.type == "InputLayer")
    return r.ModelDescription(inputs=inputs, layers=layers, outputs=(layers[-1].name,))


def chain(*layers: Any, shape: tuple[int, ...] = (28, 28, 1)) -> r.ModelDescription:
    """A Sequential: ``layers`` under the names 1, 2, …, each taking the one before."""
    named = [x.model_copy(update={"name": str(i), "inbound": (str(i - 1),)}) for i, x in enumerate(layers, 1)]
    return described(r.InputLayer(name="0", shape=shape), *named)


def conv(size: int = 3, **settings: Any) -> r.Conv2D:
    settings = {"filters": 2} | settings
    return r.Conv2D(name="?", inbound=("?",), kernel_size=(size, size), **settings)


def layer(cls: type[r.BaseLayer], **settings: Any) -> Any:
    return cls(name="?", inbound=("?",), **settings)


STEPS: Settings = {"filters": 4, "kernel_size": (3,)}


def receptive_field(found: r.ModelDescription) -> tuple[int, int]:
    field = shapes.analyse(found).layers[-1].field
    assert field is not None
    return field.rounded()


@pytest.mark.parametrize(
    ("layers", "field"),
    [
        ([conv(1)], 1),
        ([conv()], 3),
        ([conv(), conv()], 5),
        ([conv(padding="same"), conv(padding="same")], 5),
        ([conv(), layer(r.MaxPooling2D)], 4),
        ([conv(), layer(r.MaxPooling2D), conv()], 8),
        ([conv(), layer(r.AveragePooling2D, pool_size=(3, 3), strides=(1, 1)), conv()], 7),
        ([conv(strides=(2, 2)), conv()], 7),
        ([conv(dilation_rate=(2, 2))], 5),
        ([conv(dilation_rate=(2, 2)), conv()], 7),
        ([layer(r.DepthwiseConv2D, kernel_size=(5, 5)), conv(1)], 5),
        ([layer(r.SeparableConv2D, kernel_size=(5, 5), filters=2), conv()], 7),
        ([conv(), layer(r.BatchNormalization), layer(r.Dropout, rate=0.1), conv()], 5),
        ([layer(r.ZeroPadding2D), conv(), layer(r.Cropping2D)], 3),
        ([layer(r.MaxPooling2D), layer(r.UpSampling2D), conv()], 4),
        ([layer(r.MaxPooling2D), layer(r.Conv2DTranspose, filters=1, kernel_size=(2, 2), strides=(2, 2))], 2),
        ([layer(r.Flatten)], 28),
        ([layer(r.GlobalAveragePooling2D)], 28),
        ([layer(r.GlobalMaxPooling2D, keepdims=True)], 28),
        ([conv(), layer(r.Flatten)], 28),
        ([conv(), layer(r.Flatten), layer(r.Dense, units=10)], 28),
        ([layer(r.Dense, units=10)], 1),
    ],
)
def test_receptive_field_by_hand(layers: list[Any], field: int) -> None:
    """Worked out on paper for a 28x28 input."""
    assert receptive_field(chain(*layers)) == (field, field)


@pytest.mark.parametrize(
    ("layers", "field"),
    [
        ([layer(convolution.Conv1D, **STEPS)], (3, 28)),
        ([layer(convolution.Conv1D, **STEPS), layer(convolution.Conv1D, **STEPS)], (5, 28)),
        ([layer(convolution.Conv1D, **STEPS, dilation_rate=(2,))], (5, 28)),
        ([layer(pooling.MaxPooling1D)], (2, 1)),
        (
            [
                layer(convolution.Conv1D, **STEPS),
                layer(pooling.AveragePooling1D),
                layer(convolution.Conv1D, **STEPS),
            ],
            (8, 28),
        ),
        ([layer(pooling.GlobalMaxPooling1D)], (28, 1)),
        ([layer(convolution.Conv1D, **STEPS), layer(pooling.GlobalAveragePooling1D)], (28, 28)),
        ([layer(convolution.Conv1D, **STEPS), layer(r.Flatten)], (28, 28)),
        ([layer(r.Flatten)], (28, 28)),
        ([layer(r.Dense, units=3)], (1, 28)),
        ([layer(r.Dense, units=3), layer(r.Flatten)], (28, 28)),
    ],
)
def test_receptive_field_of_rows_as_a_sequence(layers: list[Any], field: tuple[int, int]) -> None:
    """A step is a row of 28 pixels, all of which a convolution sees."""
    assert receptive_field(chain(*layers, shape=(28, 28))) == field


def test_rows_and_columns_have_fields_of_their_own() -> None:
    """A 1x7 kernel widens the field along columns only."""
    wide = r.Conv2D(name="?", inbound=("?",), filters=1, kernel_size=(1, 7))

    assert receptive_field(chain(wide, conv())) == (3, 9)


def test_branches_that_meet_see_the_widest_field() -> None:
    """A residual connection does not narrow the field of the convolutions beside it."""
    network = described(
        r.InputLayer(name="in", shape=(8, 8, 1)),
        r.Conv2D(name="a", inbound=("in",), filters=1, kernel_size=(3, 3), padding="same"),
        r.Conv2D(name="b", inbound=("a",), filters=1, kernel_size=(3, 3), padding="same"),
        r.Merge(name="sum", inbound=("in", "b"), type="Add"),
    )

    assert receptive_field(network) == (5, 5)


def random_windows(seed: int) -> r.ModelDescription:
    """Convolutions and average pooling without padding, all weights positive, linear.

    No stride is wider than its window: TensorFlow 2.21 corrupts its memory there on CPUs (oneDNN).
    """
    random, layers, size = Random(seed), [], 40
    for _ in range(random.randint(1, 4)):
        kernel = random.randint(1, 4)
        stride = min(kernel, random.choice([1, 1, 2]))
        dilation = random.choice([1, 2]) if stride == 1 else 1
        if random.random() < 0.4:
            windows = {"pool_size": (kernel, kernel), "strides": (stride, stride)}
            layers.append(layer(r.AveragePooling2D, **windows))
            dilation = 1
        else:
            layers.append(
                conv(
                    kernel,
                    strides=(stride, stride),
                    dilation_rate=(dilation, dilation),
                    kernel_initializer=r.ONES,
                )
            )
        size = (size - (kernel - 1) * dilation - 1) // stride + 1
    assert size >= 1
    return chain(*layers, shape=(40, 40, 1))


@pytest.mark.parametrize("seed", range(24))
def test_receptive_field_is_where_the_gradient_is(seed: int) -> None:
    """The pixels that the centre of the output depends on span the computed field."""
    found = random_windows(seed)
    model = build.model(found)
    pixels = tf.ones((1, 40, 40, 1))
    with tf.GradientTape() as tape:
        tape.watch(pixels)
        output = model(pixels)
        centre = output[0, output.shape[1] // 2, output.shape[2] // 2, 0]
    rows, columns = np.nonzero(np.asarray(tape.gradient(centre, pixels))[0, :, :, 0])

    assert receptive_field(found) == (np.ptp(rows) + 1, np.ptp(columns) + 1)


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("kernel", [2, 3, 4, 5])
@pytest.mark.parametrize("kind", ["UpSampling2D", "Conv2DTranspose"])
def test_receptive_field_behind_up_sampling_is_the_widest(kind: str, kernel: int, size: int) -> None:
    """Outputs see unequally many pixels then; the field is that of the one that sees most."""
    transposed = layer(
        r.Conv2DTranspose, filters=1, kernel_size=(kernel, 1), strides=(size, 1), kernel_initializer=r.ONES
    )
    convolved = r.Conv2D(
        name="?", inbound=("?",), filters=1, kernel_size=(kernel, 1), kernel_initializer=r.ONES
    )
    layers = [transposed] if kind == "Conv2DTranspose" else [layer(r.UpSampling2D, size=(size, 1)), convolved]
    found = chain(*layers, shape=(9, 1, 1))
    model, pixels = build.model(found), tf.ones((1, 9, 1, 1))
    with tf.GradientTape() as tape:
        tape.watch(pixels)
        output = tf.reshape(model(pixels), (-1,))
    seen = np.asarray(tape.jacobian(output, pixels)).reshape(-1, 9) != 0

    assert receptive_field(found)[0] == seen.sum(axis=1).max()


# --- misfits ------------------------------------------------------------------------------------

MISFITS: dict[str, Callable[[], r.ModelDescription]] = {
    "kernel larger than the image": lambda: chain(conv(5), shape=(4, 4, 1)),
    "dilated kernel larger than the image": lambda: chain(conv(dilation_rate=(2, 2)), shape=(4, 4, 1)),
    "pool larger than the image": lambda: chain(layer(r.MaxPooling2D), shape=(1, 1, 3)),
    "convolution of a vector": lambda: chain(conv(), shape=(10,)),
    "convolution of rows": lambda: chain(conv(), shape=(10, 10)),
    "convolution of the steps of an image": lambda: chain(layer(convolution.Conv1D, **STEPS)),
    "more steps than there are": lambda: chain(layer(convolution.Conv1D, **STEPS), shape=(2, 5)),
    "groups do not divide the channels of a sequence": lambda: chain(
        layer(convolution.Conv1D, groups=2, **STEPS), shape=(9, 5)
    ),
    "pooling of the steps of a vector": lambda: chain(layer(pooling.MaxPooling1D), shape=(10,)),
    "global pooling of the steps of an image": lambda: chain(layer(pooling.GlobalMaxPooling1D)),
    "depthwise of a vector": lambda: chain(layer(r.DepthwiseConv2D, kernel_size=(3, 3)), shape=(10,)),
    "separable of a vector": lambda: chain(
        layer(r.SeparableConv2D, kernel_size=(3, 3), filters=1), shape=(10,)
    ),
    "transposed of a vector": lambda: chain(
        layer(r.Conv2DTranspose, kernel_size=(3, 3), filters=1), shape=(10,)
    ),
    "pooling of a vector": lambda: chain(layer(r.AveragePooling2D), shape=(10,)),
    "global pooling of a vector": lambda: chain(layer(r.GlobalAveragePooling2D), shape=(10,)),
    "spatial dropout of a vector": lambda: chain(layer(r.SpatialDropout2D, rate=0.1), shape=(10,)),
    "padding of a vector": lambda: chain(layer(r.ZeroPadding2D), shape=(10,)),
    "nothing left of the image": lambda: chain(
        layer(r.Cropping2D, cropping=((4, 4), (0, 0))), shape=(8, 8, 1)
    ),
    "groups do not divide the channels": lambda: chain(conv(groups=2), shape=(8, 8, 3)),
    "groups do not divide the filters": lambda: chain(conv(groups=2, filters=3), shape=(8, 8, 4)),
    "strides and dilation at once": lambda: chain(conv(strides=(2, 2), dilation_rate=(2, 2))),
    "reshape to another size": lambda: chain(layer(r.Reshape, target_shape=(28, 27))),
    "reshape that does not divide": lambda: chain(layer(r.Reshape, target_shape=(-1, 5))),
    "reshape with two unknowns": lambda: chain(layer(r.Reshape, target_shape=(-1, -1))),
    "reshape to nothing": lambda: chain(layer(r.Reshape, target_shape=(0, -1))),
    "permute of too few axes": lambda: chain(layer(r.Permute, dims=(2, 1))),
    "permute of one axis twice": lambda: chain(layer(r.Permute, dims=(1, 1, 2))),
    "normalisation of an axis that is not": lambda: chain(layer(r.BatchNormalization, axis=4)),
    "groups do not divide the normalised channels": lambda: chain(layer(GroupNormalization, groups=2)),
    "more groups than channels": lambda: chain(layer(GroupNormalization), shape=(8, 8, 16)),
    "normalisation of the batch": lambda: chain(layer(r.BatchNormalization, axis=0)),
    "slopes shared along an axis that is not": lambda: chain(layer(r.PReLU, shared_axes=(4,))),
}


@pytest.mark.parametrize("build_network", MISFITS.values(), ids=MISFITS)
def test_a_layer_that_does_not_fit_is_named(build_network: Callable[[], r.ModelDescription]) -> None:
    """The student reads which layer cannot take its input."""
    with pytest.raises(StudentError, match="layer '1'") as caught:
        shapes.analyse(build_network())

    assert caught.value.hint


@pytest.mark.parametrize(
    "after",
    [
        layer(r.Dense, units=3),
        layer(r.LayerNormalization),
        layer(r.BatchNormalization),
        layer(r.Concatenate),
    ],
    ids=lambda layer: layer.type,
)
def test_a_scalar_has_no_axis(after: Any) -> None:
    """Keras reshapes a single value to a scalar; no layer with weights can take it."""
    with pytest.raises(StudentError, match="layer '2'"):
        shapes.analyse(chain(layer(r.Reshape, target_shape=()), after, shape=(1,)))


@pytest.mark.parametrize(
    ("first", "second", "merge"),
    [
        ((4, 4, 1), (4, 5, 1), r.Merge(name="end", inbound=("a", "b"), type="Add")),
        ((4, 4, 2), (4, 4, 3), r.Merge(name="end", inbound=("a", "b"), type="Multiply")),
        ((4, 4, 2), (3,), r.Merge(name="end", inbound=("a", "b"), type="Average")),
        ((4, 4, 2), (4, 4, 2), r.Merge(name="end", inbound=("a", "b", "a"), type="Subtract")),
        ((4, 4, 2), (4, 5, 2), r.Concatenate(name="end", inbound=("a", "b"))),
        ((4, 4, 2), (4, 5, 2), r.Concatenate(name="end", inbound=("a", "b"), axis=1)),
        ((4, 4, 2), (4, 4, 2), r.Concatenate(name="end", inbound=("a", "b"), axis=4)),
        ((3, 4), (3,), r.Concatenate(name="end", inbound=("a", "b"))),
        ((3,), (3, 4), r.Concatenate(name="end", inbound=("a", "b"))),
        ((4, 4, 1), (4, 4, 1), r.Flatten(name="end", inbound=("a", "b"))),
        ((4, 4, 1), (4, 4, 1), r.Dense(name="end", inbound=("a", "b"), units=2)),
        ((4, 4, 1), (4, 4, 1), r.Conv2D(name="end", inbound=("a", "b"), filters=2, kernel_size=(1, 1))),
    ],
)
def test_branches_that_do_not_fit_are_named(
    first: shapes.Shape, second: shapes.Shape, merge: r.Layer
) -> None:
    """A merge of shapes that differ is the student's mistake, with its layer named."""
    inputs = r.InputLayer(name="a", shape=first), r.InputLayer(name="b", shape=second)

    with pytest.raises(StudentError, match="layer 'end'"):
        shapes.analyse(described(*inputs, merge))


# --- the seven submissions ----------------------------------------------------------------------


def block(filters: int, kernel: int, *after: str) -> list[Any]:
    """A convolution with ReLU, then "B" for BatchNormalization and "D" for Dropout 0.1."""
    kinds = {"B": layer(r.BatchNormalization), "D": layer(r.Dropout, rate=0.1)}
    return [conv(kernel, filters=filters, activation="relu"), *(kinds[kind] for kind in after)]


def submission(plan: str, *, normalised: bool, head: int) -> r.ModelDescription:
    """From the facts' notation: "16/3" a convolution, "16/3 B" one with B and D, "MP" a pooling."""
    layers: list[Any] = []
    for word in plan.replace(" B", "B").split():
        if word == "MP":
            layers.append(layer(r.MaxPooling2D))
        else:
            filters, kernel = word.rstrip("B").split("/")
            layers += block(int(filters), int(kernel), *("BD" if normalised and word.endswith("B") else ""))
    ends = [conv(head, filters=10), layer(r.Flatten), layer(r.ActivationLayer, activation="softmax")]
    return chain(*layers, *ends)


SUBMISSIONS = {
    "vanilla": ("16/3 32/3 10/1 MP 16/3 32/3 32/3 64/3", 4, (49_220, 49_220, 0)),
    "fewer kernels": ("8/3 16/3 10/1 MP 8/3 16/3 16/3 16/3", 4, (10_524, 10_524, 0)),
    "schedule": ("12/3 B 20/3 B 10/1 MP 16/3 B 16/3 B 16/3 B 16/3 B", 4, (13_880, 13_688, 192)),
    "fewer kernels, normalised": (
        "8/3 B 16/3 B 10/1 MP 8/3 B 16/3 B 16/3 B 16/3 B",
        4,
        (10_844, 10_684, 160),
    ),
    "other architecture 1": (
        "8/3 B 16/3 B 32/3 B 10/1 MP 16/3 B 32/3 B 10/1 B 20/3 B",
        5,
        (20_010, 19_742, 268),
    ),
    "other architecture 2": (
        "10/3 B 16/3 B 10/1 20/3 B MP 10/3 B 16/3 B 10/1 B 16/3 B 16/3 B",
        3,
        (12_664, 12_436, 228),
    ),
    "other architecture 3": (
        "64/3 B 10/1 16/3 B 16/3 B MP 16/3 B 16/3 B 10/1 B 16/3 B",
        5,
        (15_958, 15_650, 308),
    ),
}


@pytest.mark.parametrize(("plan", "head", "counts"), SUBMISSIONS.values(), ids=SUBMISSIONS)
def test_the_seven_submissions(plan: str, head: int, counts: tuple[int, int, int]) -> None:
    """Total, trainable and non-trainable parameters, one vector of 10, and a field of the whole digit."""
    found = shapes.analyse(submission(plan, normalised=True, head=head))

    assert (found.total, found.trainable, found.non_trainable) == counts
    assert found.layers[-1].output == (10,)
    assert min(receptive_field(submission(plan, normalised=True, head=head))) >= 28


# --- unsupported layers -------------------------------------------------------------------------


def test_an_unsupported_layer_makes_everything_after_it_unknown() -> None:
    """What cannot be known is None, never zero; what lies before it is still known."""
    unknown = r.UnsupportedLayer(name="?", inbound=("?",), class_name="Lambda")
    found = shapes.analyse(chain(conv(), unknown, layer(r.Dense, units=10), shape=(8, 8, 1)))

    assert [x.output for x in found.layers] == [(8, 8, 1), (6, 6, 2), None, None]
    assert [x.parameters for x in found.layers] == [0, 20, None, None]
    assert [x.trainable for x in found.layers] == [0, 20, None, None]
    assert [x.field is None for x in found.layers] == [False, False, True, True]
    assert (found.total, found.trainable, found.non_trainable) == (None, None, None)


def test_a_frozen_layer_behind_an_unsupported_one_leaves_the_totals_unknown() -> None:
    """Not training a layer of unknown size does not make its size zero."""
    unknown = r.UnsupportedLayer(name="?", inbound=("?",), class_name="Lambda")
    found = shapes.analyse(chain(unknown, layer(r.Dense, units=10, trainable=False)))

    assert found.of("2").parameters is None
    assert (found.total, found.trainable, found.non_trainable) == (None, None, None)


def test_a_branch_beside_an_unsupported_layer_is_still_known() -> None:
    """Only what depends on the unsupported layer is unknown."""
    found = shapes.analyse(
        described(
            r.InputLayer(name="in", shape=(8, 8, 1)),
            r.UnsupportedLayer(name="odd", inbound=("in",), class_name="Lambda"),
            r.Flatten(name="flat", inbound=("in",)),
            r.Dense(name="known", inbound=("flat",), units=2),
            r.Merge(name="sum", inbound=("known", "odd"), type="Add"),
        )
    )

    assert found.of("known").parameters == 130
    assert found.of("sum").output is None


def test_frozen_layers_count_as_not_trainable() -> None:
    """`trainable=False` moves a layer's weights to the other column, the total stays."""
    found = shapes.analyse(chain(conv(trainable=False), layer(r.BatchNormalization), shape=(8, 8, 1)))

    assert (found.total, found.trainable, found.non_trainable) == (28, 4, 24)
