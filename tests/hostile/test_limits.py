"""What exceeds a limit of grader's own is a reason for a person, who reads which; never the student's mistake."""

from __future__ import annotations

from pathlib import Path

import pytest
from attacks import ask, notebook

from grader.ask.asker import Asker
from grader.errors import Unsupported
from grader.grade import examine

MANY = """
import keras
from keras import layers

def classes(x):
    return layers.Dense(10, activation="softmax")(layers.Flatten()(x))

small = [keras.Sequential([keras.Input((28, 28, 1)), layers.Flatten(), layers.Dense(1)]) for _ in range(201)]
for model in small:
    model.compile("sgd", "mse")
"""
ODD = """
image = keras.Input((28, 28, 1))
deep = image
for _ in range(1_100):
    deep = layers.Activation("relu")(deep)
deep = keras.Model(image, classes(deep))
wide = keras.Model(image, classes(layers.Add()([layers.Conv2D(1, 1)(image) for _ in range(65)])))
named = keras.Model(image, classes(layers.Conv2D(1, 1, name="n" * 201)(image)))
for each in (deep, wide, named):
    each.compile("sgd", "categorical_crossentropy")
"""


def test_networks_beyond_the_limits_of_the_records(warm: Asker, tmp_path: Path) -> None:
    """201 models, one of 1,100 layers, one with 65 inbound layers, one with a name of 201 characters: no cell
    fails, each of the three is one layer that nobody can describe, and what is left out is told.
    """
    description = ask(warm, notebook(tmp_path, MANY, ODD), tmp_path).description

    assert description is not None
    assert description.failures == ()
    assert description.incomplete == "it builds 204 models, of which grader reads the last 200"
    reasons = {
        m.name: [layer.reason.sentence for layer in m.network.unsupported] for m in description.models[-3:]
    }
    assert reasons == {
        "deep": ["layers: more than 1,000 items, which is grader's limit"],
        "wide": ["inbound: more than 64 items, which is grader's limit"],
        "named": ["name: more than 200 characters, which is grader's limit"],
    }
    with pytest.raises(Unsupported, match="no model is called 'first'"):
        examine.candidates(description, "variable:first")


def test_a_description_too_large_to_be_read(warm: Asker, tmp_path: Path) -> None:
    """100 networks of 1,000 layers are 16 MB of text: the child says so in place of them."""
    many = """
def chain(x, count):
    for _ in range(count):
        x = layers.Dense(1)(x)
    return x

x = keras.Input((1,))
whole = chain(x, 990)
for _ in range(50):
    keras.Model(x, whole).compile("sgd", "mse")
"""
    error = ask(warm, notebook(tmp_path, MANY.split("small")[0], many), tmp_path).error

    assert isinstance(error, Unsupported)
    assert "at most 8,000,000 are read" in error.message
