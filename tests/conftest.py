"""Factories that several test files share: small networks, runs, subjects and verdicts."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import zipfile
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

from grader import records as r
from grader.ask.asker import Asker
from grader.ask.training import Watcher
from grader.box import isolation
from grader.data import datasets
from grader.data.datasets import Dataset
from grader.grade.session import Grading
from grader.judge import rubric
from grader.judge.checks.interface import Subject
from grader.layers.shapes import analyse

# These start processes, some for a minute; all other folders are done in seconds.
LONG = ("hostile", "grade", "train", "ask", "commands", "describe", "runners", "box", "fuzz")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long, so that in the end no worker is alone with it."""
    rank = {Path(__file__).parent / name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: min((rank[p] for p in item.path.parents if p in rank), default=len(LONG)))


settings.register_profile("grader", deadline=None)  # shared machines are slow at times
settings.load_profile("grader")


@pytest.fixture(scope="session")
def alone() -> tuple[str, ...]:
    """Before a command, so that it sees no processes but its own.

    Gradescope's script ends every process of users like those of boxes: in its container there are no others,
    here there are those of other tests. Only root could end them, and root may have namespaces.
    """
    if os.geteuid() != 0:
        return ()
    command = ("unshare", "--fork", "--pid", "--mount-proc", "--kill-child")
    works = subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0
    return command if works else pytest.skip("it would end the boxes of other tests")


@pytest.fixture(scope="session")
def network() -> Callable[..., r.ModelDescription]:
    """Layers in a row behind an input; layers that name their inbound layers keep them."""

    def build(*layers: r.Layer, shape: tuple[int, ...] = (28, 28, 1)) -> r.ModelDescription:
        chain: list[r.Layer] = [r.InputLayer(name="input", shape=shape)]
        for layer in layers:
            chain.append(layer if layer.inbound else layer.model_copy(update={"inbound": (chain[-1].name,)}))
        return r.ModelDescription(inputs=("input",), layers=tuple(chain), outputs=(chain[-1].name,))

    return build


@pytest.fixture(scope="session")
def recipe() -> Callable[..., r.TrainingRecipe]:
    """A recipe of 20 epochs with Adam, with changes."""

    def build(**changes: Any) -> r.TrainingRecipe:
        given = {"optimizer": r.Adam(), "epochs": 20, "batch_size": 128, "learning_rates": (0.003,)}
        return r.TrainingRecipe(**(given | changes))

    return build


@pytest.fixture(scope="session")
def subject(
    network: Callable[..., r.ModelDescription], recipe: Callable[..., r.TrainingRecipe]
) -> Callable[..., Subject]:
    """What the checks see of some layers in a row, or of a whole network."""

    def build(*layers: r.Layer, of: r.ModelDescription | None = None, **changes: Any) -> Subject:
        described = of or network(*layers)
        given = {
            "network": described,
            "analysis": analyse(described),
            "recipe": (recipe(),),
            "own_recipe": True,
            "cells": (),
            "policy": r.TrainingPolicy(),
        }
        return Subject(**(given | changes))

    return build


@pytest.fixture(scope="session")
def run() -> Callable[..., r.TrainingRun]:
    """One attempt with so many correct images after each epoch."""

    def build(
        counts: Sequence[int],
        *,
        seed: int = 2019,
        images: int = 10_000,
        ended: str = "finished",
        train_accuracy: float | None = 0.995,
    ) -> r.TrainingRun:
        epochs = tuple(
            r.EpochResult(
                epoch=number,
                learning_rate=0.003,
                train_loss=0.02,
                train_accuracy=train_accuracy,
                validation_loss=0.03,
                correct=correct,
                images=images,
                seconds=10.0,
                training_seconds=9.0,
            )
            for number, correct in enumerate(counts, 1)
        )
        environment = r.Environment(device="CPU", threads=2, versions={"grader": "0.1", "keras": "3.12"})
        return r.TrainingRun(seed=seed, epochs=epochs, ended=ended, environment=environment)

    return build


@pytest.fixture(scope="session")
def unsupported() -> r.UnsupportedLayer:
    """A layer that grader cannot describe."""
    return r.UnsupportedLayer(name="mystery", class_name="MyLayer", reason=r.because("own_layer"))


@pytest.fixture(scope="session")
def box() -> isolation.Isolation:
    """The best box of this machine, found out once."""
    return isolation.choose("preferred")


@pytest.fixture(scope="session")
def some_mnist(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """The first 600 and 200 images of MNIST, which take a fraction of the time of all of them."""
    whole = datasets.load(datasets.MNIST)
    path = tmp_path_factory.mktemp("some") / "mnist.npz"
    arrays = {"x_train": whole.x_train[:600, ..., 0], "y_train": whole.y_train[:600]}
    np.savez(path, **arrays, x_test=whole.x_test[:200, ..., 0], y_test=whole.y_test[:200])
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return datasets.load(datasets.MNIST.model_copy(update={"path": str(path), "sha256": digest}))


@pytest.fixture(scope="session")
def asker_on(
    box: isolation.Isolation, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Dataset], Asker]]:
    """Describes submissions on a data set, with one fork server for each of them."""
    askers: dict[str, Asker] = {}

    def on(dataset: Dataset) -> Asker:
        if dataset.spec.sha256 not in askers:
            asker = askers[dataset.spec.sha256] = Asker(dataset, box, tmp_path_factory.mktemp("shared"))
            asker.serve()
        return askers[dataset.spec.sha256]

    yield on
    for asker in askers.values():
        asker.close()


@pytest.fixture(scope="session")
def asker(asker_on: Callable[[Dataset], Asker], some_mnist: Dataset) -> Asker:
    """Describes submissions on some of MNIST."""
    return asker_on(some_mnist)


@pytest.fixture(scope="session")
def asker_on_mnist(asker_on: Callable[[Dataset], Asker]) -> Asker:
    """Describes submissions on all of MNIST, for which they were written."""
    return asker_on(datasets.load(datasets.MNIST))


@cache
def _once(spec: r.DatasetSpec) -> Dataset:
    return datasets.load(spec)


@pytest.fixture(scope="session")
def grading(asker_on: Callable[[Dataset], Asker]) -> Callable[..., Grading]:
    """What `prepare` yields for a rubric, but with a fork server that all tests share."""

    def of(rules: str | Path, retrain: bool = True, watcher: Watcher | None = None) -> Grading:
        loaded = rubric.load(str(rules))
        dataset = _once(loaded.dataset)
        return Grading(loaded, dataset, asker_on(dataset), retrain, watcher or Watcher())

    return of


SIDES = """
import numpy as np
import keras
from keras import layers
with np.load("digits.npz") as data:
    x, y = data["x_train"] / 255.0, data["y_train"]
    xt, yt = data["x_test"] / 255.0, data["y_test"]
model = keras.Sequential([
    keras.Input((8, 8, 1)),
    layers.Conv2D(FILTERS, 3, activation="relu"),
    layers.Flatten(),
    layers.Dense(2, activation="softmax"),
])
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x, y, batch_size=16, epochs=2, validation_data=(xt, yt))
"""

_SIDES_RUBRIC = """
title = "sides"
describe_seconds = {seconds}
default_recipe = {{ batch_size = 16 }}
dataset = {{ name = "digits", path = "digits.npz", sha256 = "{digest}" }}
[training]
epochs = 2
{policy}
[[criterion]]
id = "parameters"
kind = "parameter_limit"
points = 10
limit = {limit}

[[criterion]]
id = "accuracy"
kind = "validation_accuracy"
points = 30
threshold = {threshold}
clear_miss = 1.0
needs = {needs}

[[criterion]]
id = "style"
kind = "manual"
points = 5
question = "Is it well written?"
"""


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> r.DatasetSpec:
    """A small data set that anyone can learn: bright on the left, or on the right."""
    path = tmp_path_factory.mktemp("sides") / "digits.npz"
    random = np.random.default_rng(7)
    arrays: dict[str, Any] = {}
    for split, n in (("train", 320), ("test", 100)):
        labels = random.integers(0, 2, n)
        images = random.integers(0, 60, (n, 8, 8)).astype(np.uint8)
        images[labels == 0, :, :4] += 150
        images[labels == 1, :, 4:] += 150
        arrays |= {f"x_{split}": images, f"y_{split}": labels}
    np.savez(path, **arrays)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return r.DatasetSpec(name="digits", path=str(path), sha256=digest)


@pytest.fixture(scope="session")
def sides(digits: r.DatasetSpec) -> Callable[..., Path]:
    """Writes rubrics for that data set."""

    def rubric(
        name: str = "rubric",
        limit: int = 2000,
        threshold: float = 0.9,
        needs: str = '["parameters"]',
        policy: str = "",
        seconds: int = 180,
    ) -> Path:
        path = Path(digits.path).with_name(f"{name}.toml")
        settings = {"limit": limit, "threshold": threshold, "needs": needs, "policy": policy}
        path.write_text(_SIDES_RUBRIC.format(digest=digits.sha256, seconds=seconds, **settings))
        return path

    return rubric


@pytest.fixture(scope="session")
def network_of() -> Callable[[int], str]:
    """A script for that data set, with so many filters: each number is another network."""
    return lambda filters: SIDES.replace("FILTERS", str(filters))


@pytest.fixture(scope="session")
def saved_with() -> Callable[[int], bytes]:
    """The same network as a `.keras` file, which is read as data: describing it takes no TensorFlow."""

    def saved(filters: int) -> bytes:
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w") as archive:
            archive.writestr("metadata.json", "{}")
            archive.writestr("config.json", json.dumps(_sequential(filters)))
        return made.getvalue()

    return saved


def _sequential(filters: int) -> dict[str, Any]:
    layers = {
        "InputLayer": {"batch_shape": [None, 8, 8, 1]},
        "Conv2D": {"filters": filters, "kernel_size": [3, 3], "activation": "relu"},
        "Flatten": {},
        "Dense": {"units": 2, "activation": "softmax"},
    }
    saved = [
        {"module": "keras.layers", "class_name": kind, "config": {"name": kind.lower(), **config}}
        for kind, config in layers.items()
    ]
    adam = {"module": "keras.optimizers", "class_name": "Adam", "config": {"learning_rate": 0.001}}
    return {
        "module": "keras",
        "class_name": "Sequential",
        "config": {"name": "model", "layers": saved},
        "compile_config": {"optimizer": adam, "loss": "sparse_categorical_crossentropy"},
    }
