"""Notebooks with outputs, and descriptions of the models in them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from grader import records as r
from grader.layers.shapes import Analysis, analyse

Describe = Callable[..., r.DescribedModel]


@pytest.fixture
def network_of_112() -> r.ModelDescription:
    """The network of the summaries: 112 parameters, 96 of them trainable."""
    layers = (
        r.InputLayer(name="input", shape=(28, 28, 1)),
        r.Conv2D(name="a", inbound=("input",), filters=8, kernel_size=(3, 3)),
        r.BatchNormalization(name="b", inbound=("a",)),
        r.MaxPooling2D(name="c", inbound=("b",)),
    )
    return r.ModelDescription(inputs=("input",), layers=layers, outputs=("c",))


@pytest.fixture
def analysis(network_of_112: r.ModelDescription) -> Analysis:
    return analyse(network_of_112)


@pytest.fixture
def model(network_of_112: r.ModelDescription, recipe: Callable[..., r.TrainingRecipe]) -> Describe:
    """A model built in one cell, with one fit of 20 epochs in each of the cells given."""

    def build(
        *fits: int,
        built: int = 1,
        name: str = "model",
        network: r.ModelDescription | None = None,
        **changes: object,
    ) -> r.DescribedModel:
        whole = r.DataUse(split="test", images=10_000, whole_split=True)
        given = {"validated_on": whole, **changes}
        training = tuple(recipe(cell=cell, **given) for cell in fits)
        return r.DescribedModel(
            name=name, network=network or network_of_112, training=training, fit_order=len(fits), cell=built
        )

    return build


@pytest.fixture
def program() -> Callable[..., r.Program]:
    """Cells of code with these outputs, each with the same source; the text comes last."""

    def build(*outputs: str, source: str = "x", prose: str = "") -> r.Program:
        cells = [r.Cell(kind="code", source=source, output=text) for text in outputs]
        if prose:
            cells.append(r.Cell(kind="markdown", source=prose))
        return r.Program(name="a.ipynb", path="a.ipynb", digest="", cells=tuple(cells))

    return build
