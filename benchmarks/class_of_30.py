"""A class graded by grader, and the same notebooks run one after another with papermill.

    pip install papermill ipykernel
    python benchmarks/class_of_30.py [--students 30] [--epochs 20] [--images 60000]

papermill runs what students wrote, on the Keras that is installed; so the class is written anew for it: the
networks and recipes of the seven real submissions, as grader describes them, in today's Keras, handed in by
thirty students (each network by four or five of them, every third time with a batch size of its own). Both
train every network once for so many epochs on so many images; grader in a box, and with everything else that
it does. Told are the seconds of both, and what papermill's notebooks reached.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from make_class import SUBMISSIONS

from grader import records as r
from grader.ask.training import Watcher
from grader.data import datasets
from grader.grade import examine
from grader.grade.session import prepare
from grader.judge import rubric
from grader.store.store import Store

RUBRIC = """
title = "So many epochs for everyone"
[training]
epochs = {epochs}
attempts = 1
[[criterion]]
id = "accuracy"
kind = "validation_accuracy"
points = 100
threshold = 1.0
"""
# What runs first in papermill's kernels: keras.datasets would fetch MNIST from the internet.
STARTUP = """
import keras, numpy
def load_data(path="mnist.npz"):
    with numpy.load({path!r}) as file:
        return (file["x_train"], file["y_train"]), (file["x_test"], file["y_test"])
keras.datasets.mnist.load_data = load_data
"""
PLACES = ("name", "inbound", "type", "trainable")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--students", type=int, default=30)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--images", type=int, default=60_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "class"
        folder.mkdir()
        (Path(scratch) / "rubric.toml").write_text(RUBRIC.format(epochs=given.epochs))
        networks = list(_real())
        for number in range(given.students):
            model, recipe = networks[number % len(networks)]
            batch = 100 if number % 3 == 2 else recipe.batch_size
            text = _notebook(_code(model, recipe, batch, given.epochs, given.images))
            (folder / f"student{number:02}.ipynb").write_text(text)
        ours = _seconds("-m", "grader", "batch", str(folder), "--rubric", f"{scratch}/rubric.toml",
                        "--out", f"{scratch}/results")  # fmt: skip
        kept = Store(Path(scratch) / "results")
        grades = [entry.grade for entry in kept.results().entries if entry.grade]
        kept.close()
        runs = {repr(run.epochs): len(run.epochs) for grade in grades for run in grade.runs}
        trained, graded = sum(runs.values()), sum(bool(grade.runs) for grade in grades)
        startup = Path(scratch) / "ipython/profile_default/startup"
        startup.mkdir(parents=True)
        (startup / "data.py").write_text(STARTUP.format(path=datasets.MNIST.path))
        os.environ["IPYTHONDIR"] = f"{scratch}/ipython"
        theirs = 0.0
        for notebook in sorted(folder.glob("*.ipynb")):
            theirs += _seconds("-m", "papermill", str(notebook), f"{scratch}/done.ipynb", "--no-progress-bar")
            print(f"{notebook.stem}: {theirs:.0f} s so far", file=sys.stderr, flush=True)
    print(f"{given.students} notebooks of {given.epochs} epochs on {given.images:,} images")
    print(f"papermill {theirs:.0f} s, grader {ours:.0f} s: {theirs / ours:.1f} times as fast")
    print(f"grader has trained {trained} epochs for {graded} students")


def _seconds(*arguments: str) -> float:
    begun = time.monotonic()
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)}:\n{done.stdout}\n{done.stderr}")
    return time.monotonic() - begun


def _real() -> Iterator[tuple[r.ModelDescription, r.TrainingRecipe]]:
    """Networks and recipes of the real submissions."""
    with prepare(rubric.load("assignment4"), False, Watcher()) as grading:
        for path in sorted(SUBMISSIONS.glob("*/submission.ipynb")):
            subject = examine.examine(path, grading).candidates[0].subject
            yield subject.network, subject.recipe[-1]


def _code(model: r.ModelDescription, recipe: r.TrainingRecipe, batch: int, epochs: int, images: int) -> str:
    layers = "\n".join(f"    {_call('keras.layers', layer)}," for layer in model.layers[1:])
    rates = [recipe.learning_rates[min(n, len(recipe.learning_rates) - 1)] for n in range(epochs)]
    optimizer = _call("keras.optimizers", recipe.optimizer)
    return f"""
import keras
(x_train, y_train), (x_test, y_test) = keras.datasets.mnist.load_data()
x_train = x_train[:{images}, ..., None].astype("float32") / 255
x_test = x_test[..., None].astype("float32") / 255
y_train = keras.utils.to_categorical(y_train[:{images}], 10)
y_test = keras.utils.to_categorical(y_test, 10)
model = keras.Sequential([
    keras.Input((28, 28, 1)),
{layers}
])
model.summary()
model.compile(loss="categorical_crossentropy", optimizer={optimizer}, metrics=["accuracy"])
rates = {rates}
model.fit(x_train, y_train, batch_size={batch}, epochs={epochs}, validation_data=(x_test, y_test), verbose=2,
          callbacks=[keras.callbacks.LearningRateScheduler(lambda epoch, rate: rates[epoch])])
print(model.evaluate(x_test, y_test, verbose=0))
"""


def _call(module: str, record: Any) -> str:
    """The constructor that a record tells of."""
    told = {name: getattr(record, name) for name in type(record).model_fields if name not in PLACES}
    settings = ", ".join(
        f"{name}={value!r}" for name, value in told.items() if not isinstance(value, r.Record)
    )
    kind = "Activation" if record.type == "ActivationLayer" else record.type
    return f"{module}.{kind}({settings})"


def _notebook(source: str) -> str:
    cell: dict[str, Any] = {
        "cell_type": "code",
        "metadata": {},
        "source": source,
        "outputs": [],
        "execution_count": None,
    }
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return json.dumps({"nbformat": 4, "nbformat_minor": 2, "metadata": kernel, "cells": [cell]})


if __name__ == "__main__":
    main()
