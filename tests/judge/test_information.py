"""How many bits a submission fixes: few where it asks for a network, many where it brings one along."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from grader import records as r
from grader.judge.information import fixed_bits
from grader.judge.obstacles import FIXED_BITS

LABELS = np.random.default_rng(0).integers(0, 10, 60_000).tolist()
HEAD = (r.Flatten(name="flat"), r.Dense(name="scores", units=10, activation="softmax"))


@pytest.fixture
def bits(network: Callable[..., Any], recipe: Callable[..., Any]) -> Callable[..., int]:
    """Of layers in a row, or with edges of their own, and a recipe with changes."""

    def run(*layers: r.Layer, **changes: Any) -> int:
        return fixed_bits(network(*layers, *HEAD), (recipe(**changes),), lambda: LABELS)

    return run


def _dense_network() -> Iterator[r.Layer]:
    """Three dense blocks of sixteen layers, each of which takes all that came before it in its block."""
    before = "input"
    for block in range(3):
        for n in range(16):
            name = f"{block}_{n}"
            yield r.BatchNormalization(name=f"b{name}", inbound=(before,))
            yield r.ActivationLayer(name=f"a{name}", inbound=(f"b{name}",), activation="relu")
            yield r.Conv2D(
                name=f"c{name}", inbound=(f"a{name}",), filters=12, kernel_size=(3, 3), padding="same"
            )
            yield r.Concatenate(name=f"m{name}", inbound=(before, f"c{name}"))
            before = f"m{name}"
        yield r.AveragePooling2D(name=f"p{block}", inbound=(before,))
        before = f"p{block}"


def _branches() -> Iterator[r.Layer]:
    """Nine modules of four branches of different widths, as Inception has them."""
    before = "input"
    for n in range(9):
        widths = (16 + 4 * n, 24 + 8 * n, 4 + 2 * n, 8 + n)
        for k, (size, width) in enumerate(zip((1, 3, 5, 1), widths, strict=True)):
            yield r.Conv2D(
                name=f"c{n}_{k}", inbound=(before,), filters=width, kernel_size=(size, size), padding="same"
            )
        yield r.Concatenate(name=f"m{n}", inbound=tuple(f"c{n}_{k}" for k in range(4)))
        before = f"m{n}"


STEPS = 9_380
ONE_CYCLE = tuple(
    0.01 * (step / 2_000 if step < 2_000 else (1 + math.cos(math.pi * (step - 2_000) / 7_380)) / 2) + 1e-5
    for step in range(STEPS)
)
TEETH = tuple(0.001 + 0.01 * abs(step % 2_000 - 1_000) / 1_000 for step in range(STEPS))
HONEST: dict[str, tuple[tuple[r.Layer, ...], dict[str, Any]]] = {
    "dense network": (tuple(_dense_network()), {}),
    "branches": (tuple(_branches()), {}),
    "one cycle": ((), {"learning_rates": ONE_CYCLE, "rates_per": "step"}),
    "triangles": ((), {"learning_rates": TEETH, "rates_per": "step"}),
    "halved": ((), {"learning_rates": tuple(0.01 * 0.7**n for n in range(20))}),
    "weights of classes": ((), {"class_weights": tuple(np.random.default_rng(1).random(10).tolist())}),
    "weighed by class": ((), {"sample_weights": tuple(0.1 + 0.37 * label for label in LABELS)}),
    "a ramp": ((), {"sample_weights": tuple(0.5 + n / 60_000 for n in range(60_000))}),
    "half counts double": ((), {"sample_weights": (1.0,) * 30_000 + (2.0,) * 30_000}),
    "a part by chance": ((), {"rows": tuple((n, n + 1) for n in range(0, 60_000, 2))}),
}


@pytest.mark.parametrize("name", HONEST)
def test_what_courses_ask_for_fixes_little(name: str, bits: Callable[..., int]) -> None:
    """Large networks of repeated blocks, schedules step by step, weights by class."""
    layers, changes = HONEST[name]
    assert bits(*layers, **changes) < FIXED_BITS / 2


def _ternary() -> Iterator[r.Layer]:
    """3,900 weights of -1, 0 and 1, as edges between pixels that are cut out, sums and differences."""
    random = np.random.default_rng(2)
    pixels = [(row, column) for row in range(0, 28, 2) for column in range(0, 28, 2)]
    for row, column in pixels:
        margins = ((row, 27 - row), (column, 27 - column))
        yield r.Cropping2D(name=f"p{row}_{column}", inbound=("input",), cropping=margins)
    for n in range(195):
        chosen = random.choice(len(pixels), 20, replace=False)
        names = [f"p{pixels[k][0]}_{pixels[k][1]}" for k in chosen]
        yield r.Merge(name=f"plus{n}", type="Add", inbound=tuple(names[:10]))
        yield r.Merge(name=f"minus{n}", type="Add", inbound=tuple(names[10:]))
        yield r.Merge(name=f"sum{n}", type="Subtract", inbound=(f"plus{n}", f"minus{n}"))
    groups = [tuple(f"sum{n}" for n in range(first, first + 39)) for first in range(0, 195, 39)]
    for n, group in enumerate(groups):
        yield r.Concatenate(name=f"group{n}", inbound=group)
    yield r.Concatenate(name="all", inbound=tuple(f"group{n}" for n in range(5)))


def _numbers(count: int) -> list[float]:
    return np.random.default_rng(3).normal(size=count).tolist()


def _by_initializers(count: int) -> Iterator[r.Layer]:
    """A normal distribution without deviation is a number."""
    for n, value in enumerate(_numbers(count)):
        start = r.RandomNormal(mean=value, stddev=0.0)
        yield r.Conv2D(name=f"c{n}", filters=1, kernel_size=(1, 1), kernel_initializer=start, trainable=False)


HIDDEN: dict[str, tuple[tuple[r.Layer, ...], dict[str, Any]]] = {
    "ternary weights as edges": (tuple(_ternary()), {}),
    "initializers": (tuple(_by_initializers(400)), {}),
    "slopes": (
        tuple(r.LeakyReLU(name=f"l{n}", negative_slope=abs(x)) for n, x in enumerate(_numbers(400))), {},
    ),
    "thresholds": (tuple(r.ReLU(name=f"l{n}", threshold=abs(x)) for n, x in enumerate(_numbers(400))), {}),
    "epsilons": (
        tuple(r.BatchNormalization(name=f"l{n}", epsilon=abs(x)) for n, x in enumerate(_numbers(400))), {},
    ),
    "factors": (tuple(r.Rescaling(name=f"l{n}", scale=x) for n, x in enumerate(_numbers(400))), {}),
    "bits as layers": (
        tuple(r.ActivationLayer(name=f"l{n}", activation="tanh" if x > 0 else "relu")
              for n, x in enumerate(_numbers(300)))
        + tuple(r.Dropout(name=f"d{n}", rate=0.1 + 0.01 * (n % 7 if x > 0 else n % 11))
                for n, x in enumerate(_numbers(690))), {},
    ),
    "sample weights": ((), {"sample_weights": tuple(abs(x) for x in _numbers(60_000))}),
    "two sample weights": ((), {"sample_weights": tuple(float(x > 0) for x in _numbers(60_000))}),
    "rates": ((), {"learning_rates": tuple(abs(x) for x in _numbers(STEPS)), "rates_per": "step"}),
}  # fmt: skip


@pytest.mark.parametrize("name", HIDDEN)
def test_numbers_that_are_brought_along_are_counted(name: str, bits: Callable[..., int]) -> None:
    """Whatever they are hidden in."""
    layers, changes = HIDDEN[name]
    assert bits(*layers, **changes) > FIXED_BITS


def test_names_fix_nothing(network: Callable[..., Any], recipe: Callable[..., Any]) -> None:
    """A layer's name makes no difference to training, so none here."""
    one = network(r.Conv2D(name="a", filters=8, kernel_size=(3, 3)), *HEAD)
    other = network(r.Conv2D(name="a name that is much longer", filters=8, kernel_size=(3, 3)), *HEAD)
    assert fixed_bits(one, (recipe(),), lambda: LABELS) == fixed_bits(other, (recipe(),), lambda: LABELS)
