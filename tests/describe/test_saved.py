"""Saved models of every era, read as data; and files that hold none."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

from grader import records as r
from grader.describe.networks import configuration, graph, live, saved
from grader.errors import StudentError, Unsupported
from grader.layers import shapes

FIXTURES = Path(__file__).parent.parent / "fixtures"


def described(path: Path) -> r.ModelDescription:
    return graph.describe(configuration.of_config(saved.read_config(path)))


# --- fixtures -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "total", "trainable"),
    [
        ("savedmodel_keras2", 27_106, 27_098),
        ("keras1_sequential.h5", 7_174, 7_158),
        ("keras205_list.h5", 15_872, 15_832),
        ("functional_keras2.json", 2_080, 2_064),
        ("legacy_tfkeras.h5", 2_080, 2_064),
    ],
)
def test_fixture_has_its_parameters(name: str, total: int, trainable: int) -> None:
    """Every era's file gives a whole network with the documented counts."""
    network = described(FIXTURES / name)
    found = shapes.analyse(network)

    assert network.unsupported == ()
    assert (found.total, found.trainable) == (total, trainable)
    assert (found.layers[0].output, found.layers[-1].output) == ((28, 28, 1), (10,))


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("savedmodel_keras2", "Conv2D BatchNormalization Flatten Dense"),
        ("keras1_sequential.h5", "Conv2D BatchNormalization MaxPooling2D Conv2D Dropout Flatten Dense"),
        (
            "keras205_list.h5",
            "Conv2D BatchNormalization Dropout Conv2D MaxPooling2D Conv2D BatchNormalization Flatten Dense",
        ),
    ],
)
def test_sequential_fixture_has_its_layers(name: str, kinds: str) -> None:
    """In order, behind an input."""
    assert [layer.type for layer in described(FIXTURES / name).layers] == ["InputLayer", *kinds.split()]


def test_keras_1_settings_keep_their_meaning() -> None:
    """`nb_row`, `border_mode`, `p` and `init` say the same in their modern records."""
    layers = {layer.name: layer for layer in described(FIXTURES / "keras1_sequential.h5").layers}
    first, second = layers["convolution2d_1"], layers["convolution2d_2"]

    assert isinstance(first, r.Conv2D)
    assert isinstance(second, r.Conv2D)
    assert (first.filters, first.kernel_size, first.padding, first.activation) == (8, (3, 3), "valid", "relu")
    assert (second.padding, second.kernel_initializer) == ("same", r.GLOROT_UNIFORM)
    assert layers["dropout_1"].model_dump()["rate"] == 0.25


def test_functional_fixtures_are_one_network() -> None:
    """The same model as JSON and as HDF5, with its branches."""
    network = described(FIXTURES / "functional_keras2.json")

    assert network == described(FIXTURES / "legacy_tfkeras.h5")
    inbound = {layer.name: layer.inbound for layer in network.layers}
    assert inbound["residual"] == ("stem_bn", "branch")
    assert inbound["join"] == ("left", "right")


def test_weights_only_says_so() -> None:
    """A file of weights holds no architecture, and the hint says what to hand in."""
    with pytest.raises(StudentError, match=r"weights_only\.h5 holds weights only") as caught:
        saved.read_config(FIXTURES / "weights_only.h5")

    assert "model.save" in caught.value.hint


def test_an_exported_function_goes_to_a_person() -> None:
    """`model.export()` keeps a computation, no layers: nobody's fault."""
    with pytest.raises(Unsupported, match="not a Keras architecture") as caught:
        saved.read_config(FIXTURES / "savedmodel_export")

    assert "model.export" in caught.value.hint


# --- what Keras 3 writes now --------------------------------------------------------------------


@pytest.fixture(scope="module")
def model() -> Any:
    """A small functional network with a branch."""
    image = keras.Input((8, 8, 1))
    left = keras.layers.Conv2D(4, 3, padding="same", activation="relu")(image)
    joined = keras.layers.Concatenate()([left, image])
    return keras.Model(image, keras.layers.Dense(10)(keras.layers.Flatten()(joined)))


@pytest.mark.parametrize("name", ["m.keras", "M.KERAS", "m.json", "twice.json"])
def test_keras_3_files_hold_the_live_network(model: Any, tmp_path: Path, name: str) -> None:
    """`model.save`, `to_json`, and `json.dump(model.to_json())`, which quotes it twice."""
    path = tmp_path / name
    if path.suffix == ".json":
        text = model.to_json()
        path.write_text(json.dumps(text) if name == "twice.json" else text)
    else:
        model.save(tmp_path / "m.keras")
        (tmp_path / "m.keras").rename(path)

    assert described(path) == graph.describe(live.of_model(model))


def test_configuration_of_an_hdf5_file_may_be_bytes(model: Any, tmp_path: Path) -> None:
    """Old h5py wrote bytes where newer ones write text."""
    for value in (model.to_json(), model.to_json().encode()):
        path = hdf5(tmp_path, value)
        assert described(path) == graph.describe(live.of_model(model))


def sorted_layers(network: r.ModelDescription) -> list[r.Layer]:
    """Branches may be listed in another order."""
    return sorted(network.layers, key=lambda x: x.name)


def test_a_model_within_the_model_is_its_layers(tmp_path: Path) -> None:
    """In a functional network and in a Sequential, first or later; read from files as from live models."""
    layers = keras.layers
    base = keras.Sequential([layers.Conv2D(4, 3), layers.BatchNormalization()], name="base")
    image = keras.Input((8, 8, 1))
    branched = layers.Add()([base(image), layers.Conv2D(4, 3)(image)])
    whole = keras.Model(image, layers.Dense(10)(layers.Flatten()(branched)))
    head = keras.Sequential([layers.Flatten()], name="head")
    chain = keras.Sequential([base, head, layers.Dense(10)])
    chain.build((None, 8, 8, 1))
    for model in (whole, chain):
        network = graph.describe(configuration.of_config(json.loads(model.to_json())))
        assert sorted_layers(network) == sorted_layers(graph.describe(live.of_model(model)))
        assert network.unsupported == ()
        assert {"base/conv2d", "base/batch_normalization"} <= {
            x.name.rstrip("_0123456789") for x in network.layers
        }


def test_a_model_that_is_called_twice_is_not_imitated() -> None:
    """Its weights are shared, which the records cannot say."""
    inner = keras.Sequential([keras.layers.Dense(4)], name="inner")
    image = keras.Input((4,))
    model = keras.Model(image, keras.layers.Concatenate()([inner(image), inner(inner(image))]))
    network = graph.describe(configuration.of_config(json.loads(model.to_json())))
    assert {x.class_name for x in network.unsupported} == {"Sequential"}


def test_operations_are_the_layers_that_do_the_same() -> None:
    """`a + b` and `keras.ops.relu(x)` in a saved graph; what is no layer is named."""
    image = keras.Input((8, 8, 1))
    x = keras.ops.relu(keras.layers.Conv2D(4, 3)(image)) + keras.layers.Conv2D(4, 3)(image)
    doubled = x * 2.0
    scores = keras.ops.softmax(keras.layers.Dense(10)(keras.layers.Flatten()(x)))
    for end in (scores, doubled):
        model = keras.Model(image, end)
        network = graph.describe(configuration.of_config(json.loads(model.to_json())))
        assert sorted_layers(network) == sorted_layers(graph.describe(live.of_model(model)))
        assert [x.class_name for x in network.unsupported] == (["ops.Multiply"] if end is doubled else [])


@pytest.mark.parametrize(
    ("function", "call", "kind"),
    [
        ("nn.relu", [["a", 0, 0, {"name": None}]], "Activation"),
        ("__operators__.add", [["a", 0, 0, {"y": ["in", 0, 0], "name": None}]], "Add"),
        ("math.multiply", [["a", 0, 0, {"y": 2.0, "name": None}]], "UnsupportedLayer"),
        ("image.resize", [["a", 0, 0, {"size": [4, 4]}]], "UnsupportedLayer"),
    ],
)
def test_functions_that_tf_keras_wrapped(function: str, call: Any, kind: str) -> None:
    """`TFOpLambda`: `tf.nn.relu(x)` and `x + y` of tf.keras 2."""
    config = functional(("a", ["in"]), ("b", ["a"]), output="b")
    wrapped = {"class_name": "TFOpLambda", "name": "b", "config": {"name": "b", "function": function}}
    config["config"]["layers"][2] = {**wrapped, "inbound_nodes": call}
    network = graph.describe(configuration.of_config(config))
    assert network.layers[-1].type == kind
    assert network.layers[-1].inbound == (("a", "in") if kind == "Add" else ("a",))


def test_a_layer_that_also_acts_at_validation_is_not_imitated() -> None:
    """`training=True` in a saved call, as in a live one."""
    config = functional(("a", ["in"]), output="a")
    config["config"]["layers"][1]["inbound_nodes"] = [[["in", 0, 0, {"training": True}]]]
    (layer,) = graph.describe(configuration.of_config(config)).unsupported
    assert layer.reason == r.because("training_true")


# --- files that hold no model -------------------------------------------------------------------


def hdf5(folder: Path, config: Any) -> Path:
    path = folder / "m.h5"
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = config
    return path


def archive(folder: Path, config: bytes, name: str = "config.json") -> Path:
    path = folder / "m.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(name, config)
    return path


def written(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def truncated(folder: Path) -> Path:
    path = archive(folder, b'{"class_name": "Sequential"}' * 100)
    return written(folder, "m.keras", path.read_bytes()[:-40])


def garbled(folder: Path) -> Path:
    """A sound directory around a compressed member that does not decompress."""
    content = bytearray(archive(folder, json.dumps(list(range(2000))).encode()).read_bytes())
    content[60:200] = bytes(140)
    return written(folder, "m.keras", bytes(content))


def wrong_checksum(folder: Path) -> Path:
    path = folder / "m.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as file:
        file.writestr("config.json", b'{"class_name": "Sequential"}')
    return written(folder, "m.keras", path.read_bytes().replace(b"Sequential", b"sequential"))


DEEP = b"[" * 100_000 + b"]" * 100_000
DEEP_OBJECT = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
LARGE = json.dumps({"class_name": "Sequential", "config": "x" * 9_000_000}).encode()
Maker = Callable[[Path], Path]

TOO_LARGE = "at most 8,000,000"
CORRUPT: dict[str, tuple[Maker, str]] = {
    "truncated .keras": (truncated, r"m\.keras is not a readable \.keras file"),
    "empty .keras": (lambda f: written(f, "m.keras", b""), "not a readable"),
    "HDF5 named .keras": (lambda f: hdf5(f, "{}").rename(f / "m.keras"), "not a readable"),
    "garbled .keras": (garbled, "not a readable"),
    "checksum of .keras": (wrong_checksum, "not a readable"),
    "zip without config.json": (lambda f: archive(f, b"{}", "model.json"), r"holds no config\.json"),
    "config.json of 9 MB": (lambda f: archive(f, LARGE), r"has 9,0\d\d,\d\d\d bytes; at most 8,000,000"),
    "config.json of zeros": (lambda f: archive(f, bytes(9_000_000)), TOO_LARGE),
    "config.json is no JSON": (lambda f: archive(f, b"<xml/>"), "not valid JSON"),
    "config.json is no text": (lambda f: archive(f, b"\xff\xfe\x00{"), "not valid JSON"),
    "config.json is a list": (lambda f: archive(f, b"[1]"), "not a JSON object"),
    "deep config.json": (lambda f: archive(f, DEEP), "not valid JSON"),
    "JSON list": (lambda f: written(f, "m.json", b"[]"), "not a JSON object"),
    "JSON number": (lambda f: written(f, "m.json", b"3"), "not a JSON object"),
    "empty JSON": (lambda f: written(f, "m.json", b""), "not valid JSON"),
    "deep JSON": (lambda f: written(f, "m.json", DEEP), "not valid JSON"),
    "deep JSON objects": (lambda f: written(f, "m.json", DEEP_OBJECT), "not valid JSON"),
    "deep JSON, quoted": (lambda f: written(f, "m.json", b'"%s"' % DEEP), "not valid JSON"),
    "JSON of 9 MB": (lambda f: written(f, "m.json", LARGE), TOO_LARGE),
    "no HDF5": (lambda f: written(f, "m.h5", b"no HDF5 at all" * 100), r"m\.h5 is not a readable HDF5 file"),
    "empty HDF5": (lambda f: written(f, "m.h5", b""), "not a readable HDF5 file"),
    "truncated HDF5": (
        lambda f: written(f, "m.hdf5", (FIXTURES / "keras205_list.h5").read_bytes()[:3000]),
        "not a readable HDF5 file",
    ),
    "HDF5 of 9 MB": (lambda f: hdf5_of_9_mb(f), TOO_LARGE),
    "HDF5 with a number": (lambda f: hdf5(f, 42), "not text"),
    "HDF5 with an array": (lambda f: hdf5(f, np.arange(3)), "not text"),
    "HDF5 with nothing": (lambda f: hdf5(f, h5py.Empty("S1")), "not text"),
    "HDF5 with a list": (lambda f: hdf5(f, "[]"), "not a JSON object"),
}  # fmt: skip


def hdf5_of_9_mb(folder: Path) -> Path:
    return hdf5(folder, LARGE.decode())


@pytest.mark.parametrize(("make", "message"), CORRUPT.values(), ids=CORRUPT)
def test_a_corrupt_file_is_the_students_mistake(tmp_path: Path, make: Maker, message: str) -> None:
    """One readable sentence, never a traceback of a library; what only exceeds a limit goes to a person."""
    path = make(tmp_path)
    kind = Unsupported if TOO_LARGE in message else StudentError

    with pytest.raises(kind, match=message) as caught:
        saved.read_config(path)
    assert caught.value.message.startswith(path.name)
    assert len(caught.value.message) <= 500


def field(number: int, content: bytes) -> bytes:
    """A length-delimited field of a protocol buffer."""
    size, rest = len(content), []
    while size > 127:
        rest.append(size & 127 | 128)
        size >>= 7
    return bytes([number << 3 | 2, *rest, size]) + content


SEQUENTIAL = {"class_name": "Sequential", "config": {"name": "s", "layers": [{"class_name": "Flatten"}]}}

NO_ARCHITECTURE: dict[str, bytes | None] = {
    "nothing": None,
    "empty": b"",
    "text": b"this is no protocol buffer",
    "endless varint": b"\xff" * 1000,
    "field beyond the end": b"\x0a\xff\xff\xff\xff\x0f{}",
    "JSON that is no model": field(1, b'{"class_name": "Dense", "config": {}}'),
    "JSON that is none": field(1, b"{broken}"),
    "deep JSON": field(1, DEEP_OBJECT),
    "deep fields": field(1, field(1, field(1, field(1, b"\x0a" * 5000)))),
}


@pytest.mark.parametrize("content", NO_ARCHITECTURE.values(), ids=NO_ARCHITECTURE)
@pytest.mark.parametrize("name", ["saved_model.pb", "keras_metadata.pb"])
def test_a_saved_model_without_architecture_goes_to_a_person(
    tmp_path: Path, name: str, content: bytes | None
) -> None:
    """Whatever lies in the folder is read without failing."""
    if content is not None:
        (tmp_path / name).write_bytes(content)

    with pytest.raises(Unsupported, match="not a Keras architecture"):
        saved.read_config(tmp_path)


def test_a_saved_model_of_tensorflow_2_4_keeps_it_in_the_graph(tmp_path: Path) -> None:
    """Before `keras_metadata.pb` the configuration lay deep in `saved_model.pb`."""
    metadata = field(4, json.dumps({"model_config": SEQUENTIAL}).encode())
    (tmp_path / "saved_model.pb").write_bytes(b"\x08\x01" + field(2, field(7, b"\x10\x05" + metadata)))

    assert saved.read_config(tmp_path) == SEQUENTIAL


# --- configurations that hold no network --------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ([], "not a JSON object"),
        ({}, "neither Sequential nor functional"),
        ({"class_name": "MyModel", "config": {}}, "a model of the class 'MyModel'"),
        ({"class_name": "Functional", "config": {}}, "a model of the class 'Functional'"),
        ({"class_name": "Sequential", "config": {}}, "no layers"),
        ({"class_name": "Sequential", "config": []}, "no layers"),
        ({"class_name": "Sequential", "config": {"layers": 3}}, "no layers"),
        ({"class_name": "Sequential", "config": ["Dense"]}, "not an object with a configuration"),
        ({"class_name": "Sequential", "config": [{"class_name": "D", "config": 1}]}, "not an object"),
        (SEQUENTIAL, "no input shape"),
        ({"class_name": "Functional", "config": {"layers": []}}, "no output layer"),
    ],
)
def test_a_configuration_without_a_network_is_refused(config: Any, message: str) -> None:
    """Each with what is missing."""
    with pytest.raises(graph.NotAModel, match=message):
        configuration.of_config(config)


def functional(*layers: tuple[str, list[str]], output: str) -> dict[str, Any]:
    """A functional configuration of Flatten layers, each with the names of its inbound layers."""
    listed: list[dict[str, Any]] = [
        {
            "class_name": "InputLayer",
            "name": "in",
            "config": {"batch_input_shape": [None, 4]},
            "inbound_nodes": [],
        }
    ]
    for name, inbound in layers:
        nodes = [[[source, 0, 0, {}] for source in inbound]]
        listed.append({"class_name": "Flatten", "name": name, "config": {}, "inbound_nodes": nodes})
    ends = {"input_layers": [["in", 0, 0]], "output_layers": [[output, 0, 0]]}
    return {"class_name": "Functional", "config": {"layers": listed, **ends}}


def test_layers_out_of_order_are_put_in_order() -> None:
    """A file need not list a layer after those that it takes."""
    network = graph.describe(configuration.of_config(functional(("b", ["a"]), ("a", ["in"]), output="b")))

    assert [layer.name for layer in network.layers] == ["in", "a", "b"]


@pytest.mark.parametrize("inbound", ["nowhere", "b"])
def test_a_layer_without_its_input_is_refused(inbound: str) -> None:
    """An inbound layer that is not there, or a circle."""
    with pytest.raises(graph.NotAModel, match="takes an input that the model does not have"):
        configuration.of_config(functional(("a", [inbound]), ("b", ["a"]), output="b"))


def test_a_sequential_without_input_shape_takes_the_images() -> None:
    """As Keras does at the first fit."""
    network = graph.describe(configuration.of_config(SEQUENTIAL, (28, 28, 1)))

    assert shapes.analyse(network).layers[-1].output == (784,)
