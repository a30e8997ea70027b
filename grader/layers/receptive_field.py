"""Receptive fields: how many pixels of the image one output may depend on."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from grader import records as r


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


def field_behind(layer: r.Layer, shape: tuple[int, ...], inbound: list[Field]) -> Field:
    field = _widest(inbound)
    match layer:
        case r.Conv2DTranspose():
            # Of a window over the spread-out input, every stride-th place holds a value.
            (rows, columns), (down, right) = layer.strides, dilated(layer)
            window = (ceil(down / rows), ceil(right / columns))
            return field.through(window, (Fraction(1, rows), Fraction(1, columns)))
        case r.Conv2D() | r.DepthwiseConv2D() | r.SeparableConv2D():
            return field.through(dilated(layer), layer.strides)
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


def dilated(layer: r.ConvolutionLayer) -> tuple[int, int]:
    (rows, columns), (down, right) = layer.kernel_size, layer.dilation_rate
    return effective(rows, down), effective(columns, right)


def _widest(fields: list[Field]) -> Field:
    """Branches that meet see the widest of their fields, at the coarsest of their steps."""
    return Field(
        (max(f.size[0] for f in fields), max(f.size[1] for f in fields)),
        (max(f.step[0] for f in fields), max(f.step[1] for f in fields)),
    )


def effective(kernel: int, dilation: int) -> int:
    return (kernel - 1) * dilation + 1
