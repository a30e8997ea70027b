"""Seeds a replay: the seed is the attempt's, and every epoch has an order of its own.

Once a seed is set, Keras's `fit` shuffles the images alike in every epoch: the permutation of `tf.data`
begins again with each epoch. On the student's own machine, without a seed, epochs differed; so every order is
drawn here.

A seed that the submission sets is mixed with the attempt's. The mixed seed still repeats what is meant to
repeat (two arrays that are shuffled alike), but a lucky seed is of no use: attempts differ, and are the same
for everyone.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

_SETTERS: tuple[tuple[Any, str], ...] = (
    (random, "seed"),
    (np.random, "seed"),
    (tf.random, "set_seed"),
    (tf.compat.v1, "set_random_seed"),
)


def begin(seed: int, replace: Callable[[Any, str, Any], None] = setattr) -> None:
    """Set all seeds, mix ``seed`` with those that are set from now on, and shuffle anew each time.

    ``replace`` sets an attribute, as `setattr` does.
    """
    keras.utils.set_random_seed(seed)
    for module, name in _SETTERS:
        replace(module, name, _mixed(getattr(module, name), seed))
    replace(tf.random, "shuffle", _anew(tf.random.shuffle, np.random.default_rng(seed)))


def _mixed(original: Callable[..., None], own: int) -> Callable[..., None]:
    def seed(given: Any = None, *others: Any, **named: Any) -> None:
        if isinstance(given, int | np.integer):
            given = (int(given) + 0x9E3779B1 * own) % 2**32
        original(given, *others, **named)

    return seed


def _anew(original: Callable[..., Any], numbers: np.random.Generator) -> Callable[..., Any]:
    def draw() -> Any:
        return numbers.integers(2**62, size=2)

    def shuffle(value: Any, seed: Any = None, name: Any = None) -> Any:
        if seed is not None or tf.executing_eagerly():
            return original(value, seed, name)
        drawn = tf.ensure_shape(tf.numpy_function(draw, [], tf.int64), [2])
        return tf.random.experimental.stateless_shuffle(value, drawn, name=name)

    return shuffle
