"""Output shapes, parameter counts and receptive fields, from the records alone.

Pure Python: a student's claim about a shape or a count is never used. Every number here agrees
with Keras for every supported layer (`tests/test_shapes.py` holds them against each other).
Shapes leave out the batch axis. A layer outside the vocabulary has no shape, and neither has
anything that depends on it: `None` means "not known", never zero.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from math import ceil, prod

from grader import records as r
from grader.errors import StudentError

Shape = tuple[int, ...]
LARGEST = 10**12  # no network that a course could mean has a shape, count or field beyond this


@dataclass(frozen=True)
class Field:
    """Receptive field along rows and columns: its size, and the step between neighbours.

    After Dumoulin and Visin, "A guide to convolution arithmetic for deep learning" (2016): a
    window of k with stride s widens the field by (k - 1) steps and multiplies the step by s.
    """

    size: tuple[Fraction, Fraction] = (Fraction(1), Fraction(1))
    step: tuple[Fraction, Fraction] = (Fraction(1), Fraction(1))

    def through(self, window: tuple[int, int], stride: tuple[Fraction | int, Fraction | int]) -> Field:
        size = tuple(s + (w - 1) * j for s, w, j in zip(self.size, window, self.step, strict=True))
        step = tuple(j * t for j, t in zip(self.step, stride, strict=True))
        return Field((size[0], size[1]), (step[0], step[1]))

    def rounded(self) -> tuple[int, int]:
        """In whole pixels; only up-sampling makes fractions, and the luckiest output sees the next."""
        return (ceil(self.size[0]), ceil(self.size[1]))


@dataclass(frozen=True)
class LayerShape:
    """What one layer puts out. All None behind an `UnsupportedLayer`."""

    layer: r.Layer
    output: Shape | None
    weights: int | None  # parameters that an optimizer may change
    statistics: int | None  # parameters that none does: moving averages
    field: Field | None

    @property
    def trainable(self) -> int | None:
        return self.weights if self.layer.trainable else 0

    @property
    def parameters(self) -> int | None:
        if self.weights is None or self.statistics is None:
            return None
        return self.weights + self.statistics

    @property
    def multiplications(self) -> int:
        """About how many one image costs: each weight once per position of the output map."""
        positions = prod(self.output[:-1]) if self.output else 0
        return (self.weights or 0) * positions

    @property
    def activations(self) -> int:
        return prod(self.output) if self.output else 0


@dataclass(frozen=True)
class Analysis:
    """The whole network, layer by layer; totals are None when some layer is unsupported."""

    layers: tuple[LayerShape, ...]

    @property
    def total(self) -> int | None:
        return _sum([x.parameters for x in self.layers])

    @property
    def trainable(self) -> int | None:
        counts = [x.trainable if x.parameters is not None else None for x in self.layers]
        return _sum(counts)

    @property
    def non_trainable(self) -> int | None:
        if self.total is None or self.trainable is None:
            return None
        return self.total - self.trainable

    def of(self, name: str) -> LayerShape:
        return next(x for x in self.layers if x.layer.name == name)


def _sum(counts: list[int | None]) -> int | None:
    known = [n for n in counts if n is not None]
    return sum(known) if len(known) == len(counts) else None


def analyse(network: r.ModelDescription, reported: bool = False) -> Analysis:
    """Compute every layer's output shape, parameter count and receptive field.

    ``reported`` takes the word of layers outside the vocabulary for their own shape and parameters.
    Raises `StudentError`, naming the layer, where the layers do not fit together.
    """
    done: dict[str, LayerShape] = {}
    for layer in network.layers:
        done[layer.name] = _analyse_layer(layer, [done[name] for name in layer.inbound], reported)
    return Analysis(tuple(done.values()))


def _analyse_layer(layer: r.Layer, inbound: list[LayerShape], reported: bool) -> LayerShape:
    if isinstance(layer, r.InputLayer):
        return LayerShape(layer, layer.shape, 0, 0, Field())
    if reported and isinstance(layer, r.UnsupportedLayer) and layer.reported is not None:
        said = layer.reported
        return LayerShape(layer, said.shape, said.trainable, said.non_trainable, inbound[0].field or Field())
    shapes = [x.output for x in inbound if x.output is not None]
    if isinstance(layer, r.UnsupportedLayer) or len(shapes) < len(inbound):
        return LayerShape(layer, None, None, None, None)
    output, weights, statistics = _RULES[type(layer)](layer, shapes)
    if max(*output, weights, 1) > LARGEST:
        _misfit(layer, shapes, f"it gives numbers beyond {LARGEST:,}")
    if any(n < 1 for n in output):
        _misfit(layer, shapes, "nothing is left of it")
    field = _field(layer, shapes[0], [x.field or Field() for x in inbound])
    if max(*field.size, *field.step) > LARGEST:
        _misfit(layer, shapes, f"its receptive field grows beyond {LARGEST:,}")
    return LayerShape(layer, output, weights, statistics, field)


def _misfit(layer: r.Layer, shapes: list[Shape], why: str) -> None:
    given = " and ".join(str(s) for s in shapes)
    raise StudentError(
        f"layer {layer.name!r} ({layer.type}) cannot take an input of shape {given}: {why}",
        "Follow the output shapes down the model summary to this layer.",
    )


def _image(layer: r.Layer, shapes: list[Shape]) -> tuple[int, int, int]:
    if len(shapes) != 1 or len(shapes[0]) != 3:
        _misfit(layer, shapes, "it needs one input of rows, columns and channels")
    rows, columns, channels = shapes[0]
    return rows, columns, channels


def _single(layer: r.Layer, shapes: list[Shape]) -> Shape:
    if len(shapes) != 1:
        _misfit(layer, shapes, "it takes a single input")
    return shapes[0]


def _window(size: int, window: int, stride: int, padding: str) -> int:
    """Positions of a window along one axis (Keras: `compute_conv_output_shape`)."""
    return -(-size // stride) if padding == "same" else (size - window) // stride + 1


def _effective(kernel: int, dilation: int) -> int:
    return (kernel - 1) * dilation + 1


# --- rules: layer, input shapes -> output shape, weights, statistics ----------------------------

Rule = Callable[..., tuple[Shape, int, int]]


def _convolved(layer: r.ConvolutionLayer, rows: int, columns: int) -> tuple[int, int]:
    size = [
        _window(n, _effective(k, d), s, layer.padding)
        for n, k, d, s in zip(
            (rows, columns), layer.kernel_size, layer.dilation_rate, layer.strides, strict=True
        )
    ]
    return size[0], size[1]


def _strides_or_dilation(layer: r.Conv2D | r.Conv2DTranspose, shapes: list[Shape]) -> None:
    if max(layer.strides) > 1 and max(layer.dilation_rate) > 1:
        _misfit(layer, shapes, "Keras has strides or dilation, not both")


def _conv2d(layer: r.Conv2D, shapes: list[Shape]) -> tuple[Shape, int, int]:
    rows, columns, channels = _image(layer, shapes)
    _strides_or_dilation(layer, shapes)
    if channels % layer.groups or layer.filters % layer.groups:
        _misfit(layer, shapes, f"{layer.groups} groups do not divide channels and filters")
    weights = prod(layer.kernel_size) * (channels // layer.groups) * layer.filters
    weights += layer.filters * layer.use_bias
    return (*_convolved(layer, rows, columns), layer.filters), weights, 0


def _conv2d_transpose(layer: r.Conv2DTranspose, shapes: list[Shape]) -> tuple[Shape, int, int]:
    rows, columns, channels = _image(layer, shapes)
    _strides_or_dilation(layer, shapes)
    size = []
    for n, k, d, s in zip(
        (rows, columns), layer.kernel_size, layer.dilation_rate, layer.strides, strict=True
    ):
        extra = 0 if layer.padding == "same" else max(_effective(k, d) - s, 0)
        size.append(n * s + extra)
    weights = prod(layer.kernel_size) * channels * layer.filters + layer.filters * layer.use_bias
    return (*size, layer.filters), weights, 0


def _depthwise(layer: r.DepthwiseConv2D, shapes: list[Shape]) -> tuple[Shape, int, int]:
    rows, columns, channels = _image(layer, shapes)
    filters = channels * layer.depth_multiplier
    weights = prod(layer.kernel_size) * filters + filters * layer.use_bias
    return (*_convolved(layer, rows, columns), filters), weights, 0


def _separable(layer: r.SeparableConv2D, shapes: list[Shape]) -> tuple[Shape, int, int]:
    rows, columns, channels = _image(layer, shapes)
    between = channels * layer.depth_multiplier
    weights = prod(layer.kernel_size) * between + between * layer.filters
    weights += layer.filters * layer.use_bias
    return (*_convolved(layer, rows, columns), layer.filters), weights, 0


def _dense(layer: r.Dense, shapes: list[Shape]) -> tuple[Shape, int, int]:
    shape = _single(layer, shapes)
    weights = shape[_axis(layer, -1, shapes)] * layer.units + layer.units * layer.use_bias
    return (*shape[:-1], layer.units), weights, 0


def _batch_normalization(layer: r.BatchNormalization, shapes: list[Shape]) -> tuple[Shape, int, int]:
    shape = _single(layer, shapes)
    channels = shape[_axis(layer, layer.axis, shapes)]
    return shape, channels * (layer.center + layer.scale), channels * 2


def _axis(layer: r.Layer, axis: int, shapes: list[Shape]) -> int:
    """The position in a shape without batch axis of an axis that counts the batch as 0."""
    rank = len(shapes[0])
    axis = rank if axis == -1 else axis
    if not 1 <= axis <= rank:
        _misfit(layer, shapes, f"it has no axis {axis}")
    return axis - 1


def _layer_normalization(layer: r.LayerNormalization, shapes: list[Shape]) -> tuple[Shape, int, int]:
    shape = _single(layer, shapes)
    return shape, shape[_axis(layer, -1, shapes)] * (layer.center + layer.scale), 0


def _prelu(layer: r.PReLU, shapes: list[Shape]) -> tuple[Shape, int, int]:
    shape = _single(layer, shapes)
    shared = {_axis(layer, axis, shapes) for axis in layer.shared_axes}
    return shape, prod(1 if i in shared else n for i, n in enumerate(shape)), 0


def _unchanged(layer: r.Layer, shapes: list[Shape]) -> tuple[Shape, int, int]:
    return _single(layer, shapes), 0, 0


def _image_unchanged(layer: r.Layer, shapes: list[Shape]) -> tuple[Shape, int, int]:
    return _image(layer, shapes), 0, 0


def _pooling(layer: r.PoolingLayer, shapes: list[Shape]) -> tuple[Shape, int, int]:
    rows, columns, channels = _image(layer, shapes)  # type: ignore[arg-type]
    size = [
        _window(n, p, s, layer.padding)
        for n, p, s in zip((rows, columns), layer.pool_size, layer.strides, strict=True)
    ]
    return (*size, channels), 0, 0


def _global_pooling(
    layer: r.GlobalMaxPooling2D | r.GlobalAveragePooling2D, shapes: list[Shape]
) -> tuple[Shape, int, int]:
    channels = _image(layer, shapes)[2]
    return ((1, 1, channels) if layer.keepdims else (channels,)), 0, 0


def _zero_padding(layer: r.ZeroPadding2D, shapes: list[Shape]) -> tuple[Shape, int, int]:
    rows, columns, channels = _image(layer, shapes)
    return (rows + sum(layer.padding[0]), columns + sum(layer.padding[1]), channels), 0, 0


def _cropping(layer: r.Cropping2D, shapes: list[Shape]) -> tuple[Shape, int, int]:
    rows, columns, channels = _image(layer, shapes)
    return (rows - sum(layer.cropping[0]), columns - sum(layer.cropping[1]), channels), 0, 0


def _up_sampling(layer: r.UpSampling2D, shapes: list[Shape]) -> tuple[Shape, int, int]:
    rows, columns, channels = _image(layer, shapes)
    return (rows * layer.size[0], columns * layer.size[1], channels), 0, 0


def _sized(layer: r.Resizing | r.CenterCrop, shapes: list[Shape]) -> tuple[Shape, int, int]:
    rows, columns, channels = _image(layer, shapes)
    if isinstance(layer, r.CenterCrop) and (layer.height > rows or layer.width > columns):
        _misfit(layer, shapes, f"it is smaller than {layer.height} × {layer.width}")
    return (layer.height, layer.width, channels), 0, 0


def _normalization(layer: r.Normalization, shapes: list[Shape]) -> tuple[Shape, int, int]:
    """Keras counts the mean, the variance and a counter where they were adapted."""
    shape = _single(layer, shapes)
    if len(layer.mean) != len(layer.variance) or len(layer.mean) not in (1, shape[-1]):
        _misfit(layer, shapes, f"{len(layer.mean)} means and {len(layer.variance)} variances do not fit it")
    return shape, 0, (2 * len(layer.mean) + 1) if layer.adapted else 0


def _flatten(layer: r.Flatten, shapes: list[Shape]) -> tuple[Shape, int, int]:
    return (prod(_single(layer, shapes)),), 0, 0


def _reshape(layer: r.Reshape, shapes: list[Shape]) -> tuple[Shape, int, int]:
    size, target = prod(_single(layer, shapes)), layer.target_shape
    known = prod(n for n in target if n != -1)
    if target.count(-1) == 1 and known > 0 and size % known == 0:
        target = tuple(size // known if n == -1 else n for n in target)
    if -1 in target or prod(target) != size:
        _misfit(layer, shapes, f"{size} values do not fill {layer.target_shape}")
    return target, 0, 0


def _permute(layer: r.Permute, shapes: list[Shape]) -> tuple[Shape, int, int]:
    shape = _single(layer, shapes)
    if sorted(layer.dims) != list(range(1, len(shape) + 1)):
        _misfit(layer, shapes, f"{layer.dims} does not name each of its axes once")
    return tuple(shape[d - 1] for d in layer.dims), 0, 0


def _concatenate(layer: r.Concatenate, shapes: list[Shape]) -> tuple[Shape, int, int]:
    axis = _axis(layer, layer.axis, shapes)
    rests = {(*s[:axis], None, *s[axis + 1 :]) for s in shapes}
    if len(rests) > 1 or len({len(s) for s in shapes}) > 1:
        _misfit(layer, shapes, "they differ along another axis than the joined one")
    joined = sum(s[axis] for s in shapes)
    return (*shapes[0][:axis], joined, *shapes[0][axis + 1 :]), 0, 0


def _merge(layer: r.Merge, shapes: list[Shape]) -> tuple[Shape, int, int]:
    def broadcast(a: Shape, b: Shape) -> Shape:
        rank = max(len(a), len(b))  # Keras puts axes of size 1 before the shorter shape
        a, b = (1,) * (rank - len(a)) + a, (1,) * (rank - len(b)) + b
        if any(m != n and 1 not in (m, n) for m, n in zip(a, b, strict=True)):
            _misfit(layer, shapes, "their shapes differ")
        return tuple(n if m == 1 else m for m, n in zip(a, b, strict=True))

    if len(shapes) < 2 or (layer.type == "Subtract" and len(shapes) != 2):
        _misfit(layer, shapes, "it merges two inputs or more (Subtract: exactly two)")
    return reduce(broadcast, shapes), 0, 0


_RULES: dict[type, Rule] = {
    r.Conv2D: _conv2d,
    r.Conv2DTranspose: _conv2d_transpose,
    r.DepthwiseConv2D: _depthwise,
    r.SeparableConv2D: _separable,
    r.Dense: _dense,
    r.BatchNormalization: _batch_normalization,
    r.LayerNormalization: _layer_normalization,
    r.PReLU: _prelu,
    r.Dropout: _unchanged,
    r.SpatialDropout2D: _image_unchanged,
    r.GaussianDropout: _unchanged,
    r.AlphaDropout: _unchanged,
    r.GaussianNoise: _unchanged,
    r.ActivationLayer: _unchanged,
    r.ReLU: _unchanged,
    r.LeakyReLU: _unchanged,
    r.ELU: _unchanged,
    r.Rescaling: _unchanged,
    r.Resizing: _sized,
    r.CenterCrop: _sized,
    r.Normalization: _normalization,
    r.RandomFlip: _image_unchanged,
    r.RandomRotation: _image_unchanged,
    r.RandomTranslation: _image_unchanged,
    r.RandomZoom: _image_unchanged,
    r.RandomContrast: _image_unchanged,
    r.RandomBrightness: _image_unchanged,
    r.MaxPooling2D: _pooling,
    r.AveragePooling2D: _pooling,
    r.GlobalMaxPooling2D: _global_pooling,
    r.GlobalAveragePooling2D: _global_pooling,
    r.ZeroPadding2D: _zero_padding,
    r.Cropping2D: _cropping,
    r.UpSampling2D: _up_sampling,
    r.Flatten: _flatten,
    r.Reshape: _reshape,
    r.Permute: _permute,
    r.Concatenate: _concatenate,
    r.Merge: _merge,
}


# --- receptive field ----------------------------------------------------------------------------


def _field(layer: r.Layer, shape: Shape, inbound: list[Field]) -> Field:
    field = _widest(inbound)
    match layer:
        case r.Conv2DTranspose():
            # Of a window over the spread-out input, every stride-th place holds a value.
            (rows, columns), (down, right) = layer.strides, _dilated(layer)
            window = (ceil(down / rows), ceil(right / columns))
            return field.through(window, (Fraction(1, rows), Fraction(1, columns)))
        case r.Conv2D() | r.DepthwiseConv2D() | r.SeparableConv2D():
            return field.through(_dilated(layer), layer.strides)
        case r.MaxPooling2D() | r.AveragePooling2D():
            return field.through(layer.pool_size, layer.strides)
        case r.Resizing(height=rows, width=columns):
            return field.through((1, 1), (Fraction(shape[0], rows), Fraction(shape[1], columns)))
        case r.UpSampling2D():
            return field.through((1, 1), (Fraction(1, layer.size[0]), Fraction(1, layer.size[1])))
        case r.Flatten() | r.GlobalMaxPooling2D() | r.GlobalAveragePooling2D() | r.Reshape():
            # From here on every value may depend on every position of the map.
            return field.through((shape[0], shape[1]), (1, 1)) if len(shape) == 3 else field
        case _:
            return field


def _dilated(layer: r.ConvolutionLayer) -> tuple[int, int]:
    (rows, columns), (down, right) = layer.kernel_size, layer.dilation_rate
    return _effective(rows, down), _effective(columns, right)


def _widest(fields: list[Field]) -> Field:
    """Branches that meet see the widest of their fields, at the coarsest of their steps."""
    return Field(
        (max(f.size[0] for f in fields), max(f.size[1] for f in fields)),
        (max(f.step[0] for f in fields), max(f.step[1] for f in fields)),
    )
