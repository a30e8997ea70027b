"""A network that can be trained: its weights, steps on mini-batches, and counts of correct images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from grader import records as r
from grader.train.covered import NotCovered
from grader.train.learner import Outcome
from grader.train.native import fields as f
from grader.train.native import initial, layers
from grader.train.native.blocks import LANES
from grader.train.native.fields import Array
from grader.train.native.machine import PARTS, Program, Step, assemble, clear, joined, turn, work
from grader.train.native.optimizers import Optimizer
from grader.train.native.plan import Plan, bytes_needed, memory
from grader.train.native.team import Team

MOST_BYTES = 1_000_000_000  # of one network's arrays; Keras trains larger networks
# Weights of dense layers. Each tile reads all of them, and Keras's matrix product for the whole batch is
# faster where the weights do not fit into the cache.
MOST_DENSE = 1_500_000
_EVALUATED = 8  # tiles at a time in evaluation; as many as a batch has, if it has more


def planned(network: r.ModelDescription, recipe: r.TrainingRecipe) -> Plan:
    """Return the programs for this network and recipe, without memory as yet. Raises `NotCovered`."""
    plan, logits = layers.build(network, recipe.scaling)
    by_logits = recipe.loss.from_logits and not logits.softmax
    if not logits.flat:
        raise NotCovered("an output that is no vector")
    if not (logits.softmax or by_logits):
        raise NotCovered("an output that is neither a softmax nor meant as logits")
    if logits.slope < 0:
        raise NotCovered("a network without weights")
    outputs = plan.tensor(1, 1, logits.channels, slope=False)
    row = {
        f.SRC: logits.at, f.DST: outputs.at, f.CHANNELS: logits.channels, f.SUMS: 0, f.KIND: int(by_logits),
        f.OTHER: logits.slope,
    }  # fmt: skip
    sparse = recipe.loss.name.startswith("sparse")
    smoothing = {f.RATE: 0.0 if sparse else recipe.loss.label_smoothing}
    plan.emit(f.LOSS, row, smoothing, when="training")
    plan.emit(f.LOSS, row | {f.OTHER: -1}, smoothing, when="evaluating")
    plan.adds(logits)
    for back in reversed(plan.back):
        back()
    for product in plan.products:
        plan.emit(f.DENSE_SLOPES, product, when="training")
    if not plan.parameters:
        raise NotCovered("a network without weights")
    if sum(product[f.SIZE] for product in plan.products) > MOST_DENSE:
        raise NotCovered(f"dense layers of more than {MOST_DENSE:,} weights, with which Keras is faster")
    if bytes_needed(plan, _tiles(recipe)) > MOST_BYTES:
        raise NotCovered("a batch too large for the memory set aside")
    return plan


def _tiles(recipe: r.TrainingRecipe) -> int:
    return max(_EVALUATED, -(-recipe.batch_size // LANES))


class Network:
    """The weights of a network, and the arrays that its programs use."""

    def __init__(self, network: r.ModelDescription, recipe: r.TrainingRecipe, seed: int, team: Team) -> None:
        self.plan = planned(network, recipe)
        self.team = team
        self.tiles = _tiles(recipe)
        self.training, self.evaluation = (assemble(self.plan.forth[mode]) for mode in (True, False))
        self.memory = memory(self.plan, self.tiles)
        self.weights = self.memory.parameters[: self.plan.parameters]
        self.random = np.random.Generator(np.random.PCG64(seed))
        self.l1, self.l2 = self._penalties("l1"), self._penalties("l2")
        self.set_weights([initial.values(v, self.random) for v in self.plan.variables])

    def _penalties(self, kind: str) -> Array | None:
        factors = np.zeros(self.plan.parameters, np.float32)
        for v in self.plan.variables:
            if v.trained and v.penalty is not None:
                factors[v.at : v.at + v.size] = getattr(v.penalty, kind)
        return factors if factors.any() else None

    def _home(self, trained: bool) -> Array:
        return self.memory.parameters if trained else self.memory.moving

    def set_weights(self, values: Sequence[Array]) -> None:
        """Set all weights, in Keras's order and shapes."""
        for v, value in zip(self.plan.variables, values, strict=True):
            self._home(v.trained)[v.at : v.at + v.size] = np.asarray(value, np.float32).reshape(-1)

    def get_weights(self) -> list[Array]:
        """Return copies of all weights, in Keras's order and shapes."""
        return [
            self._home(v.trained)[v.at : v.at + v.size].reshape(v.shape).copy() for v in self.plan.variables
        ]

    def slopes(self, images: Array, labels: Array, chosen: Array) -> tuple[Outcome, Array]:
        """Return the outcome of one mini-batch, and the gradient of its loss with respect to all weights."""
        tiles = -(-chosen.size // LANES)
        turn(self.memory)
        parts = min(PARTS, tiles)
        clear(self.memory.slopes, parts, self.memory.joints)
        draws = (tiles, max(2, 2 * self.plan.keys))
        seeds = self.random.integers(0, 2**32, draws, np.uint32)
        entropy, hits = self._execute(self.training, images, labels, chosen, seeds)
        slopes = joined(self.memory.slopes, parts, self.memory.joints)
        if self.l1 is not None:
            slopes += self.l1 * np.sign(self.weights)
        if self.l2 is not None:
            slopes += 2 * self.l2 * self.weights
        return Outcome(entropy / chosen.size + self.penalty(), int(hits), chosen.size), slopes

    def step(self, images: Array, labels: Array, chosen: Array, optimizer: Optimizer) -> Outcome:
        """Change the weights by one mini-batch; return its outcome before the change."""
        outcome, slopes = self.slopes(images, labels, chosen)
        optimizer.step(self.weights, slopes)
        return outcome

    def _execute(
        self, program: Program, images: Array, labels: Array, chosen: Array, seeds: Array
    ) -> tuple[float, float]:
        """Return the summed cross-entropy of the ``chosen`` images, and how many of them were right."""
        step = Step(images, labels, chosen, seeds, np.zeros(2 * len(program.runs), np.int64))
        self.team.run(work, self.memory, program, step)
        sums = self.memory.sums[: -(-chosen.size // LANES), :2].sum(axis=0)
        return float(sums[0]), float(sums[1])

    def penalty(self) -> float:
        """Return the sum of all weights' L1 and L2 penalties."""
        total = 0.0
        if self.l1 is not None:
            total += float(np.sum(self.l1 * np.abs(self.weights)))
        if self.l2 is not None:
            total += float(np.sum(self.l2 * np.square(self.weights)))
        return total

    def evaluate(self, images: Array, labels: Array) -> Outcome:
        """Evaluate images (n, pixels) in order, by the moving averages and without Dropout."""
        entropy, correct, at_once = 0.0, 0, self.tiles * LANES
        seeds = np.zeros((self.tiles, max(2, 2 * self.plan.keys)), np.uint32)
        for start in range(0, len(labels), at_once):
            chosen = np.arange(start, min(start + at_once, len(labels)))
            more, hits = self._execute(self.evaluation, images, labels, chosen, seeds)
            entropy, correct = entropy + more, correct + int(hits)
        return Outcome(entropy / len(labels) + self.penalty(), correct, len(labels))
