"""Attacks by saved models: `.keras`, HDF5, architecture JSON and SavedModel folders.

A saved model is data to grader. No code in it runs, no file that it points to is opened, and however large or
crooked it is, there is a verdict soon and within bounded memory.
"""

from __future__ import annotations

import base64
import json
import marshal
import os
import random
import struct
import threading
import unicodedata
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from attacks import MARK, Grade, host

from grader import records as r
from grader.box import tree
from grader.judge import rubric
from grader.report import FORMATS
from grader.report.interface import Screen

FIXTURES = Path(__file__).parent.parent / "fixtures"
SECRET = "the-canary-sings"
MOST_MEMORY = 1 << 30
SECONDS = 20  # for what would take hours where it is not stopped

Config = dict[str, Any]
Maker = Callable[[Path], Path]
Expected = tuple[str, str | None, str]  # status, whose mistake if it is a problem, part of what is said

FINE: Expected = ("structure_only", None, "")
UNKNOWN_LAYER: Expected = ("needs_person", None, "parameters cannot be counted")
NO_JSON: Expected = ("not_passed", "student", "configuration is not valid JSON")
BEYOND: Expected = ("needs_person", "unsupported", "")
TOO_LARGE: Expected = ("needs_person", "unsupported", "at most 8,000,000 are read")
NO_ZIP: Expected = ("not_passed", "student", "m.keras is not a readable .keras file")
NO_HDF5: Expected = ("not_passed", "student", "m.h5 is not a readable HDF5 file")
WEIGHTS: Expected = ("not_passed", "student", "m.h5 holds weights only")
NO_TEXT: Expected = ("not_passed", "student", "its model_config is not text")
COMPUTATION: Expected = ("needs_person", "unsupported", "holds a computation, not a Keras architecture")


# --- what must hold after every attack ----------------------------------------------------------


@contextmanager
def within_memory() -> Iterator[None]:
    """Look at this process and all below it until the block ends."""
    before = tree.measure(os.getpid()).memory
    ended, most = threading.Event(), [before]

    def look() -> None:
        while not ended.wait(0.03):
            most[0] = max(most[0], tree.measure(os.getpid()).memory)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
    assert most[0] - before < MOST_MEMORY, f"{(most[0] - before) >> 20:,} MB"


def unharmed(grade: Grade, folder: Path, make: Maker, rules: str = "assignment4") -> r.Grade:
    """Grade what is made in a folder beside canaries: nothing leaks, nothing is left behind."""
    write_canaries(folder)
    path = make(folder)
    before = host()
    with within_memory():
        found = grade(path, rules)
    remove(path)
    assert host() == before
    assert SECRET not in found.model_dump_json()
    report = FORMATS["terminal"](found, Screen(width=100))
    assert {c for c in report if c != "\n" and unicodedata.category(c) in ("Cc", "Cf", "Cs")} == set()
    assert found.problem is None or found.problem.kind in ("student", "unsupported")
    return found


def graded(
    grade: Grade, folder: Path, make: Maker, expected: Expected, rules: str = "assignment4"
) -> r.Grade:
    """The same, and the verdict is the expected one."""
    found = unharmed(grade, folder, make, rules)
    status, kind, part = expected
    said = " ".join([found.problem.message if found.problem else "", *(v.message for v in found.verdicts)])
    assert (found.status, found.problem and found.problem.kind) == (status, kind), said[:1_000]
    assert part in said
    return found


def remove(path: Path) -> None:
    """Some are large, and pytest keeps the folders of three runs."""
    for file in [path] if path.is_file() else path.rglob("*"):
        if file.is_file() and file.stat().st_size > 1 << 20:
            file.unlink()


def write_canaries(folder: Path) -> None:
    """Sound models whose name is the secret: a file that is followed would show in the grade."""
    secret = sequential(*LAYERS, name=SECRET)
    (folder / "canary.json").write_text(json.dumps(secret))
    with h5py.File(folder / "canary.h5", "w") as file:
        file.attrs["model_config"] = json.dumps(secret)
        file["secret"] = np.frombuffer(SECRET.encode(), "u1")


def hurried(folder: Path) -> str:
    """The rubric of assignment 4 for those with little patience."""
    path = folder / "hurried.toml"
    path.write_text(f"describe_seconds = {SECONDS}\n" + (rubric.SHIPPED / "assignment4.toml").read_text())
    return str(path)


# --- models -------------------------------------------------------------------------------------


def layer(kind: str, module: str = "keras.layers", **config: Any) -> Config:
    """A layer as Keras 3 saves it."""
    return {"module": module, "class_name": kind, "config": config, "registered_name": None}


INPUT = layer("InputLayer", batch_shape=[None, 28, 28, 1], name="image")
ONE_BY_ONE = layer("Conv2D", filters=2, kernel_size=[1, 1], activation="relu", name="squeeze")
LAYERS = (
    INPUT,
    ONE_BY_ONE,
    layer("BatchNormalization", name="norm"),
    layer("Dropout", rate=0.1, name="drop"),
    layer("MaxPooling2D", pool_size=[4, 4], name="pool"),
    layer("Conv2D", filters=10, kernel_size=[7, 7], name="scores"),
    layer("Flatten", name="flat"),
    layer("Activation", activation="softmax", name="out"),
)  # passes all of assignment 4 that needs no training


def sequential(*layers: Config, name: str = "model", **more: Any) -> Config:
    config = {"name": name, "trainable": True, "layers": list(layers)}
    return {"module": "keras", "class_name": "Sequential", "config": config, "registered_name": None, **more}


def with_layer(added: Config) -> Config:
    """The sound model and one more layer, before its last convolution."""
    return sequential(*LAYERS[:4], added, *LAYERS[4:])


def with_setting(key: str, value: Any, place: int = 1, **more: Any) -> Config:
    """The sound model with another setting of its 1×1 convolution, or of another layer."""
    layers = [*LAYERS]
    layers[place] = {**layers[place], "config": {**layers[place]["config"], key: value, **more}}
    return sequential(*layers)


def keras_file(config: Any, **others: bytes) -> Maker:
    """A `.keras` file with a configuration (an object, or JSON) and other members."""
    text = config if isinstance(config, bytes) else json.dumps(config).encode()

    def make(folder: Path) -> Path:
        with zipfile.ZipFile(folder / "m.keras", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in {"metadata.json": b"{}", "config.json": text, **others}.items():
                archive.writestr(name, content)
        return folder / "m.keras"

    return make


SOUND_CONFIG = sequential(*LAYERS)


def hdf5_file(change: Callable[[h5py.File], None], config: Any = SOUND_CONFIG) -> Maker:
    """An HDF5 file with a sound configuration, or another, or none; and whatever the attack adds to it."""

    def make(folder: Path) -> Path:
        with h5py.File(folder / "m.h5", "w", libver="latest") as file:
            if config is not None:
                file.attrs["model_config"] = json.dumps(config)
            change(file)
        return folder / "m.h5"

    return make


def written(name: str, content: bytes | Callable[[], bytes]) -> Maker:
    """A file with this content; what is large is made when it is needed."""

    def make(folder: Path) -> Path:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content if isinstance(content, bytes) else content())
        return folder / name

    return make


# --- code and references in a configuration -----------------------------------------------------


def bytecode() -> str:
    """What Keras stores of a lambda: its marshalled code. This one leaves a file."""
    source = f"lambda x: [open(p + '/{MARK}', 'w').close() for p in ('/tmp', '/var/tmp', '/dev/shm')] and x"
    code = compile(source, "<lambda>", "eval").co_consts[0]
    return base64.encodebytes(marshal.dumps(code)).decode("ascii")


def saved_lambda() -> Config:
    code = {"code": bytecode(), "defaults": None, "closure": None}
    return layer("Lambda", function={"class_name": "__lambda__", "config": code}, arguments={}, name="lambda")


def without_module(saved: Config) -> Config:
    """Keras takes what has no module for the file of an older Keras, which had no safe mode."""
    return {key: value for key, value in saved.items() if key not in ("module", "registered_name")}


def function(module: str, name: str) -> Config:
    """A reference to a function, as Keras 3 saves it."""
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


OLD_LAMBDA = {
    "class_name": "Lambda",
    "config": {"name": "l", "function": [bytecode(), None, None], "function_type": "lambda", "module": "os"},
}
UNSAFE = function("keras.config", "enable_unsafe_deserialization")
LOAD = function("keras.saving", "load_model")
GET_FILE = {
    "module": "keras.utils", "class_name": "get_file", "registered_name": None,
    "config": {"fname": f"/tmp/{MARK}", "origin": "file:///etc/passwd", "cache_dir": "/tmp"},
}  # fmt: skip
SYSTEM = function("os", "system")

CODE: dict[str, Config] = {
    "Lambda with bytecode": with_layer(saved_lambda()),
    "Lambda without module": with_layer(without_module(saved_lambda())),
    "Lambda of Keras 2": with_layer(OLD_LAMBDA),
    "Lambda of a function": with_layer(layer("Lambda", function=SYSTEM, arguments={"command": "id"})),
    "Lambda in a TimeDistributed": with_layer(layer("TimeDistributed", layer=saved_lambda())),
    "class of another module": with_layer(layer("Popen", "subprocess", args=["touch", f"/tmp/{MARK}"])),
    "function for a layer": with_layer({**UNSAFE, "config": {"name": "enable_unsafe_deserialization"}}),
    "TFSMLayer": with_layer(layer("TFSMLayer", filepath="/input/model", call_endpoint="serve")),
    "StringLookup of a file": with_layer(layer("StringLookup", vocabulary="/etc/passwd")),
    "TextVectorization of a file": with_layer(layer("TextVectorization", vocabulary="/etc/passwd")),
    "activation": with_setting("activation", UNSAFE),
    "activation that loads": with_setting("activation", LOAD),
    "activation by name": with_setting("activation", "keras.config.enable_unsafe_deserialization"),
    "activation that is an object": with_setting("activation", GET_FILE),
    "activation that is a Lambda": with_setting("activation", saved_lambda()),
    "activation of a layer": with_setting("activation", SYSTEM, 7),
    "initializer": with_setting("kernel_initializer", UNSAFE),
    "initializer that loads": with_setting("kernel_initializer", LOAD),
    "initializer that downloads": with_setting("kernel_initializer", GET_FILE),
    "regularizer": with_setting("kernel_regularizer", UNSAFE),
    "regularizer that downloads": with_setting("activity_regularizer", GET_FILE),
    "constraint": with_setting("kernel_constraint", UNSAFE),
    "constraint that downloads": with_setting("bias_constraint", GET_FILE),
    "gamma of BatchNormalization": with_setting("gamma_initializer", SYSTEM, 2),
    "weights in an initializer": with_setting(
        "kernel_initializer", layer("Constant", value=[[[[1.0, 2.0]]]])
    ),
}


@pytest.mark.parametrize("config", CODE.values(), ids=CODE)
def test_code_in_a_layer_is_not_run(grade: Grade, tmp_path: Path, config: Config) -> None:
    """The layer is one that grader cannot describe, and a person looks at it."""
    found = graded(grade, tmp_path, keras_file(config), UNKNOWN_LAYER)

    assert found.model is not None
    assert found.model.total_parameters is None


def test_a_function_for_a_layer_is_the_students_mistake(grade: Grade, tmp_path: Path) -> None:
    """As Keras writes references to functions: its configuration is a name."""
    expected: Expected = ("not_passed", "student", "not an object with a configuration")

    graded(grade, tmp_path, keras_file(with_layer(UNSAFE)), expected)


REGEX_BOMB = {"(a+)+$": "float32", "((a|aa)+)+b": "float32"}
POLICY_MAP = layer("DTypePolicyMap", "keras.dtype_policies", default_policy="float32", policy_map=REGEX_BOMB)

IGNORED: dict[str, Config] = {
    "DTypePolicyMap": with_setting("dtype", POLICY_MAP, name="a" * 40 + "!"),
    "dtype that is a function": with_setting("dtype", UNSAFE),
    "optimizer and loss": sequential(*LAYERS, compile_config={"optimizer": SYSTEM, "loss": [LOAD, UNSAFE]}),
    "build_config": sequential(*LAYERS, build_config=GET_FILE),
    "registered_name": sequential(*LAYERS) | {"registered_name": "builtins>exec"},
    "module": sequential(*LAYERS) | {"module": "os"},
    "module of a layer": sequential(*LAYERS[:-2], {**LAYERS[-2], "module": "os"}, LAYERS[-1]),
}  # fmt: skip


@pytest.mark.parametrize("config", IGNORED.values(), ids=IGNORED)
def test_a_reference_that_no_layer_needs_is_not_followed(
    grade: Grade, tmp_path: Path, config: Config
) -> None:
    """What lies beside the layers says nothing about the network."""
    found = graded(grade, tmp_path, keras_file(config), FINE)

    assert found.model is not None
    assert found.model.total_parameters == 1_002


def test_other_members_of_a_keras_file_are_not_read(grade: Grade, tmp_path: Path) -> None:
    """Weights that link elsewhere, and members that would be written outside a folder."""
    linking = hdf5_file(lambda file: link_out(file), None)(tmp_path).read_bytes()
    others = {"model.weights.h5": linking, f"../../../../tmp/{MARK}": b"x", f"/tmp/{MARK}": b"x"}

    graded(grade, tmp_path, keras_file(sequential(*LAYERS), **others), FINE)


# --- numbers ------------------------------------------------------------------------------------


def dense(units: Any) -> Config:
    return sequential(*LAYERS[:-1], layer("Dense", units=units, name="dense"))


UP = layer("UpSampling2D", size=[10**5, 10**5])
MEAN = layer("GlobalAveragePooling2D")
WRONG: Expected = ("not_passed", "student", "")
FALLS: Expected = ("not_passed", "student", "beyond 1,000,000,000,000")

NUMBERS: dict[str, tuple[Config, Expected]] = {
    "units of 10^12": (dense(10**12), UNKNOWN_LAYER),
    "units of 10^4000": (dense(10**4000), UNKNOWN_LAYER),
    "units of 10^5000": (sequential(layer("Dense", units="BIG")), NO_JSON),
    "units of -3": (dense(-3), UNKNOWN_LAYER),
    "units of 0": (dense(0), UNKNOWN_LAYER),
    "units of 2.5": (dense(2.5), UNKNOWN_LAYER),
    "units of NaN": (dense(float("nan")), UNKNOWN_LAYER),
    "units of infinity": (dense(float("inf")), UNKNOWN_LAYER),
    "units in a list": (dense([10]), UNKNOWN_LAYER),
    "filters of 10^12": (with_setting("filters", 10**12), UNKNOWN_LAYER),
    "kernel of NaN": (with_setting("kernel_size", [float("nan")] * 2), UNKNOWN_LAYER),
    "kernel of infinity": (with_setting("kernel_size", [float("inf")] * 2), UNKNOWN_LAYER),
    "strides of 0": (with_setting("strides", [0, 0]), UNKNOWN_LAYER),
    "rate of NaN": (with_setting("rate", float("nan"), 3), UNKNOWN_LAYER),
    "rate of 1": (with_setting("rate", 1.0, 3), UNKNOWN_LAYER),
    "epsilon of infinity": (with_setting("epsilon", float("inf"), 2), UNKNOWN_LAYER),
    "penalty of NaN": (
        with_setting("kernel_regularizer", layer("L2", "keras.regularizers", l2=float("nan"))),
        UNKNOWN_LAYER,
    ),
    "input of 10^12": (with_setting("batch_shape", [None, 10**12, 1, 1], 0), WRONG),
    "input of -1": (with_setting("batch_shape", [None, -1, 28, 1], 0), WRONG),
    "input of text": (with_setting("batch_shape", "28", 0), WRONG),
    "input of 1,000 axes": (with_setting("batch_shape", [None] + [1] * 1_000, 0), WRONG),
    "UpSampling2D of 10^5, flattened": (sequential(INPUT, UP, layer("Flatten")), FALLS),
    "UpSampling2D of 10^5, thrice": (sequential(INPUT, UP, UP, UP, MEAN), FALLS),
    "UpSampling2D of 10^7": (with_layer(layer("UpSampling2D", size=[10**7, 10**7])), UNKNOWN_LAYER),
    "ZeroPadding2D of 10^9": (with_layer(layer("ZeroPadding2D", padding=10**9)), UNKNOWN_LAYER),
    "Cropping2D of everything": (
        with_layer(layer("Cropping2D", cropping=14)),
        ("not_passed", "student", "nothing is left of it"),
    ),
    "Reshape of 10^6 by 10^6": (
        with_layer(layer("Reshape", target_shape=[10**6, 10**6])),
        ("not_passed", "student", "do not fill"),
    ),
}


@pytest.mark.parametrize(("config", "expected"), NUMBERS.values(), ids=NUMBERS)
def test_an_impossible_number_is_refused(
    grade: Grade, tmp_path: Path, config: Config, expected: Expected
) -> None:
    """Nothing is allocated, and no number is taken for another one."""
    text = json.dumps(config).replace('"BIG"', "1" + "0" * 5_000).encode()

    graded(grade, tmp_path, keras_file(text), expected)


def test_a_feature_map_of_10_to_the_13_is_only_described(grade: Grade, tmp_path: Path) -> None:
    """Of a network that no machine could hold, the numbers are computed and nothing else."""
    config = sequential(INPUT, UP, MEAN, layer("Dense", units=10, name="dense"))

    found = graded(grade, tmp_path, keras_file(config), ("not_passed", None, ""))

    assert found.model is not None
    assert found.model.layers[1].output_shape == (2_800_000, 2_800_000, 1)
    assert found.model.total_parameters == 20


# --- long and deep ------------------------------------------------------------------------------


def chain(length: int) -> Config:
    """Sound, and as long as asked for."""
    filling = [layer("Activation", activation="relu", name=f"a{i}") for i in range(length - len(LAYERS))]
    return sequential(*LAYERS[:-2], *filling, *LAYERS[-2:])


def backwards(length: int) -> bytes:
    """A functional model whose layers are listed from its output to its input."""

    def node(number: int) -> str:
        inbound = f'[[["{number - 1}",0,0]]]'
        return f'{{"class_name":"Flatten","name":"{number}","inbound_nodes":{inbound}}}'

    first = json.dumps({"class_name": "InputLayer", "name": "0", "config": INPUT["config"]})
    layers = ",".join([*map(node, range(length, 0, -1)), first])
    ends = f'"input_layers":[["0",0,0]],"output_layers":[["{length}",0,0]]'
    return f'{{"class_name":"Functional","config":{{"layers":[{layers}],{ends}}}}}'.encode()


def nested(depth: int) -> Config:
    model = sequential(INPUT, layer("Flatten", name="flat"))
    for level in range(depth):
        model = sequential(INPUT, model, name=f"level{level}")
    return model


MANY = b'{"class_name":"Sequential","config":[%s]}'


def test_a_chain_of_1000_layers_is_described(grade: Grade, tmp_path: Path) -> None:
    """As many as are allowed: the whole network, and its 1,002 parameters."""
    found = graded(grade, tmp_path, keras_file(chain(1_000)), FINE)

    assert found.model is not None
    assert (len(found.model.layers), found.model.total_parameters) == (1_000, 1_002)


def merging(count: int, of_inputs: bool = False) -> Config:
    """A functional network with a layer that takes so many others, or so many inputs."""

    def taken(name: str) -> list[list[Any]]:
        return [[name, 0, 0, {}]]

    inputs = [f"in{n}" for n in range(count if of_inputs else 1)]
    before = inputs if of_inputs else [f"flat{n}" for n in range(count)]
    layers = [{**INPUT, "name": n, "config": {**INPUT["config"], "name": n}} for n in inputs]
    layers += [
        layer("Flatten", name=n) | {"name": n, "inbound_nodes": [taken(inputs[0])]}
        for n in before
        if not of_inputs
    ]
    merge = layer("Add", name="sum") | {
        "name": "sum",
        "inbound_nodes": [[t for n in before for t in taken(n)]],
    }
    ends = {"input_layers": [[n, 0, 0] for n in inputs], "output_layers": [["sum", 0, 0]]}
    return {"class_name": "Functional", "config": {"layers": [*layers, merge], **ends}}


TOO_LONG: dict[str, Maker] = {
    "1,001 layers": keras_file(chain(1_001)),
    "400,000 layers": written("m.json", lambda: MANY % b",".join([b'{"class_name":"x"}'] * 400_000)),
    "80,000 layers, backwards": written("m.json", lambda: backwards(80_000)),
    "65 inbound layers": keras_file(merging(65)),
    "17 inputs": keras_file(merging(17, of_inputs=True)),
    "a name of 201 characters": keras_file(with_setting("name", "n" * 201, 5)),
    "one layer, called 400,000 times": written(
        "m.json",
        b'{"class_name":"Functional","config":{"layers":[{"class_name":"Flatten","name":"a",'
        b'"inbound_nodes":[%s]}],'
        b'"output_layers":[["a",0,0]]}}' % b",".join([b'[["b",0,0]]'] * 400_000),
    ),
}  # fmt: skip


@pytest.mark.parametrize("make", TOO_LONG.values(), ids=TOO_LONG)
def test_a_network_of_too_many_layers_is_refused_at_once(grade: Grade, tmp_path: Path, make: Maker) -> None:
    """The number of layers is looked at before anything is done for each of them; a limit of grader's is a
    reason for a person, which names it.
    """
    found = graded(grade, tmp_path, make, BEYOND, hurried(tmp_path))

    assert found.problem is not None
    assert any(word in found.problem.message for word in ("at most 1,000 are read", "grader's limit"))
    assert "longer than" not in found.problem.message


@pytest.mark.parametrize("depth", [1, 30, 300, 3_000])
def test_nested_models_are_descended_a_few_levels(grade: Grade, tmp_path: Path, depth: int) -> None:
    """Models within models are their layers, up to ten levels; too deep a file cannot be read at all."""
    too_deep: Expected = ("needs_person", "unsupported", "nested more than 10 deep")
    expected = WRONG if depth == 1 else too_deep if depth == 30 else NO_JSON

    graded(grade, tmp_path, keras_file(nested_text(depth)), expected)


def nested_text(depth: int) -> bytes:
    """Nested models as JSON, also where `json` itself could not write them."""
    inner = json.dumps(nested(0))
    hollow = json.dumps(sequential(INPUT, {"INNER": 0}))
    before, after = hollow.split('{"INNER": 0}')
    return (before * depth + inner + after * depth).encode()


# --- names --------------------------------------------------------------------------------------

FORGED = "PASSED, 100 of 100 points"
NAMES = {
    "ANSI": "\x1b[2J\x1b[1;1H\x1b[32mPASSED\x1b[0m",
    "OSC": "\x1b]0;title\x07\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "C1": "\x9b2J\x9d0;title\x9c",
    "HTML": "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "path": f"../../../../tmp/{MARK}",
    "absolute path": f"/tmp/{MARK}",
    "right to left": "\u202egnp.exe\u2066\u200f",
    "invisible": "re\u200blu\u2060\ufeff\u00ad",
    "lone surrogate": "\ud800half\udc00",
    "NUL": "name\0hidden",
    "lines": f"name\n{FORGED}\r\n{FORGED}\x85{FORGED}\u2028{FORGED}\v{FORGED}",
    "tab": "a\tb",
    "backspaces": "FAIL\b\b\b\bpass",
    "formula": '=HYPERLINK("http://evil.example","grade")',
    "format": "{0.__class__} %s %n ${HOME} [red]",
    "number": 7,
    "list": ["a", {"b": 1}],
}


def renamed(name: Any, *layers: Config) -> Config:
    """Every layer and the model under such a name."""
    named = [{**x, "config": {**x["config"], "name": name}} for x in layers]
    return sequential(*named, name=name)


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_name_is_only_a_name(grade: Grade, tmp_path: Path, name: Any) -> None:
    """The network is described as under any other name."""
    found = graded(grade, tmp_path, keras_file(renamed(name, *LAYERS)), FINE)

    assert found.model is not None
    assert found.model.total_parameters == 1_002
    assert not forged(found)


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_name_in_good_advice_is_only_a_name(grade: Grade, tmp_path: Path, name: Any) -> None:
    """The layer that holds too many parameters is named in hints and evidence."""
    config = renamed(name, *LAYERS[:-1], layer("Dense", units=5_000), layer("Dense", units=10))

    found = graded(grade, tmp_path, keras_file(config), ("not_passed", None, "too many"))

    assert not forged(found)


@pytest.mark.parametrize("name", [x for x in NAMES.values() if isinstance(x, str)], ids=list(NAMES)[:-2])
def test_a_class_name_is_only_a_name(grade: Grade, tmp_path: Path, name: str) -> None:
    """A class that grader does not know is quoted in every verdict that it hinders."""
    found = graded(grade, tmp_path, keras_file(with_layer(layer(name, name="odd"))), UNKNOWN_LAYER)

    assert not forged(found)


@pytest.mark.parametrize("name", [x for x in NAMES.values() if isinstance(x, str)], ids=list(NAMES)[:-2])
def test_a_model_class_is_only_a_name(grade: Grade, tmp_path: Path, name: str) -> None:
    """A class of model that grader does not know is quoted in the problem."""
    own = ("needs_person", "unsupported", "it holds a model of the class")

    assert not forged(graded(grade, tmp_path, keras_file({"class_name": name, "config": {}}), own))


def forged(found: r.Grade) -> list[str]:
    """Lines that look like the head of a report and are not."""
    lines = FORMATS["terminal"](found, Screen(width=100)).split("\n")
    return [line for line in lines if line.startswith(FORGED)]


def test_a_name_of_a_million_characters_is_cut(grade: Grade, tmp_path: Path) -> None:
    """No report is longer for it."""
    found = graded(grade, tmp_path, keras_file(with_setting("name", "n" * 1_000_000, 5)), BEYOND)

    assert len(FORMATS["terminal"](found, Screen(width=100))) < 10_000


def test_a_surrogate_in_raw_bytes_is_no_more_than_a_name(grade: Grade, tmp_path: Path) -> None:
    """Half a character as bytes, which Python's JSON lets through, and UTF-8 does not write."""
    text = json.dumps(sequential(*LAYERS)).encode().replace(b"squeeze", b"squ\xed\xa0\x80eze")

    graded(grade, tmp_path, keras_file(text), FINE)


# --- .keras as a zip ----------------------------------------------------------------------------


def large(megabytes: int) -> Maker:
    """A configuration of spaces, which all but vanish when compressed."""

    def make(folder: Path) -> Path:
        path = folder / "m.keras"
        with (
            zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
            archive.open("config.json", "w", force_zip64=True) as member,
        ):
            for _ in range(megabytes):
                member.write(b" " * (1 << 20))
        return path

    return make


def declared(make: Maker, size: int) -> Maker:
    """The same archive, whose directory tells another size of its last member."""

    def lie(folder: Path) -> Path:
        path = make(folder)
        content = bytearray(path.read_bytes())
        entry = content.rindex(b"PK\x01\x02")
        struct.pack_into("<L", content, entry + 24, size)
        path.write_bytes(content)
        return path

    return lie


def sparse(name: str, megabytes: int) -> Maker:
    """A file of nothing, which takes no room on the disk."""

    def make(folder: Path) -> Path:
        (folder / name).parent.mkdir(exist_ok=True)
        with (folder / name).open("wb") as file:
            file.truncate(megabytes << 20)
        return folder / name

    return make


def stored_sparse(folder: Path) -> Path:
    """A zip with an uncompressed member of 600 MB, of which only the ends are on the disk."""
    path, size = keras_file(b"")(folder), 600 << 20
    small = path.read_bytes()
    entry = small.rindex(b"PK\x01\x02")
    head, tail = small[:entry], bytearray(small[entry:])
    struct.pack_into("<HxxxxxxxxLL", tail, 10, zipfile.ZIP_STORED, size, size)
    struct.pack_into("<L", tail, tail.rindex(b"PK\x05\x06") + 16, len(head) + size)
    with path.open("wb") as file:
        file.write(head)
        file.seek(size, os.SEEK_CUR)
        file.write(tail)
    return path


def twice(folder: Path) -> Path:
    """Two members of one name: a reader may take either."""
    path = folder / "m.keras"
    with zipfile.ZipFile(path, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        archive.writestr("config.json", json.dumps(with_layer(saved_lambda())))
        archive.writestr("config.json", json.dumps(sequential(*LAYERS)))
    return path


def shortened(make: Maker, part: float) -> Maker:
    def cut(folder: Path) -> Path:
        path = make(folder)
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * part)])
        return path

    return cut


# zlib.compress(bz2.compress(bytes(1_400 << 20))): 1,042 bytes of bzip2 for 1.4 GB.
BZIP2 = zlib.decompress(
    base64.b85decode(
        "c-nJ{%CIzaj8qGb<l}sFpE17Af#CoH1BU{GL4&WG(*o6%Tn*Dl<wxa5<%hcbt83rc86#IYFdbmvfT%db"
        "s<}*MN>Glcs>nROCtU>#6;JNd-T(l_n>)1"
    )
)


def bzip2_bomb(name: str, member: str) -> Maker:
    """A member that is 100 bytes, says the directory; `zipfile` inflates bzip2 without a limit."""

    def make(folder: Path) -> Path:
        path = folder / name
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(member, BZIP2)
        content = bytearray(path.read_bytes())
        for mark, offset, size in ((b"PK\x03\x04", 8, 22), (b"PK\x01\x02", 10, 24)):
            entry = content.rindex(mark)
            struct.pack_into("<H", content, entry + offset, zipfile.ZIP_BZIP2)
            struct.pack_into("<L", content, entry + size, 100)
        path.write_bytes(content)
        return path

    return make


def crowded(name: str, members: int) -> Maker:
    """A directory of so many members, all one and the same; there is nothing but the directory."""

    def make(folder: Path) -> Path:
        entry = struct.pack("<4s4B4HL2L5H2L", b"PK\x01\x02", 20, 0, 20, *[0] * 8, 1, *[0] * 6) + b"x"
        size = len(entry) * members
        end64 = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, members, members, size, 0)
        locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, size, 1)
        end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
        (folder / name).write_bytes(entry * members + end64 + locator + end)
        return folder / name

    return make


SOUND = keras_file(sequential(*LAYERS))
ZIPS: dict[str, tuple[Maker, Expected]] = {
    "configuration of 600 MB": (large(600), TOO_LARGE),
    "configuration of 600 MB, declared as 100 bytes": (declared(large(600), 100), NO_ZIP),
    "configuration of 600 MB, stored and sparse": (
        stored_sparse,
        ("needs_person", "unsupported", "at most 300,000,000 are read"),
    ),
    "sparse file of 600 MB": (
        sparse("m.keras", 600),
        ("needs_person", "unsupported", "at most 300,000,000 are read"),
    ),
    "sparse file of 200 MB": (sparse("m.keras", 200), NO_ZIP),
    "sound, declared as 100 bytes": (declared(SOUND, 100), NO_ZIP),
    "sound, declared as 5 MB": (declared(SOUND, 5_000_000), FINE),
    "sound, declared as 4 GB": (declared(SOUND, 0xFFFFFFFE), TOO_LARGE),
    "truncated to a third": (shortened(SOUND, 0.33), NO_ZIP),
    "truncated to nine tenths": (shortened(SOUND, 0.9), NO_ZIP),
    "truncated by a byte": (shortened(SOUND, 0.9999), NO_ZIP),
    "random bytes": (written("m.keras", random.Random(1).randbytes(100_000)), NO_ZIP),
    "two configurations": (twice, FINE),
    "1.4 GB behind 1,042 bytes of bzip2": (bzip2_bomb("m.keras", "config.json"), WRONG),
    "the same in a zip": (bzip2_bomb("m.zip", "model.keras"), WRONG),
    "3,000,000 members": (crowded("m.keras", 3_000_000), WRONG),
    "the same in a zip of folders": (crowded("m.zip", 3_000_000), WRONG),
}


@pytest.mark.parametrize(("make", "expected"), ZIPS.values(), ids=ZIPS)
def test_an_odd_archive_costs_little(grade: Grade, tmp_path: Path, make: Maker, expected: Expected) -> None:
    """What an archive says of itself is not believed, and no more is read than allowed."""
    found = graded(grade, tmp_path, make, expected)

    assert found.problem is None or found.problem.message.startswith(("m.keras", "m.zip"))


# --- HDF5 ---------------------------------------------------------------------------------------


def link_out(file: h5py.File) -> None:
    file["model_weights"] = h5py.ExternalLink("/input/../canary.h5", "/")
    file["model_config"] = h5py.ExternalLink("canary.h5", "/secret")
    file["passwd"] = h5py.ExternalLink("/etc/passwd", "/")


def store_elsewhere(file: h5py.File) -> None:
    """Its bytes are those of another file."""
    folder = Path(file.filename).parent
    places = [(str(folder / "canary.json"), 0, 200)]
    file.create_dataset("model_config", (200,), "u1", external=places)
    file.create_dataset("passwd", (200,), "u1", external=[("/etc/passwd", 0, 200)])


def map_elsewhere(file: h5py.File) -> None:
    """A virtual dataset: a window into a dataset of another file."""
    layout = h5py.VirtualLayout((len(SECRET),), "u1")
    layout[:] = h5py.VirtualSource(Path(file.filename).parent / "canary.h5", "secret", (len(SECRET),))
    file.create_virtual_dataset("model_config", layout)


def loop(file: h5py.File) -> None:
    file["model_config"] = h5py.SoftLink("/model_config")
    file["a"], file["b"] = h5py.SoftLink("/b"), h5py.SoftLink("/a")
    file.create_group("model_weights")["up"] = file["/"]


def bomb(file: h5py.File) -> None:
    """10^15 elements, of which none is on the disk."""
    file.create_dataset("model_weights", (10**15,), "f8", chunks=(1_000,), compression="gzip")


def dataset_for_attribute(file: h5py.File) -> None:
    file.create_dataset("model_config", data=json.dumps(sequential(*LAYERS)))


def object_reference(file: h5py.File) -> None:
    dataset_for_attribute(file)
    file.attrs["model_config"] = file["model_config"].ref


def region_reference(file: h5py.File) -> None:
    data = file.create_dataset("numbers", data=np.arange(9))
    file.attrs.create("model_config", data.regionref[2:4], dtype=h5py.regionref_dtype)


def attribute(value: Any) -> Maker:
    def change(file: h5py.File) -> None:
        file.attrs["model_config"] = value

    return hdf5_file(change, None)


def patched(make: Maker, old: bytes, new: bytes) -> Maker:
    """Every place with these bytes holds others of the same number."""

    def patch(folder: Path) -> Path:
        path = make(folder)
        content = path.read_bytes()
        assert old in content
        path.write_bytes(content.replace(old, new))
        return path

    return patch


def shared_text(count: int, size: int) -> Maker:
    """An array of so many texts, which are all one and the same in the file, and many when read."""

    def make(folder: Path) -> Path:
        texts = ["n" * size] + ["short"] * (count - 1)
        path = folder / "m.h5"
        with h5py.File(path, "w") as file:
            file.attrs.create("model_config", texts, dtype=h5py.string_dtype())
        content = path.read_bytes()
        first = content.index(struct.pack("<L", size), 1)  # length, address and number of the long text
        while content[first + 16 : first + 20] != struct.pack("<L", 5):
            first = content.index(struct.pack("<L", size), first + 1)
        reference = content[first : first + 16]
        path.write_bytes(content[:first] + reference * count + content[first + 16 * count :])
        return path

    return make


def fuzzed(seed: int) -> Maker:
    """A sound file in which one byte of a hundred is another one, behind the first hundred."""

    def make(folder: Path) -> Path:
        content = bytearray((FIXTURES / "keras205_list.h5").read_bytes())
        chance = random.Random(seed)
        for _ in range(len(content) // 100):
            content[chance.randrange(100, len(content))] = chance.randrange(256)
        return written("m.h5", bytes(content))(folder)

    return make


NUMBERS_12345 = attribute(np.zeros(12_345, "u1"))
TEXT_12345 = attribute(np.bytes_(b"x" * 12_345))
WHOLE = attribute(json.dumps(sequential(*LAYERS)))

HDF5: dict[str, tuple[Maker, Expected]] = {
    "external link": (hdf5_file(link_out), FINE),
    "external link for a configuration": (hdf5_file(link_out, None), WEIGHTS),
    "external storage": (hdf5_file(store_elsewhere), FINE),
    "external storage for a configuration": (hdf5_file(store_elsewhere, None), WEIGHTS),
    "virtual dataset": (hdf5_file(map_elsewhere), FINE),
    "virtual dataset for a configuration": (hdf5_file(map_elsewhere, None), WEIGHTS),
    "dataset for a configuration": (hdf5_file(dataset_for_attribute, None), WEIGHTS),
    "loop of soft links": (hdf5_file(loop), FINE),
    "loop of soft links for a configuration": (hdf5_file(loop, None), WEIGHTS),
    "10^15 elements": (hdf5_file(bomb), FINE),
    "object reference": (hdf5_file(object_reference, None), NO_TEXT),
    "region reference": (hdf5_file(region_reference, None), NO_TEXT),
    "array of 30 MB": (attribute(np.zeros(30_000_000, "u1")), NO_TEXT),
    "text of 40 MB": (attribute("x" * 40_000_000), TOO_LARGE),
    "array that says 10^15": (
        patched(NUMBERS_12345, struct.pack("<Q", 12_345), struct.pack("<Q", 10**15)),
        WRONG,
    ),
    "array that says 2^63": (
        patched(NUMBERS_12345, struct.pack("<Q", 12_345), struct.pack("<Q", 2**63)),
        WRONG,
    ),
    "text that says 2 GB": (patched(TEXT_12345, struct.pack("<L", 12_345), struct.pack("<L", 2**31)), WRONG),
    "3,000 texts of 1 MB that are one": (shared_text(3_000, 1_000_000), WRONG),
    "records": (attribute(np.zeros(3, [("a", "i4"), ("b", "S5")])), NO_TEXT),
    "truncated to a tenth": (shortened(WHOLE, 0.1), NO_HDF5),
    "truncated to a half": (shortened(WHOLE, 0.5), NO_HDF5),
    "truncated by a byte": (shortened(WHOLE, 0.9999), NO_HDF5),
    "random bytes": (written("m.h5", random.Random(2).randbytes(100_000)), NO_HDF5),
    "random bytes behind a signature": (
        written("m.h5", b"\x89HDF\r\n\x1a\n" + random.Random(3).randbytes(100_000)),
        NO_HDF5,
    ),
    "sparse file of 200 MB": (sparse("m.h5", 200), NO_HDF5),
}


@pytest.mark.parametrize(("make", "expected"), HDF5.values(), ids=HDF5)
def test_hdf5_is_read_for_one_text_only(
    grade: Grade, tmp_path: Path, make: Maker, expected: Expected
) -> None:
    """No link is followed and no dataset read; only the text of one attribute."""
    graded(grade, tmp_path, make, expected)


@pytest.mark.parametrize("seed", range(8))
def test_a_fuzzed_hdf5_file_is_the_students_mistake(grade: Grade, tmp_path: Path, seed: int) -> None:
    """Or a network, where what was hit says nothing of it."""
    found = unharmed(grade, tmp_path, fuzzed(seed))

    assert found.problem is None or found.problem.kind == "student"


# --- SavedModel ---------------------------------------------------------------------------------


def varint(number: int) -> bytes:
    """A number as protocol buffers write it."""
    out = b""
    while number > 127:
        out, number = out + bytes([number & 127 | 128]), number >> 7
    return out + bytes([number])


def field(content: bytes) -> bytes:
    """A length-delimited field of a protocol buffer."""
    return b"\x0a" + varint(len(content)) + content


def fields(depth: int) -> bytes:
    content = b"x" * 20
    for _ in range(depth):
        content = field(content)
    return content


def saved_model(content: bytes, metadata: bytes | Callable[[], bytes] | None = None) -> Maker:
    def make(folder: Path) -> Path:
        written("saved/saved_model.pb", content)(folder)
        if metadata is not None:
            written("saved/keras_metadata.pb", metadata)(folder)
        return folder / "saved"

    return make


def linked(folder: Path) -> Path:
    """Beside a sound `saved_model.pb`, the file that is looked at first is a link to the canary."""
    (folder / "canary.pb").write_bytes(field((folder / "canary.json").read_bytes()))
    path = saved_model(b"")(folder)
    (path / "keras_metadata.pb").symlink_to(folder / "canary.pb")
    return path


def that_writes(folder: Path) -> Path:
    """A real one, whose function writes a file when it is called, and reads one when it is loaded."""
    import tensorflow as tf

    class Writer(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            line, number = tf.lookup.TextFileIndex.WHOLE_LINE, tf.lookup.TextFileIndex.LINE_NUMBER
            file = str(folder / "canary.json")
            words = tf.lookup.TextFileInitializer(file, tf.string, line, tf.int64, number)
            self.table = tf.lookup.StaticHashTable(words, -1)

        @tf.function(input_signature=[tf.TensorSpec([None, 28, 28, 1], tf.float32)])
        def __call__(self, images: Any) -> Any:
            tf.io.write_file(f"/tmp/{MARK}", "written by a model")
            return images

    tf.saved_model.save(Writer(), str(folder / "saved"))
    return folder / "saved"


LISTS = b'{"a":[%s]}'
DEEP = b"[" * 100_000 + b"]" * 100_000
GARBAGE = random.Random(4)

SAVED_MODELS: dict[str, tuple[Maker, Expected]] = {
    "one that writes": (that_writes, COMPUTATION),
    "link to another file": (linked, COMPUTATION),
    "empty": (saved_model(b""), COMPUTATION),
    "random bytes": (saved_model(GARBAGE.randbytes(3_000_000), GARBAGE.randbytes(3_000_000)), COMPUTATION),
    "one endless number": (saved_model(b"\xff" * 5_000_000), COMPUTATION),
    "numbers beyond 64 bits": (saved_model((b"\x08" + b"\xff" * 9 + b"\x7f") * 300_000), COMPUTATION),
    "many numbers": (saved_model(b"\x08\x01" * 500_000), COMPUTATION),
    "many empty fields": (saved_model(b"\x0a\x00" * 500_000), COMPUTATION),
    "field of 10^18 bytes": (saved_model(b"\x0a" + varint(10**18) + b"{}"), COMPUTATION),
    "fields in 10,000 fields": (saved_model(fields(10_000)), COMPUTATION),
    "fields in fields of 7 MB": (saved_model(field(field(field(field(fields(20) * 100_000))))), COMPUTATION),
    "groups in groups": (saved_model(b"\x0b" * 1_000_000), COMPUTATION),
    "deep JSON": (saved_model(field(b'{"a":' + DEEP + b"}")), COMPUTATION),
    "JSON that is broken, 200,000 times": (saved_model(field(b"{broken}") * 200_000), COMPUTATION),
    "JSON of 60 MB": (saved_model(b"", lambda: field(LISTS % b",".join([b"[]"] * 20_000_000))), COMPUTATION),
    "file of 200 MB": (
        lambda f: sparse("saved/saved_model.pb", 200)(f).parent,
        ("needs_person", "unsupported", "beyond the bounds of a submission"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("make", "expected"), SAVED_MODELS.values(), ids=SAVED_MODELS)
def test_a_saved_model_is_never_loaded(grade: Grade, tmp_path: Path, make: Maker, expected: Expected) -> None:
    """It is searched for a text, field by field, and nothing in it runs."""
    graded(grade, tmp_path, make, expected)


def test_a_saved_model_of_60_mb_of_fields_is_given_up(grade: Grade, tmp_path: Path) -> None:
    """30 million fields, twice: no Keras writes as many, and nobody waits for them."""
    empty = b"\x0a\x00" * 30_000_000

    graded(grade, tmp_path, saved_model(empty, empty), COMPUTATION, hurried(tmp_path))


# --- architecture JSON --------------------------------------------------------------------------

TEXT = json.dumps(sequential(*LAYERS))
PLAIN_TWICE = '{"class_name": "MyModel", "class_name": "Sequential", "config": {"layers": []}, ' + TEXT[1:]

JSON: dict[str, tuple[bytes, Expected]] = {
    "depth of 10^5": (DEEP, NO_JSON),
    "depth of 10^5, in objects": (b'{"config":' * 100_000 + b"1" + b"}" * 100_000, NO_JSON),
    "depth of 10^5, in a layer": (TEXT.replace('"squeeze"', DEEP.decode()).encode(), NO_JSON),
    "depth of 400, in a name": (TEXT.replace('"squeeze"', "[" * 400 + "]" * 400).encode(), BEYOND),
    "integer of 10,000 digits": (TEXT.replace("0.1", "1" + "0" * 10_000).encode(), NO_JSON),
    "integer of 7,000,000 digits": (b"1" * 7_000_000, NO_JSON),
    "number beyond all": (TEXT.replace("0.1", "1e999").encode(), UNKNOWN_LAYER),
    "NaN": (TEXT.replace("0.1", "NaN").encode(), UNKNOWN_LAYER),
    "nothing but NaN": (b"NaN", ("not_passed", "student", "not a JSON object")),
    "UTF-16": (TEXT.encode("utf-16"), FINE),
    "UTF-16 without a mark": (TEXT.encode("utf-16-be"), FINE),
    "UTF-32": (TEXT.encode("utf-32"), FINE),
    "UTF-8 with a mark": (TEXT.encode("utf-8-sig"), FINE),
    "UTF-7": (b"+AHsAIg-" + TEXT.encode("utf-7"), NO_JSON),
    "Latin-1": (TEXT.replace("squeeze", "Größe").encode("latin-1"), NO_JSON),
    "40 MB": (TEXT.encode() + b" " * 40_000_000, TOO_LARGE),
    "2,600,000 lists": (b"[" + b",".join([b"[]"] * 2_600_000) + b"]", WRONG),
    "duplicate keys": (PLAIN_TWICE.encode(), FINE),
    "300,000 duplicate keys": (b"{" + b'"class_name":"Sequential",' * 300_000 + TEXT[1:].encode(), FINE),
    "300,000 different keys": (
        b"{" + b"".join(b'"k%d":0,' % i for i in range(300_000)) + TEXT[1:].encode(),
        FINE,
    ),
    "quoted thrice": (json.dumps(json.dumps(TEXT)).encode(), ("not_passed", "student", "not a JSON object")),
    "two documents": (TEXT.encode() * 2, NO_JSON),
    "pickle": (b"\x80\x04cos\nsystem\n(S'id'\ntR.", NO_JSON),
}  # fmt: skip


@pytest.mark.parametrize(("content", "expected"), JSON.values(), ids=JSON)
def test_odd_json_is_read_or_refused(
    grade: Grade, tmp_path: Path, content: bytes, expected: Expected
) -> None:
    """In every case within bounds, and of duplicate keys the last one counts."""
    graded(grade, tmp_path, written("m.json", content), expected)
