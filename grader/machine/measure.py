"""Measures how fast each engine trains on this machine, for ``engine = "auto"`` to go by."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, get_args

from grader.ask.training import Training, Watcher
from grader.data import datasets, speeds
from grader.data.speeds import EngineName
from grader.errors import BrokenError
from grader.machine.doctor import Finding
from grader.records import (
    ActivationLayer,
    Adam,
    BatchNormalization,
    Conv2D,
    Dropout,
    GlobalAveragePooling2D,
    InputLayer,
    Layer,
    MaxPooling2D,
    ModelDescription,
    TrainingRecipe,
    TrainJob,
)

BATCH, STEPS, EPOCHS = 128, 50, 3


def measure() -> Iterator[Finding]:
    """Train a usual network with every engine, and store milliseconds per step for ``engine = "auto"``."""
    found = {engine: _measure(engine) for engine in get_args(EngineName)}
    took = {engine: result for engine, result in found.items() if isinstance(result, float)}
    kept = speeds.keep(took)
    for engine, result in found.items():
        if isinstance(result, Finding):
            yield result
            continue
        state: Literal["used", "works"] = "used" if result == min(took.values()) else "works"
        times = f", {result / min(took.values()):.1f} times the fastest" if state == "works" else ""
        yield Finding(subject=f"{engine} engine", state=state, detail=f"{result:.1f} ms a step{times}")
    if kept is None:
        yield Finding(
            subject="measured", state="fails", detail="no place in the home folder to store the speeds"
        )
    else:
        yield Finding(subject="measured", state="works", detail=f'engine = "auto" goes by {kept}')


def _measure(engine: EngineName) -> float | Finding:
    """Return milliseconds per training step of the fastest epoch, the first one (which compiles) left out.

    A `Finding` where the engine cannot run here.
    """
    job = TrainJob(
        network=_network(), training=(_recipe(),), dataset=datasets.MNIST, seed=1, max_epochs=EPOCHS,
        engine=engine,
    )  # fmt: skip
    try:
        (run_,) = Training(job, Watcher()).run()
    except BrokenError as error:
        return Finding(subject=f"{engine} engine", state="fails", detail=error.message[-500:])
    if run_.environment.engine != engine:
        note = run_.environment.engine_note
        return Finding(subject=f"{engine} engine", state="missing", detail=note)
    return round(min(epoch.training_seconds for epoch in run_.epochs[1:]) / STEPS * 1e3, 2)


def _recipe() -> TrainingRecipe:
    return TrainingRecipe(
        optimizer=Adam(), learning_rates=(0.001,) * EPOCHS, epochs=EPOCHS, batch_size=BATCH,
        rows=((0, STEPS * BATCH),),
    )  # fmt: skip


def _network() -> ModelDescription:
    """Return a network such as courses ask for: convolutions of few channels, normalisation and dropout."""
    layers: list[Layer] = [InputLayer(name="input", shape=(28, 28, 1))]

    def add(layer: Layer) -> None:
        name = f"layer_{len(layers)}"
        layers.append(layer.model_copy(update={"name": name, "inbound": (layers[-1].name,)}))

    for filters in (12, 20, 0, 16, 16, 16, 16):
        if not filters:
            add(MaxPooling2D(name="x"))
            continue
        add(Conv2D(name="x", filters=filters, kernel_size=(3, 3), activation="relu"))
        add(BatchNormalization(name="x"))
        add(Dropout(name="x", rate=0.1))
    add(Conv2D(name="x", filters=10, kernel_size=(1, 1)))
    add(GlobalAveragePooling2D(name="x"))
    add(ActivationLayer(name="x", activation="softmax"))
    return ModelDescription(inputs=("input",), layers=tuple(layers), outputs=(layers[-1].name,))
