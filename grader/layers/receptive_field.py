"""Receptive fields: how many pixels of the image one output may depend on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil


@dataclass(frozen=True)
class ReceptiveField:
    """A receptive field along rows and columns: its size, and the step between neighbours, in pixels.

    After Dumoulin and Visin, "A guide to convolution arithmetic for deep learning" (2016): a
    window of k with stride s widens the field by (k - 1) steps and multiplies the step by s.
    """

    size: tuple[Fraction, Fraction] = (Fraction(1), Fraction(1))
    step: tuple[Fraction, Fraction] = (Fraction(1), Fraction(1))

    def through(
        self, window: Sequence[int], stride: tuple[Fraction | int, Fraction | int] = (1, 1)
    ) -> ReceptiveField:
        """Return the field behind a window of this size and ``stride``, each along rows and columns."""
        size = tuple(s + (w - 1) * j for s, w, j in zip(self.size, window, self.step, strict=True))
        step = tuple(j * t for j, t in zip(self.step, stride, strict=True))
        return ReceptiveField((size[0], size[1]), (step[0], step[1]))

    def rounded(self) -> tuple[int, int]:
        """Return the size in whole pixels, rounded up: up-sampling alone makes fractions."""
        return (ceil(self.size[0]), ceil(self.size[1]))


def widest(fields: Sequence[ReceptiveField]) -> ReceptiveField:
    """Return the field where branches meet: the widest of their fields, at the coarsest of their steps."""
    return ReceptiveField(
        (max(f.size[0] for f in fields), max(f.size[1] for f in fields)),
        (max(f.step[0] for f in fields), max(f.step[1] for f in fields)),
    )


def effective(kernel: int, dilation: int) -> int:
    """Return the pixels that a dilated kernel spans."""
    return (kernel - 1) * dilation + 1
