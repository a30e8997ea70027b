"""Computes hints: what a change to a network would do to its numbers, by analysing the changed network.

Hints name layers and counts; nothing here decides a verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from grader import records as r
from grader.errors import StudentError
from grader.judge.checks import layer_order
from grader.judge.checks.interface import Subject, named
from grader.layers.shapes import Analysis, analyse

Change = Callable[[r.Layer], r.Layer]
WIDTHS = ("filters", "units")
MNIST, DIGIT = (28, 28), 20  # its digits fill 20×20 of 28×28 pixels (LeCun's description of the data)


def analysed(network: r.ModelDescription) -> Analysis | None:
    """Analyse a changed network; None where its layers do not fit together."""
    try:
        return analyse(network)
    except StudentError:
        return None


def changed(subject: Subject, change: Change) -> Analysis | None:
    """Analyse the network with ``change`` applied to each layer; None if that changes an output's shape."""
    layers = tuple(map(change, subject.network.layers))
    analysis = analysed(subject.network.model_copy(update={"layers": layers}))
    same = analysis and all(
        analysis.of(x).output == subject.analysis.of(x).output for x in subject.network.outputs
    )
    return analysis if same else None


def width_of(layer: r.Layer) -> tuple[str, int] | None:
    """Return the setting that makes a layer wide, `filters` or `units`, and its value; None without one."""
    return next(((name, getattr(layer, name)) for name in WIDTHS if hasattr(layer, name)), None)


def with_width(subject: Subject, layer: r.Layer, width: int) -> Analysis | None:
    """Analyse the network with another width of one layer; None where that does not fit."""
    return changed(subject, lambda x: _resized(x, width) if x.name == layer.name else x)


def scaled(subject: Subject, percent: int) -> Analysis | None:
    """Analyse the network with every hidden layer narrowed to ``percent`` of its width.

    Widths are rounded down, to no less than 1. None where that does not fit.
    """
    spared = {x.name for x in _scoring(subject.network)}

    def narrow(layer: r.Layer) -> r.Layer:
        width = width_of(layer)
        if width is None or layer.name in spared:
            return layer
        return _resized(layer, max(1, width[1] * percent // 100))

    return changed(subject, narrow)


def _resized(layer: r.Layer, width: int) -> r.Layer:
    name, _ = width_of(layer) or ("", 0)
    return layer.model_copy(update={name: width}) if name else layer


def _scoring(network: r.ModelDescription) -> Iterator[r.Layer]:
    """Yield the layers that compute the class scores: the last layer with a width before each output."""
    layers = {x.name: x for x in network.layers}
    ahead, seen = [layers[name] for name in network.outputs], set()
    while ahead:
        layer = ahead.pop()
        if width_of(layer) is not None:
            yield layer
        elif layer.name not in seen:
            seen.add(layer.name)
            ahead += [layers[name] for name in layer.inbound]


def behind(network: r.ModelDescription, name: str, new: r.Layer) -> r.ModelDescription:
    """Return the network with a new layer behind the one called ``name``."""
    layers: list[r.Layer] = []
    for layer in network.layers:
        inbound = tuple(new.name if x == name else x for x in layer.inbound)
        layers.append(layer.model_copy(update={"inbound": inbound}))
        if layer.name == name:
            layers.append(new.model_copy(update={"inbound": (name,)}))
    outputs = tuple(new.name if x == name else x for x in network.outputs)
    return network.model_copy(update={"layers": tuple(layers), "outputs": outputs})


# --- hints on the structure ---------------------------------------------------------------------


def on_structure(subject: Subject) -> Iterator[str]:
    """Yield what a network that misses its accuracy could do differently."""
    if subject.network.unsupported:
        return
    finding = layer_order.activation_before_softmax(subject)
    if finding.result == "fail" and finding.hint:
        yield finding.hint
    yield from missing_normalization(subject)
    yield from narrow_view(subject)


def missing_normalization(subject: Subject) -> Iterator[str]:
    """Name the hidden convolutions that lack BatchNormalization, and the parameters that it would add."""
    bare = layer_order.bare_convolutions(subject.network, "BatchNormalization")
    network = subject.network
    for layer in bare:
        network = behind(network, layer.name, r.BatchNormalization(name=f"{layer.name} normalized"[:200]))
    after = analysed(network)
    if bare and after is not None and after.total is not None:
        yield (
            f"There is no BatchNormalization behind {named(bare)}; with it the network has "
            f"{after.total:,} parameters instead of {subject.analysis.total:,}."
        )


def narrow_view(subject: Subject) -> Iterator[str]:
    """Say so where an output of an MNIST network sees less of the image than a digit fills."""
    field = _field(subject.analysis, subject.network)
    inputs = subject.analysis.of(subject.network.inputs[0]).output or ()
    if field is None or tuple(inputs[:2]) != MNIST or min(field) >= DIGIT:
        return
    text = f"An output sees {_by(field)} of {_by(inputs)} pixels, less than the {DIGIT}×{DIGIT} of a digit"
    yield text + _with_another_convolution(subject) + "."


def another_convolution(subject: Subject) -> tuple[str, tuple[int, int]] | None:
    """Return the layer before the class scores, and the receptive field with one more 3×3 convolution there.

    The field is that of the output, in pixels; None where no convolution fits there.
    """
    scores = next(iter(_scoring(subject.network)), None)
    if scores is None or not scores.inbound:
        return None
    before = subject.analysis.of(scores.inbound[0])
    if before.output is None or len(before.output) != 3:
        return None
    new = r.Conv2D(name="one more 3×3", filters=before.output[-1], kernel_size=(3, 3), padding="same")
    network = behind(subject.network, scores.inbound[0], new)
    after = analysed(network)
    field = _field(after, network) if after else None
    return (scores.inbound[0], field) if field else None


def _with_another_convolution(subject: Subject) -> str:
    found = another_convolution(subject)
    return f"; another 3×3 convolution behind {found[0]} makes it {_by(found[1])}" if found else ""


def _field(analysis: Analysis, network: r.ModelDescription) -> tuple[int, int] | None:
    field = analysis.of(network.outputs[0]).field
    return field.rounded() if field else None


def _by(size: tuple[int, ...]) -> str:
    return f"{size[0]}×{size[1]}"
