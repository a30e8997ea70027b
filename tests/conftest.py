"""Factories that several test files share: small networks, runs, subjects and verdicts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import settings

from grader import datasets, isolation
from grader import records as r
from grader.asking import Asker
from grader.checks.interface import Subject
from grader.shapes import analyse

settings.register_profile("grader", deadline=None)  # shared machines are slow at times
settings.load_profile("grader")


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
    return r.UnsupportedLayer(name="mystery", class_name="MyLayer", reason="a class of the student's own")


@pytest.fixture(scope="session")
def asker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asker]:
    """Describes submissions on MNIST, in the best box of this machine."""
    box = isolation.choose("preferred")
    asker = Asker(datasets.load(datasets.MNIST), box, tmp_path_factory.mktemp("shared"))
    asker.serve()
    yield asker
    asker.close()
