"""Measures how much a submission fixes: bits of network and recipe that are neither defaults nor repeated.

A network that was trained elsewhere can hide in values that are not learned here: in edges, croppings,
initial values, slopes, weights of samples, learning rates. Whatever the disguise, its numbers have to stand
in the records. So the records are written down without defaults, edges by their distance, and compressed:
what remains is particular to this submission. The networks that courses ask for fix few bits; weights in
disguise fix many.

Not counted: which images of the training split are trained on (their labels are true, so this is learning),
and a scaling by pixel that `grader.data.standardised` has found in the training images.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from grader import records as r

TOLERANCE = 0.02  # part of a number in a row by which it may lie beside a straight line
_TEXT = 1 << 20  # characters of a recipe's numbers that are read: far more than any limit on bits
_ELSEWHERE = {"rows", "held_out", "trained_on", "validated_on", "cell", "unsupported", "pretrained",
              "learning_rates", "sample_weights", "frozen"}  # fmt: skip

Labels = Callable[[], Sequence[int]]


def fixed_bits(network: r.ModelDescription, recipe: Sequence[r.TrainingRecipe], labels: Labels) -> int:
    """Count the bits that the network and its fits fix.

    ``labels`` returns the class numbers of the training split, and is called only for weights of samples.
    """
    lines = [*_layers(network), *(line for fit in recipe for line in _fit(fit, network, labels))]
    return 8 * (_size("\n".join(lines)) - _size(""))


def _size(text: str) -> int:
    """Return the bytes of a text, compressed with a dictionary of how records are written."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15, 9, zdict=_usual())
    return len(packer.compress(text.encode()) + packer.flush())


def _layers(network: r.ModelDescription) -> Iterator[str]:
    places = {layer.name: place for place, layer in enumerate(network.layers)}
    for place, layer in enumerate(network.layers):
        settings = layer.model_dump(mode="json", exclude={"name", "inbound"}, exclude_defaults=True)
        edges = [places[name] - place for name in layer.inbound]
        yield f"{layer.type}{_short(settings)}{edges if edges not in ([], [-1]) else ''}"


def _fit(fit: r.TrainingRecipe, network: r.ModelDescription, labels: Labels) -> Iterator[str]:
    settings = fit.model_dump(mode="json", exclude=_ELSEWHERE, exclude_defaults=True)
    for pixel in ("pixel_scale", "pixel_offset"):
        settings.get("scaling", {}).pop(pixel, None)
    yield f"{fit.optimizer.type}{_short(settings)}"
    yield _listed(_straight(fit.learning_rates))
    if fit.sample_weights:
        yield _listed(_straight(_by_class(fit, labels())))
    if fit.frozen is not None:
        frozen = set(fit.frozen)
        yield _listed(place for place, layer in enumerate(network.layers) if layer.name in frozen)


def _short(settings: dict[str, Any]) -> str:
    return json.dumps(settings, separators=(",", ":"), sort_keys=True)


def _listed(values: Any) -> str:
    return ",".join(f"{value:.6g}" for value in values)[:_TEXT]


def _straight(row: Sequence[float]) -> Iterator[float]:
    """Yield a row of numbers as straight pieces: the first number, then length and last number of each piece.

    A piece goes on as long as one line lies within the tolerance of all its numbers.
    """
    yield row[0]
    start = 0
    while start < len(row) - 1:
        end, low, high = start + 1, float("-inf"), float("inf")
        for place in range(start + 1, len(row)):
            slack, steps = TOLERANCE * abs(row[place]), place - start
            low = max(low, (row[place] - slack - row[start]) / steps)
            high = min(high, (row[place] + slack - row[start]) / steps)
            if low > high:
                break
            end = place
        yield from (end - start, row[end])
        start = end


def _by_class(fit: r.TrainingRecipe, labels: Sequence[int]) -> Sequence[float]:
    """Return one weight for each class where the class determines the weight; else all weights."""
    ranges = fit.rows or ((0, len(labels)),)
    numbers = [labels[row] for first, last in ranges for row in range(first, last)]
    pairs = set(zip(numbers, fit.sample_weights, strict=False))
    if len(pairs) == len(set(numbers)):
        return [weight for _, weight in sorted(pairs)]
    return fit.sample_weights


def _usual() -> bytes:
    """Return text that every record repeats (names of layers and settings), so that it costs no bits."""
    return _USUAL.encode()


_USUAL = "\n".join(
    [
        '"bias_initializer":{"type":"RandomNormal","stddev":0.05},"kernel_regularizer":{"l2":0.0001,"l1":0.0}',
        '"kernel_initializer":{"distribution":"truncated_normal","mode":"fan_in","scale":2.0},"trainable":false',
        'Adam{"batch_size":64,"epochs":20,"loss":{"name":"sparse_categorical_crossentropy"},"optimizer":{}}',
        'SGD{"batch_size":32,"continues":true,"epochs":10,"optimizer":{"momentum":0.9,"nesterov":true}}',
        '"callbacks":[{"monitor":"val_accuracy","patience":3,"type":"ReduceLROnPlateau","min_lr":0.0001}]',
        '"augmentation":{"height_shift_range":0.1,"rotation_range":10.0,"width_shift_range":0.1,"zoom_range"}',
        '"scaling":{"offset":-0.4242,"scale":0.0127},"steps_per_epoch":468,"rates_per":"step","shuffle":false',
        'ZeroPadding2D{"padding":[[1,1],[1,1]]}',
        'DepthwiseConv2D{"kernel_size":[3,3],"padding":"same"}',
        'SeparableConv2D{"filters":32,"kernel_size":[3,3],"padding":"same","use_bias":false}',
        'AveragePooling2D{"padding":"same","pool_size":[2,2],"strides":[1,1]}',
        'Concatenate{"axis":3}[-1,-4]',
        "Add[-1,-7]",
        'InputLayer{"shape":[28,28,1]}',
        'Conv2D{"activation":"relu","filters":32,"kernel_size":[3,3]}',
        "BatchNormalization{}",
        'SpatialDropout2D{"rate":0.1}',
        'Dropout{"rate":0.25}',
        "MaxPooling2D{}",
        'Conv2D{"filters":16,"kernel_size":[3,3],"padding":"same","strides":[2,2],"use_bias":false}',
        "BatchNormalization{}",
        'Activation{"activation":"relu"}',
        'Dropout{"rate":0.1}',
        'Conv2D{"filters":10,"kernel_size":[1,1]}',
        "GlobalAveragePooling2D{}",
        "Flatten{}",
        'Dense{"activation":"softmax","units":10}',
        'Activation{"activation":"softmax"}',
        'Adam{"batch_size":128,"epochs":20}',
        "0.003",
    ]
)
