"""The rule of every layer: from the shapes of its inputs to its output shape, weights and statistics."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from math import prod

from grader import records as r
from grader.errors import StudentError
from grader.layers.receptive_field import effective

Shape = tuple[int, ...]


def misfit(layer: r.Layer, shapes: list[Shape], why: str) -> None:
    given = " and ".join(str(s) for s in shapes)
    raise StudentError(
        f"layer {layer.name!r} ({layer.type}) cannot take an input of shape {given}: {why}",
        "Follow the output shapes down the model summary to this layer.",
    )


def _image(layer: r.Layer, shapes: list[Shape]) -> tuple[int, int, int]:
    if len(shapes) != 1 or len(shapes[0]) != 3:
        misfit(layer, shapes, "it needs one input of rows, columns and channels")
    rows, columns, channels = shapes[0]
    return rows, columns, channels


def _single(layer: r.Layer, shapes: list[Shape]) -> Shape:
    if len(shapes) != 1:
        misfit(layer, shapes, "it takes a single input")
    return shapes[0]


def _window(size: int, window: int, stride: int, padding: str) -> int:
    """Positions of a window along one axis (Keras: `compute_conv_output_shape`)."""
    return -(-size // stride) if padding == "same" else (size - window) // stride + 1


Rule = Callable[..., tuple[Shape, int, int]]


def _convolved(layer: r.ConvolutionLayer, rows: int, columns: int) -> tuple[int, int]:
    size = [
        _window(n, effective(k, d), s, layer.padding)
        for n, k, d, s in zip(
            (rows, columns), layer.kernel_size, layer.dilation_rate, layer.strides, strict=True
        )
    ]
    return size[0], size[1]


def _strides_or_dilation(layer: r.Conv2D | r.Conv2DTranspose, shapes: list[Shape]) -> None:
    if max(layer.strides) > 1 and max(layer.dilation_rate) > 1:
        misfit(layer, shapes, "Keras has strides or dilation, not both")


def _conv2d(layer: r.Conv2D, shapes: list[Shape]) -> tuple[Shape, int, int]:
    rows, columns, channels = _image(layer, shapes)
    _strides_or_dilation(layer, shapes)
    if channels % layer.groups or layer.filters % layer.groups:
        misfit(layer, shapes, f"{layer.groups} groups do not divide channels and filters")
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
        extra = 0 if layer.padding == "same" else max(effective(k, d) - s, 0)
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
        misfit(layer, shapes, f"it has no axis {axis}")
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
        misfit(layer, shapes, f"it is smaller than {layer.height} × {layer.width}")
    return (layer.height, layer.width, channels), 0, 0


def _normalization(layer: r.Normalization, shapes: list[Shape]) -> tuple[Shape, int, int]:
    """Keras counts the mean, the variance and a counter where they were adapted."""
    shape = _single(layer, shapes)
    if len(layer.mean) != len(layer.variance) or len(layer.mean) not in (1, shape[-1]):
        misfit(layer, shapes, f"{len(layer.mean)} means and {len(layer.variance)} variances do not fit it")
    return shape, 0, (2 * len(layer.mean) + 1) if layer.adapted else 0


def _flatten(layer: r.Flatten, shapes: list[Shape]) -> tuple[Shape, int, int]:
    return (prod(_single(layer, shapes)),), 0, 0


def _reshape(layer: r.Reshape, shapes: list[Shape]) -> tuple[Shape, int, int]:
    size, target = prod(_single(layer, shapes)), layer.target_shape
    known = prod(n for n in target if n != -1)
    if target.count(-1) == 1 and known > 0 and size % known == 0:
        target = tuple(size // known if n == -1 else n for n in target)
    if -1 in target or prod(target) != size:
        misfit(layer, shapes, f"{size} values do not fill {layer.target_shape}")
    return target, 0, 0


def _permute(layer: r.Permute, shapes: list[Shape]) -> tuple[Shape, int, int]:
    shape = _single(layer, shapes)
    if sorted(layer.dims) != list(range(1, len(shape) + 1)):
        misfit(layer, shapes, f"{layer.dims} does not name each of its axes once")
    return tuple(shape[d - 1] for d in layer.dims), 0, 0


def _concatenate(layer: r.Concatenate, shapes: list[Shape]) -> tuple[Shape, int, int]:
    axis = _axis(layer, layer.axis, shapes)
    rests = {(*s[:axis], None, *s[axis + 1 :]) for s in shapes}
    if len(rests) > 1 or len({len(s) for s in shapes}) > 1:
        misfit(layer, shapes, "they differ along another axis than the joined one")
    joined = sum(s[axis] for s in shapes)
    return (*shapes[0][:axis], joined, *shapes[0][axis + 1 :]), 0, 0


def _merge(layer: r.Merge, shapes: list[Shape]) -> tuple[Shape, int, int]:
    def broadcast(a: Shape, b: Shape) -> Shape:
        rank = max(len(a), len(b))  # Keras puts axes of size 1 before the shorter shape
        a, b = (1,) * (rank - len(a)) + a, (1,) * (rank - len(b)) + b
        if any(m != n and 1 not in (m, n) for m, n in zip(a, b, strict=True)):
            misfit(layer, shapes, "their shapes differ")
        return tuple(n if m == 1 else m for m, n in zip(a, b, strict=True))

    if len(shapes) < 2 or (layer.type == "Subtract" and len(shapes) != 2):
        misfit(layer, shapes, "it merges two inputs or more (Subtract: exactly two)")
    return reduce(broadcast, shapes), 0, 0


RULES: dict[type, Rule] = {
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
