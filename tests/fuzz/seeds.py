"""Where fuzzing starts: small inputs made from submissions/ and tests/fixtures, words to put into them, and
inputs that are hard on purpose, some of which have broken grader before.
"""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from grader import records as r
from grader.describe.networks import configuration, graph, saved
from grader.intake import load as loading
from grader.judge import rubric

ROOT = Path(__file__).parents[2]
SUBMISSIONS, FIXTURES = ROOT / "submissions", ROOT / "tests" / "fixtures"

WORDS = (
    "class_name", "config", "layers", "name", "inbound_nodes", "input_layers", "output_layers",
    "batch_shape", "batch_input_shape", "keras_history", "__keras_tensor__", "__tuple__", "TensorShape",
    "items", "args", "kwargs", "Sequential", "Functional", "Model", "InputLayer", "Conv2D",
    "Convolution2D", "Conv2DTranspose", "DepthwiseConv2D", "SeparableConv2D", "Dense",
    "BatchNormalization", "LayerNormalization", "Dropout", "Activation", "Softmax", "ReLU", "LeakyReLU",
    "PReLU", "MaxPooling2D", "GlobalAveragePooling2D", "ZeroPadding2D", "Cropping2D", "UpSampling2D",
    "Flatten", "Reshape", "Permute", "Rescaling", "Concatenate", "Add", "Subtract", "Lambda", "filters",
    "kernel_size", "strides", "padding", "dilation_rate", "groups", "units", "axis", "rate",
    "target_shape", "dims", "shared_axes", "size", "cropping", "pool_size", "same", "valid",
    "data_format", "channels_first", "dim_ordering", "th", "activation", "relu", "softmax",
    "kernel_initializer", "kernel_regularizer", "Constant", "value", "VarianceScaling", "L1L2",
    "trainable", "function", "registered_name", "module", "nb_filter", "nb_row", "nb_col", "border_mode",
    "subsample", "model_config", "nbformat", "worksheets", "cells", "cell_type", "code", "markdown",
    "heading", "source", "input", "outputs", "output_type", "text", "data", "text/plain", "text/html",
    "metadata", "language_info", "version", "type", "inbound", "inputs", "models", "network", "training",
    "description", "problem", "kind", "optimizer", "learning_rates", "failures", "notes",
    "UnsupportedLayer", "reason", "```python", "```", "~~~", "# %%", "Total params: 1,234",
    "Optimizer params: 2", "val_acc: 0.99", "Epoch 1/20", "[0.02, 0.994]", "params:", "99.41%", "0.9941",
    "&#xD800;", "\x1b[1m", "[[criterion]]", "[training]", "[dataset]", "id", "parameter_limit",
    "required_layer", "layer_order", "limit", "points", "needs", "properties", "nan", "inf",
    "1979-05-27T07:32:00Z", "0xff", "\"\"\"", "'''", "\\",
)  # fmt: skip


# --- files of each form -------------------------------------------------------------------------


def zip_of(members: dict[str, bytes]) -> bytes:
    """A zip with these members."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return file.getvalue()


def hdf5_of(config: Any) -> bytes:
    """An HDF5 file with this configuration, and none of the weights."""
    file = io.BytesIO()
    with h5py.File(file, "w") as written:
        written.attrs["model_config"] = config
    return file.getvalue()


def field(number: int, content: bytes) -> bytes:
    """A length-delimited field of a protocol buffer."""
    size, head = len(content), bytearray([number << 3 | 2])
    while size > 0x7F:
        head.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes(head) + bytes([size]) + content


def notebook_of(*outputs: str) -> bytes:
    """A notebook with one cell that has printed this."""
    printed = [{"output_type": "stream", "name": "stdout", "text": text} for text in outputs]
    cell = {"cell_type": "code", "metadata": {}, "source": "x = 1", "outputs": printed}
    return json.dumps({"nbformat": 4, "metadata": {}, "cells": [cell]}).encode()


# --- seeds --------------------------------------------------------------------------------------


def of(target: str) -> Iterator[bytes]:
    """The inputs from which this target starts."""
    yield from _SEEDS[target]()


def _notebooks() -> Iterator[bytes]:
    for file in sorted(SUBMISSIONS.glob("*/*.ipynb")):
        yield file.read_bytes()
    yield notebook_of("Total params: 13,880", "Epoch 1/2\n - loss: 0.1 - val_acc: 0.9941")
    old = {"cell_type": "code", "language": "python", "input": "x = 1", "outputs": [], "metadata": {}}
    sheet = {"cells": [old, {"cell_type": "heading", "level": 1, "source": "A"}], "metadata": {}}
    for version in (1, 2, 3):
        yield json.dumps(
            {"nbformat": version, "metadata": {"name": ""}, "worksheets": [sheet], **sheet}
        ).encode()


def _programs() -> Iterator[r.Program]:
    with tempfile.TemporaryDirectory() as folder:
        for file in sorted(SUBMISSIONS.glob("*/*.ipynb")):
            yield loading.load(file, Path(folder)).program


def _scripts() -> Iterator[bytes]:
    for program in _programs():
        yield "\n# %%\n".join(c.source for c in program.cells if c.kind == "code").encode()[:6_000]
    yield b'"""What I built and why."""\nmodel = Sequential()  # a comment\nmodel.fit(x)\n'


def _write_ups() -> Iterator[bytes]:
    yield (SUBMISSIONS / "10-markdown" / "README.md").read_bytes()
    yield b"Prose.\n\n```python\nx = 1\n```\n\n~~~ text\nTotal params: 1,234\n~~~\n"


def _claims() -> Iterator[bytes]:
    for program in _programs():
        yield "\n".join(c.output for c in program.cells)[:4_000].encode()
    yield b"Total params: 1,234 (4.8 KB)\nOptimizer params: 2\n[0.02, 0.9941]\nIt reached 99.41 %.\n"


def _configurations() -> Iterator[bytes]:
    """Of every saved model, as JSON."""
    files = [*FIXTURES.glob("*.json"), *SUBMISSIONS.glob("*/*.keras"), *SUBMISSIONS.glob("*/*.h5")]
    old = [*FIXTURES.glob("keras*.h5"), *FIXTURES.glob("legacy*.h5"), FIXTURES / "savedmodel_keras2"]
    for path in [*sorted(files), *sorted(old)]:
        yield json.dumps(saved.read_config(path)).encode()
    layers: list[dict[str, Any]] = [
        {"class_name": name, "config": {"name": name.lower(), **config}}
        for name, config in (
            ("Conv2D", {"filters": 4, "kernel_size": [3, 3], "kernel_regularizer": {"l2": 0.1}}),
            ("PReLU", {"shared_axes": [1, 2]}),
            ("ZeroPadding2D", {"padding": [[1, 1], [2, 2]]}),
            ("Cropping2D", {"cropping": [1, 1]}),
            ("UpSampling2D", {"size": [2, 2]}),
            ("DepthwiseConv2D", {"kernel_size": [3, 3]}),
            ("SeparableConv2D", {"filters": 8, "kernel_size": 3}),
            ("Conv2DTranspose", {"filters": 2, "kernel_size": [2, 2], "strides": [2, 2]}),
            ("MaxPooling2D", {"pool_size": [2, 2]}),
            ("LayerNormalization", {"axis": [-1]}),
            ("Permute", {"dims": [2, 1, 3]}),
            ("Rescaling", {"scale": 0.5}),
            ("Reshape", {"target_shape": [-1]}),
            ("Dense", {"units": 10, "activation": "softmax"}),
        )
    ]
    for order in ("channels_last", "channels_first"):
        layers[0]["config"] |= {"batch_input_shape": [None, 28, 28, 3], "data_format": order}
        yield json.dumps({"class_name": "Sequential", "config": {"name": "s", "layers": layers}}).encode()


def _keras() -> Iterator[bytes]:
    for config in _configurations():
        yield zip_of({"metadata.json": b"{}", "config.json": config})


def _hdf5() -> Iterator[bytes]:
    for config in _configurations():
        yield hdf5_of(config.decode())
    yield hdf5_of(np.bytes_(next(_configurations())))
    yield hdf5_of(7)


def _savedmodels() -> Iterator[bytes]:
    for file in sorted(FIXTURES.glob("*/*.pb")):
        yield file.read_bytes()[:100_000]
    for config in _configurations():
        model = {"class_name": "Sequential", "model_config": json.loads(config)}
        yield field(1, field(2, json.dumps(model).encode()))


def _zips() -> Iterator[bytes]:
    code, prose = next(_scripts()), b"# A title\n"
    yield zip_of({"a/submission.py": code, "a/README.md": prose, "__MACOSX/._a": b"x"})
    yield zip_of({"submission.ipynb": notebook_of("Total params: 1,234")})
    yield zip_of({"model.keras": next(_keras())})
    yield zip_of({"m/saved_model.pb": next(_savedmodels()), "m/variables/variables.index": b"x"})
    yield zip_of({"one.py": b"x = 1", "two.py": b"model.fit(x)", "a\\b.py": b"y = 2"})


def _descriptions() -> Iterator[bytes]:
    recipe = r.TrainingRecipe(
        optimizer=r.Adam(),
        epochs=2,
        learning_rates=(0.003, 0.001),
        callbacks=(r.EarlyStopping(monitor="loss"), r.ReduceLROnPlateau(monitor="val_loss")),
        unsupported=("class_weight is not retrained",),
    )
    for number, config in enumerate(_configurations()):
        network = graph.describe(configuration.of_config(json.loads(config), (28, 28, 1)), (28, 28, 1))
        model = r.DescribedModel(name="model", network=network, training=(recipe,) * (number % 3))
        failure = r.CellFailure(cell=1, line=None, error="NameError", excerpt="x")
        said = r.Description(models=(model,), notes=(r.Note(message="a note"),), failures=(failure,))
        yield r.DescribeAnswer(description=said).model_dump_json().encode()
    yield r.DescribeAnswer(problem=r.Problem(kind="student", message="no")).model_dump_json().encode()


def _rubrics() -> Iterator[bytes]:
    for file in rubric.shipped():
        yield file.read_bytes()
    yield b"""title = "All kinds"
graded_model = "best"
dataset = { name = "own", path = "own.npz", sha256 = "%s" }
criterion = [
  { id = "a", kind = "layer_order", points = 1, rule = "followed_by", layer = "BatchNormalization" },
  { id = "b", kind = "training_limits", points = 1, epochs_at_most = 20, batch_size_at_least = 8 },
  { id = "c", kind = "accuracy_gap", points = 1, at_most = 0.01 },
  { id = "d", kind = "explanation", points = 1, min_words = 10 },
  { id = "e", kind = "manual", points = 1, question = "Is it nice?", needs = ["a"] },
  { id = "f", kind = "required_layer", points = 1, layer = "Conv2D", properties = { filters = 4 } },
]
""" % (b"0" * 64)


def _yamls() -> Iterator[bytes]:
    yield b"""class_name: Sequential
config:
- class_name: Conv2D
  config:
    batch_input_shape: !!python/tuple [null, 28, 28, 1]
    filters: 8
    kernel_size: &id001 !!python/tuple
    - 3
    - 3
    kernel_initializer:
      class_name: VarianceScaling
      config: {distribution: uniform, mode: fan_avg, scale: 1.0, seed: null}
    name: 'conv'
    strides: *id001
- class_name: Flatten
  config: {name: flat, trainable: true}
keras_version: 2.2.4
"""
    yield b"class_name: Model\nconfig:\n  layers: []\n  output_layers:\n  - - - a\n      - 0\n      - 0\n"


_SEEDS: dict[str, Callable[[], Iterator[bytes]]] = {
    "notebook": _notebooks,
    "script": _scripts,
    "markdown": _write_ups,
    "zip": _zips,
    "claims": _claims,
    "keras": _keras,
    "hdf5": _hdf5,
    "architecture": _configurations,
    "yaml": _yamls,
    "savedmodel": _savedmodels,
    "description": _descriptions,
    "rubric": _rubrics,
}


# --- hard on purpose ----------------------------------------------------------------------------


def hard(target: str) -> Iterator[tuple[str, bytes]]:
    """Larger than fuzzing would make them: depth, floods, numbers without end. Each with its name."""
    yield "nothing", b""
    yield "one byte", b"\xff"
    yield from _HARD[target]()


def _deep_json(depth: int = 100_000) -> Iterator[tuple[str, bytes]]:
    yield "deep lists", b"[" * depth
    yield "deep objects", b'{"a":' * depth
    yield "a number of 5,000 digits", b'{"nbformat": 4, "config": ' + b"1" * 5_000 + b"}"
    yield "not numbers", b'{"a": [NaN, Infinity, 1e999, -0.0]}'
    yield "half a character", b'{"class_name": "\\ud800", "config": {"\\udfff": "\\ud800"}}'
    yield "UTF-16", '{"a": 1}'.encode("utf-16")
    yield "a byte order mark", b'\xef\xbb\xbf{"a": 1}'
    yield "a key twice", b'{"a": 1, "a": 2}'


def _hard_notebooks() -> Iterator[tuple[str, bytes]]:
    yield from _deep_json()
    for depth in range(100, 1_000, 60):
        value = b"[" * depth + b"]" * depth
        yield (
            f"a source {depth} deep",
            b'{"nbformat": 4, "cells": [{"cell_type": "code", "source": [%s]}]}' % value,
        )
        said = b'{"nbformat": 4, "metadata": {"language_info": {"version": %s}}, "cells": []}'
        yield f"a version {depth} deep", said % value
    yield "lines without text", notebook_of("\n" * 1_000_000)
    yield "half characters", notebook_of("\ud800 Total params: 1 \udfff")
    yield "a character without end", notebook_of("params: &#" + "1" * 5_000 + ";")
    yield "too many cells", json.dumps({"nbformat": 4, "cells": [{"cell_type": "code"}] * 5_001}).encode()
    yield "too many old cells", json.dumps({"nbformat": 3, "worksheets": [{"cells": [{}] * 5_001}]}).encode()
    yield "a string never closed", _source('"""' + "\n" * 300_000)


def _source(text: str) -> bytes:
    return json.dumps({"nbformat": 4, "cells": [{"cell_type": "code", "source": text}]}).encode()


def _hard_scripts() -> Iterator[tuple[str, bytes]]:
    yield "a million cells", b"#%%\nx\n" * 1_000_000
    yield "lines without text", b"#" + b"\n" * 1_000_000 + b"x"
    yield "a string never closed", b'"""' + b"\n" * 500_000
    yield "strings on one line", b"x = (" + b'"" ' * 400_000 + b")\n"
    yield "deep brackets", b"(" * 300_000
    yield "deeper and deeper", b"\n".join(b" " * depth + b"if x:" for depth in range(1_000))
    yield "half of UTF-16", b"\xff\xfe" + b"x\x00=\x001\x00\xd8"


def _hard_write_ups() -> Iterator[tuple[str, bytes]]:
    yield "one long fence", b"`" * 3_000_000
    yield "a million cells", b"```py\nx\n```\n" * 1_000_000
    yield "a million outputs", b"```py\nx\n```\n" + b"```\nx\n```\n" * 300_000
    yield "lines without text", b"```py\nx\n```\n```\n" + b"\n" * 1_000_000
    yield "fences of every length", b"```py\nx\n```\n" + b"\n".join(b"`" * n for n in range(3, 2_000))


def _hard_claims() -> Iterator[tuple[str, bytes]]:
    yield "lines without text", b"\n" * 1_000_000
    yield "spaces", b" " * 1_000_000
    yield "a score of digits", b"[" + b"1" * 1_000_000
    yield "a score of spaces", b"[" + b" " * 300_000 + b"1" + b" " * 300_000
    yield "scores of spaces", b"[ \n" * 300_000
    yield "an accuracy of digits", b"val_acc: " + b"1" * 1_000_000
    yield "an accuracy of letters", b"val_acc" * 150_000
    yield "accuracies", b"val_acc: 0.9e999 " * 50_000
    yield "summaries", b"Total params:" * 70_000
    yield "sentences", b"99.41. " * 140_000
    yield "percentages", b"99.41" + b" " * 900_000


def _hard_configurations() -> Iterator[tuple[str, bytes]]:
    yield from _deep_json()
    for depth in range(100, 1_000, 60):
        value = b"[" * depth + b"]" * depth
        layer = b'{"class_name": "Dense", "config": {"units": %s}}' % value
        model = b'{"class_name": "Sequential", "config": {"name": %s, "layers": [%s]}}'
        yield f"a name {depth} deep", model % (value, layer)
    one = b'{"config":{}}'
    yield "layers of one name", b'{"class_name":"Sequential","config":[%s]}' % b",".join([one] * 200_000)
    names = [json.dumps({"name": f"{n}", "inbound_nodes": [[[f"{n + 1}", 0, 0]]]}) for n in range(20_000)]
    chain = ", ".join([*names, '{"name": "20000"}'])
    outputs = '"output_layers": [["0", 0, 0]]'
    yield "upside down", f'{{"class_name": "Model", "config": {{"layers": [{chain}], {outputs}}}}}'.encode()
    yield "too long", b'{"class_name": "Sequential", "config": ["' + b"x" * 8_000_000 + b'"]}'


def _hard_keras() -> Iterator[tuple[str, bytes]]:
    for name, config in _hard_configurations():
        yield name, zip_of({"config.json": config})
    yield "a bomb", zip_of({"config.json": b" " * 100_000_000})
    yield "no configuration", zip_of({"a": b"{}"})


def _hard_hdf5() -> Iterator[tuple[str, bytes]]:
    yield "no text", hdf5_of(np.zeros(3))
    yield "not UTF-8", hdf5_of(np.bytes_(b'{"class_name": "\xff"}'))
    for end in range(0, 2_000, 50):
        yield f"the first {end} bytes", hdf5_of('{"class_name": "Sequential"}')[:end]


def _hard_savedmodels() -> Iterator[tuple[str, bytes]]:
    yield "empty fields", b"\x0a\x00" * 500_000
    yield "numbers without end", b"\xff" * 1_000_000
    deep = b"{" + b"x" * 1_000 + b"}"
    for _ in range(500):
        deep = field(1, deep)
    yield "deep fields", deep
    for name, config in _deep_json():
        yield name, field(1, config)
    yield "many documents", field(1, b"{}") * 50_000


def _hard_zips() -> Iterator[tuple[str, bytes]]:
    deep = {"a/" * depth + "b.py": b"x = 1" for depth in range(300, 2_000, 300)}
    yield "deep folders", zip_of(deep)
    yield "2,001 members", zip_of({f"{n}.py": b"x" for n in range(2_001)})
    yield "a bomb", zip_of({"a.py": b" " * 50_000_000})
    yield "a folder and a file", zip_of({"a": b"x", "a/b.py": b"x"})
    yield "an empty part", zip_of({"a//b.py": b"x", "./c.py": b"x"})
    lying = zip_of({"a.py": b"x" * 10_000})
    yield "a false size", lying.replace((10_000).to_bytes(4, "little"), (20).to_bytes(4, "little"))
    yield "a script of a million cells", zip_of({"a.py": b"#%%\nx\n" * 1_000_000})


def _chain(*layers: dict[str, Any]) -> bytes:
    """An answer with these layers in a row, each repeated to the limit."""
    named = [{"type": "InputLayer", "name": "l0", "shape": [28, 28, 1]}]
    for number in range(1, 1_000):
        layer = layers[number % len(layers)]
        named.append({"name": f"l{number}", "inbound": [f"l{number - 1}"], **layer})
    network = {"inputs": ["l0"], "layers": named, "outputs": ["l999"]}
    return json.dumps({"description": {"models": [{"name": "m", "network": network}]}}).encode()


def _hard_descriptions() -> Iterator[tuple[str, bytes]]:
    yield from _deep_json()
    pool = {"type": "MaxPooling2D", "strides": [3, 7], "pool_size": [2, 5], "padding": "same"}
    yield "fractions", _chain({"type": "UpSampling2D", "size": [3, 7]}, pool)
    yield "ever larger", _chain({"type": "ZeroPadding2D", "padding": [[10_000, 10_000], [0, 0]]})
    kernel = {"kernel_size": [10**6, 10**6], "padding": "same"}
    yield "wide kernels", _chain({"type": "Conv2D", "filters": 1, **kernel})
    number = b'{"description": {"ambiguous_calls": %s}}'
    yield "many digits", number % (b"9" * 4_000)
    yield "too many digits", number % (b"9" * 5_000)
    yield "too long", b'{"problem": "' + b"x" * 8_000_000 + b'"}'
    yield "a key twice, deep", b'{"description": {"models": [{"name": "a", "name": "b"}]}}'


def _hard_rubrics() -> Iterator[tuple[str, bytes]]:
    yield "deep lists", b"a = " + b"[" * 5_000
    yield "deep tables", b"a = " + b"{a = " * 5_000
    yield "a long key", b"a" + b".a" * 3_000 + b" = 1"
    yield "a number of 5,000 digits", b"a = " + b"1" * 5_000
    yield "a hexadecimal number", b"[training]\nepochs = 0x" + b"f" * 5_000
    yield "not numbers", b"pass_points = nan\ndescribe_seconds = inf"
    yield "a date", b"title = 1979-05-27T07:32:00Z\ncriterion = 9999-12-31"
    yield "a long word", b"x" * 1_000_000 + b" = 1"
    yield "many keys", b"".join(b"k%d = 1\n" % n for n in range(20_000))
    yield "NUL", b'title = "\\u0000"\n[dataset]\nname = "a"\npath = "\\u0000"\nsha256 = "%s"' % (b"0" * 64)


def _hard_yamls() -> Iterator[tuple[str, bytes]]:
    yield "deep lists", b"a: " + b"[" * 1_000_000
    yield "deep dashes", b"- " * 1_000_000 + b"a"
    yield "deep keys", b"".join(b" " * n + b"a:\n" for n in range(2_000))
    yield "a long key", b"a" * 1_000_000 + b": 1"
    yield "quotes", b'a: ["' * 200_000
    yield "one quote", b"a: ['" + b"'" * 999_999
    yield "spaces", b"a: [" + b" " * 1_000_000
    yield "colons", b"a" + b":" * 1_000_000
    yield "marks", b"a: " + b"&a " * 300_000
    yield "tags", b"a: [" + b"!!str " * 150_000 + b"]"
    yield "aliases", b"a: &a [1, 2]\n" + b"b: *a\n" * 100_000
    yield "lists that go on", b"a: [\n" + b"1,\n" * 300_000
    yield "numbers", b"a: [" + b"9" * 1_000_000 + b"]"
    yield "directives", b"".join(b"%%TAG !a%d! b\n" % n for n in range(100_000)) + b"--- a"


_HARD: dict[str, Callable[[], Iterator[tuple[str, bytes]]]] = {
    "notebook": _hard_notebooks,
    "script": _hard_scripts,
    "markdown": _hard_write_ups,
    "zip": _hard_zips,
    "claims": _hard_claims,
    "keras": _hard_keras,
    "hdf5": _hard_hdf5,
    "architecture": _hard_configurations,
    "yaml": _hard_yamls,
    "savedmodel": _hard_savedmodels,
    "description": _hard_descriptions,
    "rubric": _hard_rubrics,
}
