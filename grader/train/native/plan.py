"""The plan of a network: tensors, variables, two programs, and the memory that they need.

Every layer adds instructions for the way forth, in order, and a function that adds instructions for its way
back; these functions are called in the opposite order, so that the gradient of an output is complete before
it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from grader import records as r
from grader.train.native import fields as f
from grader.train.native.blocks import GATHERED, LANES
from grader.train.native.fields import Array, instruction
from grader.train.native.machine import PARTS, Memory

Emitted = tuple[Array, Array]


@dataclass
class Tensor:
    """The numbers of a layer's output: rows, columns, channels (a vector is one pixel), and their offset."""

    rows: int
    columns: int
    channels: int
    at: int
    slope: int = -1  # offset of its gradient; -1 where no gradient is needed
    flat: bool = False  # a vector in Keras
    # Whether its gradient has a first summand already: shared by all views of the same numbers.
    started: list[bool] = field(default_factory=lambda: [False])
    softmax: bool = False  # these are logits of a softmax, which only the loss can take
    floored: bool = False  # ends in a ReLU, and the next layer's way back leads past that ReLU

    @property
    def size(self) -> int:
        """Numbers of one image."""
        return self.rows * self.columns * self.channels

    @property
    def pixels(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.rows, self.columns


@dataclass(frozen=True)
class Variable:
    """A weight as Keras has it: its shape, its offset, its initial values, and its penalty."""

    layer: int
    role: str
    shape: tuple[int, ...]
    at: int
    initializer: Any
    trained: bool = True  # else a moving average
    penalty: r.L1L2 | None = None
    fans: tuple[int, int] | None = None

    @property
    def size(self) -> int:
        """Numbers in the weight."""
        return int(np.prod(self.shape))


@dataclass
class Plan:
    """A plan under construction: variables, offsets given out, taps, and the two programs."""

    variables: list[Variable] = field(default_factory=list)
    forth: dict[bool, list[Emitted]] = field(default_factory=lambda: {True: [], False: []})
    back: list[Callable[[], None]] = field(default_factory=list)
    values: int = 0
    parameters: int = 0
    moving: int = 0
    sums: int = 2  # the first two are the loss's
    norms: int = 0
    scratch: int = 0
    keys: int = 0
    taps: list[int] = field(default_factory=list)
    turns: list[tuple[int, int, int, int]] = field(default_factory=list)
    products: list[dict[int, int]] = field(
        default_factory=list
    )  # of dense layers, at the end of the way back
    layer: int = 0

    def tensor(
        self, rows: int, columns: int, channels: int, flat: bool = False, slope: bool = True
    ) -> Tensor:
        """Add a tensor with room for its numbers and, with ``slope``, for their gradient."""
        made = Tensor(rows, columns, channels, self.values, flat=flat)
        self.values += made.size * LANES
        if slope:
            made.slope = self.values
            self.values += made.size * LANES
        return made

    def room(self, vectors: int) -> int:
        """Reserve ``vectors`` vectors in a tile, and return their offset."""
        at = self.values
        self.values += vectors * LANES
        return at

    def variable(
        self,
        role: str,
        shape: tuple[int, ...],
        initializer: Any,
        penalty: r.L1L2 | None = None,
        fans: tuple[int, int] | None = None,
    ) -> int:
        """Add a weight of the present layer, and return its offset among the parameters."""
        at = self.parameters
        self.variables.append(Variable(self.layer, role, shape, at, initializer, True, penalty, fans))
        self.parameters += int(np.prod(shape))
        return at

    def average(self, role: str, channels: int, start: float) -> int:
        """Add a moving average of the present layer, and return its offset among the averages."""
        at = self.moving
        self.variables.append(
            Variable(self.layer, role, (channels,), at, r.Constant(value=start), trained=False)
        )
        self.moving += channels
        return at

    def table(self, numbers: Sequence[int]) -> int:
        """Add a table of `geometry`, and return its offset among the taps."""
        at = len(self.taps)
        self.taps += numbers
        return at

    def emit(
        self, code: int, integers: dict[int, int], floats: dict[int, float] | None = None, when: str = "both"
    ) -> None:
        """Add an instruction to the program for "training", for "evaluating", or to "both"."""
        made = instruction(code, integers, floats or {})
        if when != "evaluating":
            self.forth[True].append(made)
        if when != "training":
            self.forth[False].append(made)

    def adds(self, tensor: Tensor) -> int:
        """Return 1 if the gradient already has a summand, to which the next one must be added; else 0."""
        started, tensor.started[0] = tensor.started[0], True
        return int(started)

    def clear_once(self, tensor: Tensor) -> None:
        """Zero a gradient before the first values are scattered to it."""
        if not self.adds(tensor):
            self.emit(f.CLEAR, {f.DST: tensor.slope, f.SIZE: tensor.size * LANES}, when="training")


def aligned(*shape: int) -> Array:
    """Return float32 zeros of this shape, beginning at a multiple of 64 bytes."""
    count = int(np.prod(shape))
    room = np.zeros(count + LANES, np.float32)
    start = -(room.ctypes.data // 4) % LANES
    return room[start : start + count].reshape(shape)


def bytes_needed(plan: Plan, tiles: int) -> int:
    """Return the bytes of all arrays for batches of ``tiles`` tiles."""
    parts = min(PARTS, tiles)
    return 4 * (tiles * plan.values + parts * (plan.parameters + plan.scratch) + 8 * plan.parameters)


def _joints(plan: Plan) -> list[tuple[int, int]]:
    """Return the ranges of parameters that belong to no product."""
    products = {row[f.WEIGHTS] for row in plan.products}
    return [(v.at, v.at + v.size) for v in plan.variables if v.trained and v.at not in products]


def memory(plan: Plan, tiles: int) -> Memory:
    """Allocate all arrays for batches of ``tiles`` tiles."""
    parts = min(PARTS, tiles)
    return Memory(
        values=aligned(tiles, plan.values),
        parameters=aligned(plan.parameters + GATHERED),
        turned=aligned(plan.parameters + GATHERED),
        slopes=aligned(parts, plan.parameters),
        sums=np.zeros((tiles, plan.sums)),
        norms=aligned(plan.norms + 1),
        moving=aligned(plan.moving + 1),
        scratch=aligned(parts, plan.scratch),
        taps=np.array(plan.taps or [0], np.int64),
        turns=np.array(plan.turns, np.int64).reshape(-1, 4),
        joints=np.array(_joints(plan), np.int64).reshape(-1, 2),
    )
