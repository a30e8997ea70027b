"""A network as it is being planned: tensors, variables, two programs, and the memory that they need.

Every layer adds instructions for the way forth, in order, and a function that adds those of its way back;
these are called in the opposite order, so that the gradient of an output is complete before it is used.
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
    """Numbers of a layer's output: rows, columns, channels (a vector is one pixel), and where they lie."""

    rows: int
    columns: int
    channels: int
    at: int
    slope: int = -1  # where its gradient lies; -1 where nobody asks for one
    flat: bool = False  # a vector in Keras
    # Whether its gradient has got a first summand: shared by all views of the same numbers.
    started: list[bool] = field(default_factory=lambda: [False])
    softmax: bool = False  # logits whose softmax is meant; only the loss takes such a one
    floored: bool = False  # a ReLU is part of it, and the next layer's way back leads past it

    @property
    def size(self) -> int:
        """Numbers of one image."""
        return self.rows * self.columns * self.channels

    @property
    def pixels(self) -> tuple[int, int]:
        """(rows, columns)."""
        return self.rows, self.columns


@dataclass(frozen=True)
class Variable:
    """A weight as Keras has it: its shape, where it begins, how it starts, and its penalty."""

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
        """Numbers in it."""
        return int(np.prod(self.shape))


@dataclass
class Plan:
    """What is being built: variables, offsets handed out, taps, and the two programs."""

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
        """Room for the output of a layer in each tile, and with ``slope`` for its gradient."""
        made = Tensor(rows, columns, channels, self.values, flat=flat)
        self.values += made.size * LANES
        if slope:
            made.slope = self.values
            self.values += made.size * LANES
        return made

    def room(self, vectors: int) -> int:
        """Room for so many vectors in a tile."""
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
        """Room for a weight that trains. Where it begins among the parameters."""
        at = self.parameters
        self.variables.append(Variable(self.layer, role, shape, at, initializer, True, penalty, fans))
        self.parameters += int(np.prod(shape))
        return at

    def average(self, role: str, channels: int, start: float) -> int:
        """Room for a moving average per channel. Where it begins among the averages."""
        at = self.moving
        self.variables.append(
            Variable(self.layer, role, (channels,), at, r.Constant(value=start), trained=False)
        )
        self.moving += channels
        return at

    def table(self, numbers: Sequence[int]) -> int:
        """Keep numbers for a kernel to look up. Where they begin among the taps."""
        at = len(self.taps)
        self.taps += numbers
        return at

    def emit(
        self, code: int, integers: dict[int, int], floats: dict[int, float] | None = None, when: str = "both"
    ) -> None:
        """Add an instruction to the programs: for "training", for "evaluating" or for "both"."""
        made = instruction(code, integers, floats or {})
        if when != "evaluating":
            self.forth[True].append(made)
        if when != "training":
            self.forth[False].append(made)

    def adds(self, tensor: Tensor) -> int:
        """Whether what is written to this gradient now is not its first summand."""
        started, tensor.started[0] = tensor.started[0], True
        return int(started)

    def clear_once(self, tensor: Tensor) -> None:
        """Zero a gradient that is going to be scattered to."""
        if not self.adds(tensor):
            self.emit(f.CLEAR, {f.DST: tensor.slope, f.SIZE: tensor.size * LANES}, when="training")


def aligned(*shape: int) -> Array:
    """Zeros, float32, beginning at a multiple of 64 bytes."""
    count = int(np.prod(shape))
    room = np.zeros(count + LANES, np.float32)
    start = -(room.ctypes.data // 4) % LANES
    return room[start : start + count].reshape(shape)


def bytes_needed(plan: Plan, tiles: int) -> int:
    """Bytes of `memory` that grow with the network or with the ``tiles`` of a batch."""
    parts = min(PARTS, tiles)
    return 4 * (tiles * plan.values + parts * (plan.parameters + plan.scratch) + 8 * plan.parameters)


def _joints(plan: Plan) -> list[tuple[int, int]]:
    """Ranges of parameters that are no product's."""
    products = {row[f.WEIGHTS] for row in plan.products}
    return [(v.at, v.at + v.size) for v in plan.variables if v.trained and v.at not in products]


def memory(plan: Plan, tiles: int) -> Memory:
    """All arrays in which a planned network works, for batches of this many ``tiles``."""
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
