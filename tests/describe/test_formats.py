"""The same network out of every file format of every Keras, and how it was compiled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dialects
import pytest

from grader import records as r
from grader.describe.child.serve import _saved_model
from grader.describe.networks import compiled, configuration, graph, saved
from grader.layers import shapes

FIXTURES = Path(__file__).parent.parent / "fixtures"
TOTAL = 80 + 32 + 13 * 13 * 8 * 10 + 10


def described(path: Path) -> r.ModelDescription:
    return graph.describe(configuration.of_config(saved.read_config(path)))


def child(path: Path) -> r.Description:
    """What the describing child answers for a saved model."""
    program = r.Program(name=path.name, path=str(path), digest="", model_file=str(path))
    job = r.DescribeJob(program=program, files="", data="", dataset=(), image_shape=(28, 28, 1), seconds=60)
    return _saved_model(path, job)


def checked(network: r.ModelDescription) -> None:
    assert [x.type for x in network.layers] == [
        "InputLayer", "Conv2D", "BatchNormalization", "MaxPooling2D", "Dropout", "Flatten", "Dense",
    ]  # fmt: skip
    conv = network.layers[1]
    assert isinstance(conv, r.Conv2D)
    assert (conv.filters, conv.kernel_size, conv.activation) == (8, (3, 3), "relu")
    assert conv.kernel_regularizer == r.L1L2(l2=0.01)
    assert conv.kernel_initializer == r.VarianceScaling(
        scale=2.0, mode="fan_in", distribution="truncated_normal"
    )
    assert shapes.analyse(network).total == TOTAL


@pytest.mark.parametrize("as_bytes", [True, False])
@pytest.mark.parametrize("era", dialects.SEQUENTIAL)
def test_hdf5(tmp_path: Path, era: str, as_bytes: bool) -> None:
    """Keras 1.2 to tf.keras 2.15, under the names, lists and defaults of each."""
    checked(described(dialects.hdf5(tmp_path / "m.h5", dialects.SEQUENTIAL[era], as_bytes=as_bytes)))


@pytest.mark.parametrize("era", dialects.SEQUENTIAL)
def test_json(tmp_path: Path, era: str) -> None:
    """`to_json` wrote the same configuration, with the version beside it."""
    path = tmp_path / "m.json"
    path.write_text(
        json.dumps({**dialects.SEQUENTIAL[era], "keras_version": "2.2.4", "backend": "tensorflow"})
    )
    checked(described(path))


@pytest.mark.parametrize("flow", [True, False])
@pytest.mark.parametrize("suffix", ["yaml", "yml"])
@pytest.mark.parametrize("era", dialects.SEQUENTIAL)
def test_yaml(tmp_path: Path, era: str, suffix: str, flow: bool) -> None:
    """`to_yaml`, with older PyYAML's leaves on one line and with newer ones' blocks."""
    path = tmp_path / f"m.{suffix}"
    path.write_text(dialects.yaml({**dialects.SEQUENTIAL[era], "keras_version": "2.2.4"}, flow=flow))
    checked(described(path))


def test_keras_3(tmp_path: Path) -> None:
    """The zip of Keras 3, with how it was compiled beside the configuration."""
    layers = [{"module": "keras.layers", "registered_name": None, **x} for x in dialects.KERAS_2]
    config = {"module": "keras", "class_name": "Sequential", "config": {"name": "s", "layers": layers}}
    optimizer = {"module": "keras.optimizers", "class_name": "Adam", "config": {"learning_rate": 0.003}}
    path = dialects.keras_zip(
        tmp_path / "m.keras",
        {**config, "compile_config": {"optimizer": optimizer, "loss": "categorical_crossentropy"}},
    )
    (model,) = child(path).models
    checked(model.network)
    assert model.compiled is not None
    assert model.compiled.learning_rates == (0.003,)


# --- compiled -----------------------------------------------------------------------------------


@pytest.mark.parametrize("era", dialects.TRAINING)
def test_how_a_model_was_compiled(tmp_path: Path, era: str) -> None:
    """Optimizer, loss and learning rate, as data; epochs and batch size are in no file."""
    path = dialects.hdf5(tmp_path / "m.h5", dialects.SEQUENTIAL[era], dialects.TRAINING[era])
    description = child(path)
    (model,) = description.models
    assert model.training == ()
    assert model.compiled is not None
    assert model.compiled.optimizer == r.Adam()
    assert model.compiled.loss == r.Loss()
    assert model.compiled.learning_rates == (0.003,)
    assert description.notes[0].message == (
        "the saved model was compiled with Adam, learning rate 0.003, categorical_crossentropy"
    )


def with_optimizer(name: str = "Adam", loss: Any = "categorical_crossentropy", **config: Any) -> Any:
    return {"optimizer_config": {"class_name": name, "config": config}, "loss": loss}


@pytest.mark.parametrize(
    ("training", "optimizer"),
    [
        (
            with_optimizer("SGD", lr=0.01, momentum=0.9, nesterov=True, decay=0.0),
            r.SGD(momentum=0.9, nesterov=True),
        ),
        (with_optimizer("sgd", learning_rate=0.1), r.SGD()),
        (with_optimizer("AdamW", learning_rate=0.001, weight_decay=0.004), r.Adam(weight_decay=0.004)),
        (with_optimizer("Adam", lr=0.001, epsilon=None), r.Adam()),
        (with_optimizer("RMSprop", lr=0.001, rho=0.9, epsilon=1e-7), r.RMSprop(epsilon=1e-14)),
        (with_optimizer("RMSprop", learning_rate=0.001, epsilon=1e-7), r.RMSprop()),
    ],
)
def test_optimizers(training: Any, optimizer: r.Optimizer) -> None:
    """Under old and new names; standalone Keras's epsilon stands outside the root."""
    recipe, _ = compiled.recipe(training)
    assert recipe is not None
    assert recipe.optimizer.model_dump() == pytest.approx(optimizer.model_dump())


@pytest.mark.parametrize(
    ("training", "why"),
    [
        (None, "rubric's recipe"),
        ([], "rubric's recipe"),
        ({}, "cannot be read"),
        (with_optimizer(learning_rate=0.000424869), "a schedule may have lowered the rate"),
        (with_optimizer(lr=0.001, decay=1e-4), "a decay of 0.0001"),
        (
            with_optimizer(learning_rate={"class_name": "ExponentialDecay", "config": {}}),
            "follows a schedule",
        ),
        (with_optimizer("Ranger", lr=0.001), "no record for its optimizer 'Ranger'"),
        (with_optimizer(lr=0.001, loss="my_loss"), "no record for its loss 'my_loss'"),
        (
            with_optimizer(lr=0.001, loss={"class_name": "function", "config": "loss_l2"}),
            "its loss 'loss_l2'",
        ),
        (with_optimizer(lr=0.001, loss=["categorical_crossentropy"]), "no record for its loss"),
        (with_optimizer(lr=0.001, beta_1=3.0), "cannot be read"),
        (with_optimizer(lr=float("nan")), "cannot be read"),
    ],
)
def test_what_no_recipe_follows_from(training: Any, why: str) -> None:
    """Then the rubric's own recipe is used, and the note says why."""
    recipe, note = compiled.recipe(training)
    assert recipe is None
    assert why in note


@pytest.mark.parametrize(
    ("name", "optimizer", "rate"),
    [
        ("keras1_sequential.h5", r.SGD(momentum=0.9, nesterov=True), 0.01),
        ("keras205_list.h5", r.Adam(epsilon=1e-8), 0.001),
        ("legacy_tfkeras.h5", r.Adam(), 0.002),
    ],
)
def test_fixtures_were_compiled(name: str, optimizer: r.Optimizer, rate: float) -> None:
    """As the README of the fixtures says."""
    (model,) = child(FIXTURES / name).models
    assert model.compiled is not None
    assert model.compiled.learning_rates == (rate,)
    found = model.compiled.optimizer.model_dump()
    assert found == pytest.approx(optimizer.model_dump())


def test_a_saved_model_of_tensorflow_keeps_how_it_was_compiled(tmp_path: Path) -> None:
    """Beside the configuration, in the metadata of the root object."""
    root = {
        "model_config": dialects.SEQUENTIAL["tf.keras 2.4"],
        "training_config": dialects.TRAINING["tf.keras 2.15"],
    }
    text = json.dumps(root).encode()
    size, rest = len(text), []
    while size > 127:
        rest.append(size & 127 | 128)
        size >>= 7
    (tmp_path / "saved_model.pb").touch()
    (tmp_path / "keras_metadata.pb").write_bytes(bytes([10, *rest, size]) + text)
    (model,) = child(tmp_path).models
    checked(model.network)
    assert model.compiled is not None
    assert model.compiled.learning_rates == (0.003,)
