"""What a change would make of a network: the numbers are those of the changed network."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from grader import records as r
from grader.judge.checks import advice
from grader.judge.checks.interface import Subject
from grader.layers.shapes import analyse

Build = Callable[..., Subject]


def conv(name: str, filters: int = 8, size: int = 3, **more: object) -> r.Conv2D:
    return r.Conv2D(name=name, filters=filters, kernel_size=(size, size), **more)


NORM = r.BatchNormalization(name="norm")
POOL = r.MaxPooling2D(name="pool")
SCORES = (
    conv("scores", 10, 5),
    r.Flatten(name="flat"),
    r.ActivationLayer(name="softmax", activation="softmax"),
)


def hints(subject: Subject) -> list[str]:
    return list(advice.on_structure(subject))


def test_a_sound_network_gets_no_hint(subject: Build) -> None:
    """BatchNormalization behind each hidden convolution, a wide view, no activation before the softmax."""
    layers = (
        conv("a"),
        NORM,
        POOL,
        conv("b", size=7),
        r.BatchNormalization(name="norm2"),
        conv("scores", 10, 7),
    )
    assert hints(subject(*layers, *SCORES[1:])) == []


def test_missing_normalization(subject: Build) -> None:
    """The bare convolutions are named, with the count of the network that has it behind them."""
    found = subject(conv("a"), conv("b"), NORM, POOL, conv("c", 16, 7), *SCORES)
    (hint,) = advice.missing_normalization(found)
    total = found.analysis.total or 0
    assert hint == (
        f"There is no BatchNormalization behind a, c; with it the network has {total + 4 * (8 + 16):,} "
        f"parameters instead of {total:,}."
    )


def test_normalization_in_a_branch(subject: Build) -> None:
    """What is put behind a layer feeds all that took it, and the changed network is sound."""
    network = r.ModelDescription(
        inputs=("input",),
        layers=(
            r.InputLayer(name="input", shape=(28, 28, 1)),
            conv("a", padding="same", inbound=("input",)),
            conv("b", padding="same", inbound=("a",)),
            r.Merge(type="Add", name="add", inbound=("a", "b")),
            conv("last", 10, 28, inbound=("add",)),
        ),
        outputs=("last",),
    )
    changed = advice.behind(network, "a", r.BatchNormalization(name="new"))
    assert [x.inbound for x in changed.layers] == [(), ("input",), ("a",), ("new",), ("new", "b"), ("add",)]
    assert r.ModelDescription.model_validate(changed.model_dump()) == changed
    at_the_end = advice.behind(network, "last", r.Flatten(name="flat"))
    assert at_the_end.outputs == ("flat",)
    assert analyse(at_the_end).layers[-1].output == (10,)


def test_activation_before_softmax(subject: Build) -> None:
    """The layer whose activation cuts off the scores is named."""
    layers = (conv("a"), NORM, POOL, conv("scores", 10, 13, activation="relu"), *SCORES[1:])
    (hint,) = hints(subject(*layers))
    assert hint.startswith("Remove the activation of scores")


@pytest.mark.parametrize(("padding", "size"), [("valid", 5), ("same", 5)])
def test_a_narrow_view(subject: Build, padding: str, size: int) -> None:
    """Told with what one more convolution would give, and only of images of MNIST's size."""
    layers = (conv("a", padding=padding), NORM, POOL, conv("scores", 10, size, padding=padding))
    found = subject(*layers)
    assert list(advice.narrow_view(found)) == [
        "An output sees 12×12 of 28×28 pixels, less than the 20×20 of a digit; "
        "another 3×3 convolution behind pool makes it 16×16."
    ]
    assert found.analysis.of("scores").field is not None


def test_a_view_of_other_images(subject: Build, network: Callable[..., r.ModelDescription]) -> None:
    """What fills a picture of another size is not known."""
    assert list(advice.narrow_view(subject(of=network(conv("a"), shape=(32, 32, 3))))) == []


def test_widths(subject: Build) -> None:
    """All hidden layers at once, rounded down; the class scores stay."""
    found = subject(
        conv("a", 9), conv("b", 5), r.GlobalAveragePooling2D(name="g"), r.Dense(name="scores", units=10)
    )
    half = advice.scaled(found, 50)
    assert half is not None
    assert [half.of(x).output for x in ("a", "b", "scores")] == [(26, 26, 4), (24, 24, 2), (10,)]
    tiny = advice.scaled(found, 1)
    assert tiny is not None
    assert tiny.of("a").output == (26, 26, 1)
    assert advice.with_width(found, found.network.layers[-1], 9) is None


def test_unsupported_layer(subject: Build, unsupported: r.UnsupportedLayer) -> None:
    """Of a network that is not known no hint is given."""
    assert hints(subject(conv("a"), unsupported, conv("b"))) == []
