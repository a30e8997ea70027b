"""What the native engine takes, and what it leaves to Keras and says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from grader import records as r
from grader.data import datasets
from grader.train.native.support import obstacle

Build = Callable[..., r.ModelDescription]
CONV = r.Conv2D(name="c", filters=4, kernel_size=(3, 3), activation="relu")
HEAD = (r.Flatten(name="f"), r.Dense(name="d", units=10, activation="softmax"))


@pytest.fixture
def job(network: Build, recipe: Callable[..., r.TrainingRecipe]) -> Callable[..., r.TrainJob]:
    def build(*layers: r.Layer, **changes: Any) -> r.TrainJob:
        built = network(*(layers or (CONV, *HEAD)))
        return r.TrainJob(
            network=built, training=(recipe(**changes),), dataset=datasets.MNIST, seed=1, max_epochs=1
        )

    return build


def test_the_usual_is_covered(job: Callable[..., r.TrainJob]) -> None:
    """A convolutional network with the recipe of most courses."""
    assert obstacle(job()) == ""


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        ((r.GaussianNoise(name="g", stddev=0.1), CONV, *HEAD), "the layer GaussianNoise"),
        ((CONV.model_copy(update={"activation": "gelu"}), *HEAD), "the activation gelu"),
        ((CONV.model_copy(update={"filters": 8, "groups": 2}), *HEAD), "Conv2D with groups"),
        ((CONV.model_copy(update={"activity_regularizer": r.L1L2()}), *HEAD), "with activity_regularizer"),
        ((CONV.model_copy(update={"trainable": False}), *HEAD), "a layer that is not trained"),
        ((CONV, r.BatchNormalization(name="b", axis=1), *HEAD), "another axis"),
        ((CONV, HEAD[0], r.Dense(name="d", units=10, activation="sigmoid")), "neither a softmax"),
        ((CONV.model_copy(update={"activation": "softmax"}), *HEAD), "a softmax before the last layer"),
        ((r.Flatten(name="f"), r.ActivationLayer(name="a", activation="softmax")), "without weights"),
        ((CONV, r.Dense(name="d", units=10, activation="softmax")), "no vector"),
        ((r.ZeroPadding2D(name="z", padding=((50, 50), (50, 50))),
          CONV.model_copy(update={"kernel_size": (71, 71), "padding": "same"}), *HEAD), "windows of more"),
        ((HEAD[0], r.Dense(name="e", units=2_000), r.Dense(name="d", units=10, activation="softmax")),
         "more than 1,500,000 weights"),
    ],
)  # fmt: skip
def test_what_a_network_has_that_is_not_covered(
    layers: tuple[r.Layer, ...], said: str, job: Callable[..., r.TrainJob]
) -> None:
    """Each is named."""
    assert said in obstacle(job(*layers))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"loss": r.Loss(name="mean_squared_error")}, "the loss mean_squared_error"),
        ({"batch_size": 60_000}, "a batch too large"),
    ],
)
def test_what_a_recipe_has_that_is_not_covered(
    changes: Any, said: str, job: Callable[..., r.TrainJob]
) -> None:
    """Each is named."""
    assert said in obstacle(job(**changes))


def test_a_field_that_recipes_get_later_is_refused(job: Callable[..., r.TrainJob]) -> None:
    """A setting that this engine does not know yet goes to Keras, unless it is at its default."""

    class Later(r.TrainingRecipe):
        mixup: float = 0.0

    known = job()
    given = known.training[0].model_dump()
    for value, said in ((0.0, ""), (0.2, "a recipe with mixup")):
        later = Later.model_validate(given | {"mixup": value})
        assert obstacle(known.model_copy(update={"training": (later,)})) == said
