"""What can be known of a layer, and the defaults for what a family's file leaves out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, get_args

from pydantic import Field

from grader.errors import StudentError
from grader.layers import settings
from grader.layers.receptive_field import ReceptiveField
from grader.record import Name, Record

Shape = tuple[int, ...]  # without the batch axis
Config = settings.Config
Numbers = tuple[Shape, int, int]
"""A layer's output shape, its weights, and its statistics: parameters that no optimizer changes."""


class BaseLayer(Record):
    """What every layer has: a name, the layers whose outputs it takes, and whether it trains."""

    name: Name
    inbound: Annotated[tuple[Name, ...], Field(fail_fast=True, max_length=64)] = ()
    trainable: bool = True


# --- defaults -----------------------------------------------------------------------------------
# Parameters called ``layer`` are a record of the kind in question.


def unchanged(layer: Any, shapes: list[Shape]) -> Numbers:
    """Return the numbers of a layer without parameters that changes no shape."""
    return single(layer, shapes), 0, 0


def image_unchanged(layer: Any, shapes: list[Shape]) -> Numbers:
    """Return the numbers of a layer for images alone that has no parameters and changes no shape."""
    return image(layer, shapes), 0, 0


def sees_the_same(layer: Any, before: ReceptiveField, shape: Shape) -> ReceptiveField:
    """Return the receptive field ``before`` the layer: it works value by value."""
    return before


def own_settings(kind: Kind, class_name: str, config: Config) -> Config:
    """Return the fields of the record that a configuration sets, under Keras 3's names.

    Raises `settings.Unrepresentable` for what the record cannot hold, such as constraints on weights.
    """
    settings.refuse(config, *kind.refused)
    return settings.fields(config, kind.own_fields, kind.readers)


def own_arguments(kind: Kind, layer: Any) -> Config:
    """Return the fields of the record: Keras's constructors have arguments of the same names."""
    return {name: getattr(layer, name) for name in kind.own_fields}


def same_axes(layer: Any, rank: int) -> Any:
    """Return the layer: it names no axes, so its record is the same with channels first or last."""
    return layer


def same_rank(layer: Any, rank: int) -> int:
    """Return the number of axes before the layer, which it keeps."""
    return rank


def never(layer: Any) -> bool:
    """Return False: it is not known whether the layer treats rows and columns alike."""
    return False


def always(layer: Any) -> bool:
    """Return True: whatever its settings, the layer treats rows and columns alike."""
    return True


def alike_by_settings(layer: Any) -> bool:
    """Whether the settings for rows are those for columns."""
    values = (value for name, value in layer if name != "inbound" and isinstance(value, tuple))
    return all(len(set(value)) == 1 for value in values)


def activation_word(layer: Any) -> Iterable[str]:
    """Return the name of the activation, if it is not linear."""
    name = getattr(layer, "activation", "linear")
    return () if name == "linear" else (name,)


# --- kinds --------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Kind:
    """All that is known of one layer of Keras's.

    record: its settings. Its base class is its family: checks ask for a `ConvolutionLayer`, never for a list.
    rule: input shapes -> `Numbers`; raises `StudentError` by `misfit`.
    sees: the widest receptive field before the layer, its (first) input shape -> the field behind it.
    also: other classes of Keras 3's that are this layer with some settings.
    readers: for settings that Keras writes in several ways, how each is read.
    refused: settings without which the layer is another, and which the record does not have.
    read: class and configuration -> fields of the record.
    arguments: the record -> arguments of Keras's constructor, apart from the name.
    kernel: the setting that is the last axis of its kernel.
    old_classes: the names of the class in Keras 1 and 2, and short names.
    old_arguments: old argument -> its name in Keras 3.
    joined: setting of Keras 3 -> the two old arguments that it replaces.
    lost: old arguments without which the layer is another, and which Keras 3 does not have.
    dropped: old arguments that have no meaning left.
    old_defaults: defaults of Keras 1 and 2 for arguments that Keras 3 requires.
    three_numbers: whether ``Conv2D(16, 3, 3)`` gives rows and columns in old Keras.
    channels_last: the layer of a channels-first network, whose input has ``rank`` axes -> its record.
    rank: the number of axes before the layer -> the number behind it.
    alike: whether it treats rows and columns of an image alike.
    words: the settings that differ from the usual, in a few words, shortest first.
    """

    record: type[BaseLayer]
    rule: Callable[[Any, list[Shape]], Numbers] = unchanged
    sees: Callable[[Any, ReceptiveField, Shape], ReceptiveField] = sees_the_same

    also: tuple[str, ...] = ()
    readers: settings.Readers = field(default_factory=dict)
    refused: tuple[str, ...] = ()
    read: Callable[[Kind, str, Config], Config] = own_settings
    arguments: Callable[[Kind, Any], Config] = own_arguments
    kernel: str = ""

    old_classes: tuple[str, ...] = ()
    old_arguments: Mapping[str, str] = field(default_factory=dict)
    joined: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    lost: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    old_defaults: Mapping[str, Any] = field(default_factory=dict)
    three_numbers: bool = False

    channels_last: Callable[[Any, int], Any] = same_axes
    rank: Callable[[Any, int], int] = same_rank
    alike: Callable[[Any], bool] = never
    words: Callable[[Any], Iterable[str]] = activation_word

    @property
    def types(self) -> tuple[str, ...]:
        """The values of the record's ``type``, classes of Keras 3: one, but for element-wise merges."""
        return get_args(self.record.model_fields["type"].annotation)

    @property
    def own_fields(self) -> tuple[str, ...]:
        """The names of the settings: the fields that not every layer has."""
        shared = (*BaseLayer.model_fields, "type")
        return tuple(name for name in self.record.model_fields if name not in shared)


# --- what rules are made of ---------------------------------------------------------------------


def misfit(layer: Any, shapes: list[Shape], why: str) -> None:
    """Raise the `StudentError` of a layer that cannot take its input."""
    given = " and ".join(str(s) for s in shapes)
    raise StudentError(
        f"layer {layer.name!r} ({layer.type}) cannot take an input of shape {given}: {why}",
        "Follow the output shapes down the model summary to this layer.",
    )


def single(layer: Any, shapes: list[Shape]) -> Shape:
    """Return the shape of the only input; raises `StudentError` for several."""
    if len(shapes) != 1:
        misfit(layer, shapes, "it takes a single input")
    return shapes[0]


def image(layer: Any, shapes: list[Shape]) -> tuple[int, int, int]:
    """Return (rows, columns, channels) of the only input; raises `StudentError` for any other rank."""
    if len(shapes) != 1 or len(shapes[0]) != 3:
        misfit(layer, shapes, "it needs one input of rows, columns and channels")
    rows, columns, channels = shapes[0]
    return rows, columns, channels


def sequence(layer: Any, shapes: list[Shape]) -> tuple[int, int]:
    """Return (steps, channels) of the only input; raises `StudentError` for any other rank."""
    if len(shapes) != 1 or len(shapes[0]) != 2:
        misfit(layer, shapes, "it needs one input of steps and channels")
    steps, channels = shapes[0]
    return steps, channels


def place(layer: Any, axis: int, shapes: list[Shape]) -> int:
    """Return the position, in a shape without batch axis, of an axis that counts it as 0; -1 is the last."""
    rank = len(shapes[0])
    axis = rank if axis == -1 else axis
    if not 1 <= axis <= rank:
        misfit(layer, shapes, f"it has no axis {axis}")
    return axis - 1


def windows(size: int, window: int, stride: int, padding: str) -> int:
    """Return the positions of a window along one axis (Keras: `compute_conv_output_shape`)."""
    return (size - window) // stride + 1 if padding == "valid" else -(-size // stride)


# --- axes ---------------------------------------------------------------------------------------

_MOVED = {1: 3, 2: 1, 3: 2, -1: 2}  # axes of (batch, channels, rows, columns), channels last


def moved(axis: int) -> int:
    """Return the axis of an image with channels last that ``axis`` is with channels first."""
    return _MOVED.get(axis, axis)


def moved_axis(layer: Any, rank: int) -> Any:
    """Return a layer with one ``axis`` as it is where the channels are last."""
    if rank != 3:
        return layer
    axis = moved(layer.axis)
    return layer.model_copy(update={"axis": -1 if axis == 3 else axis})


def no_axes(layer: Any, rank: int) -> int:
    """Return 1, the rank behind a layer that makes vectors."""
    return 1


def last_axis(value: Any) -> bool:
    """Whether Keras's setting ``axis`` means the last one, whatever the rank."""
    return value in (-1, [-1], (-1,))


def over_channels(layer: Any) -> bool:
    """Whether a layer with one ``axis`` treats rows and columns alike."""
    return bool(layer.axis in (-1, 3))


# --- arguments of Keras 1 -----------------------------------------------------------------------

OLD_IMAGE = {"dim_ordering": "data_format", "border_mode": "padding"}
OLD_BIAS = {"b_regularizer": "bias_regularizer", "b_constraint": "bias_constraint", "bias": "use_bias"}
OLD_WEIGHTS = {
    "init": "kernel_initializer",
    "W_regularizer": "kernel_regularizer",
    "W_constraint": "kernel_constraint",
    **OLD_BIAS,
}


def last_channels(config: Config) -> None:
    """Raise `Unrepresentable` for a sequence with its channels first: only images are read in that order."""
    if config.get("data_format") == "channels_first":
        raise settings.Unrepresentable("the channels of its sequence come first")


# --- words --------------------------------------------------------------------------------------


def window_words(layer: Any, size: tuple[int, ...], usual: tuple[int, ...]) -> Iterable[str]:
    """Yield ``3×3``, ``stride 2``, ``same``, ``relu``; a stride as ``usual`` is left out."""
    yield "×".join(map(str, size))
    if layer.strides != usual:
        equal = len(set(layer.strides)) == 1
        yield f"stride {layer.strides[0]}" if equal else f"strides {', '.join(map(str, layer.strides))}"
    if layer.padding != "valid":
        yield layer.padding
    yield from activation_word(layer)
