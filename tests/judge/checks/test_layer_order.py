"""Rules on the order of layers, along chains and along branches."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from grader import records as r
from grader.judge.checks.interface import Subject
from grader.judge.checks.layer_order import LayerOrder, check

Build = Callable[..., Subject]

FOLLOWED = LayerOrder(id="x", rule="followed_by")
NO_ACTIVATION = LayerOrder(id="x", rule="no_activation_before_softmax")


def conv(
    name: str, size: int = 3, activation: r.Activation = "linear", inbound: tuple[str, ...] = ()
) -> r.Conv2D:
    return r.Conv2D(
        name=name,
        filters=10,
        kernel_size=(size, size),
        activation=activation,
        padding="same",
        inbound=inbound,
    )


def norm(name: str, inbound: tuple[str, ...] = ()) -> r.BatchNormalization:
    return r.BatchNormalization(name=name, inbound=inbound)


def act(name: str, activation: r.Activation) -> r.ActivationLayer:
    return r.ActivationLayer(name=name, activation=activation)


FLAT = r.Flatten(name="flat")
SOFTMAX = act("softmax", "softmax")


# --- followed_by --------------------------------------------------------------------------------


def test_every_hidden_convolution_is_followed(subject: Build) -> None:
    """Activations and dropout may lie between; the last convolution needs none behind it."""
    finding = check(
        FOLLOWED,
        subject(
            conv("a"),
            act("r", "relu"),
            norm("n"),
            conv("b"),
            norm("m"),
            r.Dropout(name="d", rate=0.1),
            conv("last"),
            FLAT,
            SOFTMAX,
        ),
    )
    assert (finding.result, finding.message) == (
        "pass",
        "BatchNormalization follows each of 2 hidden convolutions",
    )


def test_bare_convolutions(subject: Build) -> None:
    """Each convolution without one behind it is named."""
    finding = check(
        FOLLOWED, subject(conv("a"), conv("b"), norm("n"), conv("c"), FLAT, r.Dense(name="d", units=10))
    )
    assert finding.result == "fail"
    assert finding.message == "no BatchNormalization behind a, c"
    assert finding.hint == "Add BatchNormalization after a, c."
    assert [e.layer for e in finding.evidence] == ["a", "c"]


def test_one_by_one_may_be_excepted(subject: Build) -> None:
    """A rubric may spare 1×1 convolutions, and only them."""
    layers = (conv("a"), norm("n"), conv("one", 1), conv("b"), norm("m"), conv("last"))
    assert check(FOLLOWED, subject(*layers)).message == "no BatchNormalization behind one"
    spared = LayerOrder(id="x", rule="followed_by", except_1x1=True)
    assert check(spared, subject(*layers)).result == "pass"
    assert check(spared, subject(conv("a"), *layers[2:])).message == "no BatchNormalization behind a"


def test_another_layer(subject: Build) -> None:
    """Any type of layer may be the one that must follow."""
    dropout = LayerOrder(id="x", rule="followed_by", layer="Dropout")
    assert check(dropout, subject(conv("a"), norm("n"), conv("b"))).message == "no Dropout behind a"
    assert check(dropout, subject(conv("a"), r.Dropout(name="d", rate=0.1), conv("b"))).result == "pass"


@pytest.mark.parametrize("both", [True, False])
def test_branches(subject: Build, both: bool) -> None:
    """Along a graph every path must meet the layer before the next convolution."""
    network = r.ModelDescription(
        inputs=("input",),
        layers=(
            r.InputLayer(name="input", shape=(28, 28, 1)),
            conv("a", inbound=("input",)),
            norm("n1", inbound=("a",)),
            norm("n2", inbound=("a",)) if both else r.Dropout(name="n2", rate=0.1, inbound=("a",)),
            r.Merge(type="Add", name="add", inbound=("n1", "n2")),
            conv("last", inbound=("add",)),
        ),
        outputs=("last",),
    )
    assert check(FOLLOWED, subject(of=network)).result == ("pass" if both else "fail")


# --- no_activation_before_softmax ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ((conv("scores"), FLAT, SOFTMAX), "no activation between scores and softmax"),
        ((conv("scores"), norm("n"), FLAT, SOFTMAX), "no activation between scores and softmax"),
        (
            (conv("a", activation="relu"), conv("scores"), act("l", "linear"), FLAT, SOFTMAX),
            "no activation between scores and softmax",
        ),
        ((FLAT, r.Dense(name="scores", units=10, activation="softmax")), "scores puts out softmax itself"),
        (
            (conv("scores", activation="softmax"), r.GlobalAveragePooling2D(name="g")),
            "scores puts out softmax itself",
        ),
    ],
)
def test_scores_reach_the_softmax(subject: Build, layers: tuple[r.Layer, ...], message: str) -> None:
    """Nothing non-linear behind the last convolution or Dense layer."""
    finding = check(NO_ACTIVATION, subject(*layers))
    assert (finding.result, finding.message) == ("pass", message)


@pytest.mark.parametrize(
    ("layers", "culprits"),
    [
        ((conv("scores", activation="relu"), FLAT, SOFTMAX), ["scores"]),
        ((conv("scores"), act("r", "relu"), FLAT, SOFTMAX), ["r"]),
        ((conv("scores"), FLAT, r.LeakyReLU(name="leaky"), SOFTMAX), ["leaky"]),
        ((conv("scores", activation="tanh"), r.ReLU(name="r"), FLAT, SOFTMAX), ["scores", "r"]),
        ((FLAT, r.Dense(name="scores", units=10), r.PReLU(name="p"), SOFTMAX), ["p"]),
        ((FLAT, r.Dense(name="scores", units=10), r.ELU(name="e"), SOFTMAX), ["e"]),
    ],
)
def test_activation_in_between(subject: Build, layers: tuple[r.Layer, ...], culprits: list[str]) -> None:
    """The mistake of the course: a ReLU that cuts off the class scores below zero."""
    finding = check(NO_ACTIVATION, subject(*layers))
    assert finding.result == "fail"
    assert finding.message == f"an activation comes before the softmax: {', '.join(culprits)}"
    assert finding.hint.startswith(f"Remove the activation of {', '.join(culprits)}")
    assert [e.layer for e in finding.evidence] == culprits


def test_without_softmax(subject: Build) -> None:
    """A network that ends without one is told to add it."""
    finding = check(NO_ACTIVATION, subject(conv("scores"), FLAT))
    assert (finding.result, finding.hint) == ("fail", "Add Activation('softmax').")


def test_without_scores(subject: Build) -> None:
    """A network in which nothing computes scores fails without breaking."""
    finding = check(NO_ACTIVATION, subject(FLAT, SOFTMAX))
    assert (finding.result, finding.message) == (
        "fail",
        "no convolution or Dense layer in front of the output",
    )


@pytest.mark.parametrize("criterion", [FOLLOWED, NO_ACTIVATION])
def test_unsupported_layer(subject: Build, unsupported: r.UnsupportedLayer, criterion: LayerOrder) -> None:
    """Nothing is said about an order in which a layer is unknown."""
    finding = check(criterion, subject(conv("a"), unsupported))
    assert finding.result == "unknown"
    assert "MyLayer" in finding.message
