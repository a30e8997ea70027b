"""The loss of a compiled model -> `Loss`: by its name or, if it is the student's own, by its values."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, get_args

import keras
import numpy as np
import tensorflow as tf

from grader import records as r
from grader.describe.keras.refusals import Refusals
from grader.describe.world import originals
from grader.errors import StudentsCode

_LOSSES = {
    "mse": "mean_squared_error",
    "mae": "mean_absolute_error",
    "kld": "kl_divergence",
    "kullback_leibler_divergence": "kl_divergence",
}
_KNOWN_LOSSES = set(get_args(r.Loss.model_fields["name"].annotation))

Say = Callable[[str], None]


def loss(given: Any, model: Any, unsupported: Refusals, note: Say) -> r.Loss:
    """Return the record of a loss; refuse what the record cannot hold."""
    if isinstance(given, list | tuple) and len(given) == 1:
        given = given[0]
    name, settings, own = _named(given)
    if settings.get("reduction") not in (None, "sum_over_batch_size"):
        unsupported.add("loss_reduction", settings["reduction"])
    if own:
        return _own(given, name, model, unsupported, note)
    if name not in _KNOWN_LOSSES:
        unsupported.add("loss", name)
        return r.Loss()
    return r.Loss(
        name=name,
        from_logits=bool(settings.get("from_logits", False)),
        label_smoothing=float(settings.get("label_smoothing", 0.0)),
    )


def _named(given: Any) -> tuple[Any, dict[str, Any], bool]:
    """Return a loss's name in Keras, its settings, and whether it is the student's own."""
    if isinstance(given, keras.losses.Loss):
        known = originals.name_of(type(given))
        name = _snake(known or type(given).__name__)
        return _LOSSES.get(name, name), given.get_config(), known is None
    known = originals.name_of(given)
    name = str(known or getattr(given, "__name__", "loss" if callable(given) else given))
    return _LOSSES.get(name, name), {}, known is None and not isinstance(given, str)


def _snake(name: str) -> str:
    words = "".join("_" + c.lower() if c.isupper() else c for c in name)
    return words.lstrip("_").replace("k_l_", "kl_")


# --- a function of the student's own ------------------------------------------------------------

_CANDIDATES = (
    r.Loss(),
    r.Loss(from_logits=True),
    r.Loss(name="sparse_categorical_crossentropy"),
    r.Loss(name="sparse_categorical_crossentropy", from_logits=True),
    r.Loss(name="binary_crossentropy"),
    r.Loss(name="mean_squared_error"),
    r.Loss(name="mean_absolute_error"),
    r.Loss(name="kl_divergence"),
)


def _own(given: Any, name: str, model: Any, unsupported: Refusals, note: Say) -> r.Loss:
    """Return the Keras loss that equals the student's but for a constant (no gradient), or refuse."""
    known = None
    with StudentsCode():
        known = _equal_to(given, model)
    if known is None:
        unsupported.add("loss", name)
        return r.Loss()
    logits = " of logits" if known.from_logits else ""
    note(f"the submission's own loss {name!r} is Keras's {known.name}{logits}, but for a constant"[:300])
    return known


def _equal_to(given: Any, model: Any) -> r.Loss | None:
    """Return the Keras loss with the same gradient everywhere; a term without one changes no training."""
    classes = int(model.output_shape[-1])
    random = np.random.default_rng(11)
    batches = [_batch(random, classes) for _ in range(3)]
    for candidate in _CANDIDATES:
        known: Callable[..., Any] = getattr(keras.losses, candidate.name)
        if candidate.from_logits:
            known = partial(known, from_logits=True)
        sparse = candidate.name.startswith("sparse")
        gradients = []
        for numbers, outputs in batches:
            wanted = tf.constant(numbers if sparse else np.eye(classes, dtype=np.float32)[numbers])
            values = outputs if candidate.from_logits else _softmax(outputs)
            gradients.append([_gradient(partial(loss, wanted), values) for loss in (given, known)])
        same = all(np.allclose(mine, theirs, rtol=1e-3, atol=1e-5) for mine, theirs in gradients)
        if same and not _depends_on_weights(given, batches[0], model, sparse):
            return candidate
    return None


def _gradient(loss: Callable[[Any], Any], values: Any) -> Any:
    """Return the gradient, by the outputs, of the mean over the images, as Keras reduces any loss."""
    outputs = tf.constant(values)
    with tf.GradientTape() as tape:
        tape.watch(outputs)
        value = tf.reduce_mean(tf.cast(loss(outputs), tf.float32))
    return np.asarray(tape.gradient(value, outputs))


def _batch(random: Any, classes: int) -> tuple[Any, Any]:
    count = int(random.integers(5, 12))
    outputs = random.normal(0, 2, (count, classes)).astype(np.float32)
    return random.integers(0, classes, count), outputs


def _softmax(x: Any) -> Any:
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def _depends_on_weights(given: Any, batch: tuple[Any, Any], model: Any, sparse: bool) -> bool:
    """Whether a loss adds a penalty on the weights as they are at the time, which is no constant."""
    numbers, outputs = batch
    wanted = numbers if sparse else np.eye(outputs.shape[1], dtype=np.float32)[numbers]
    weights = [v.value for v in model.trainable_variables]
    with tf.GradientTape() as tape:
        tape.watch(weights)
        value = tf.reduce_mean(given(tf.constant(wanted), tf.constant(_softmax(outputs))))
    return any(g is not None for g in tape.gradient(value, weights))
