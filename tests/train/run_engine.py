"""Runs an engine for a test, in this process or, for JAX, in one of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from grader import records as r
from grader.train import engines
from grader.train.epochs import Trainer


@dataclass
class Done:
    """What came of a run and of the seeds beside it; its first and last weights, in Keras's order."""

    epochs: list[Any]
    ended: str
    kept: int | None
    weights: list[Any]
    beside: tuple[Any, ...]
    untrained: Any = None
    effects: Any = None
    start: Any = None


def run(engine: str, job: r.TrainJob, arrays: dict[str, Any], weights: Any = None) -> Done:
    """From the given weights, or from those that the job's seed draws."""
    if engine == "jax":
        from grader.train.jax import support

        assert not support.obstacle(job)
        support.prepare()
    learner = engines.ENGINES[engine].learner(job, arrays)
    if weights is not None:
        learner.set_weights(0, weights)
    start = learner.get_weights(0)
    events: list[Any] = []
    first, *beside = Trainer(job, arrays, events.append, learner).run()
    told = [e for e in events if isinstance(e, r.EpochResult)]
    assert told == first.epochs
    weights = learner.get_weights(0)
    tried = next((e for e in events if isinstance(e, r.Effects)), None)
    return Done(first.epochs, first.ended, first.kept, weights, tuple(beside), first.untrained, tried, start)
