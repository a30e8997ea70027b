"""Retrain one submission in trusted children, one process per attempt, until the outcome is settled."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from pydantic import TypeAdapter

from grader.errors import BrokenError
from grader.records import (
    BatchEvent,
    EndEvent,
    Environment,
    EpochResult,
    TrainEvent,
    TrainingRun,
    TrainJob,
)
from grader.sandbox import Limits, Spawned, environment, run

# The size of a network and of its batches is limited before (`pipeline`); this is for what nobody thought of.
LIMITS = Limits(
    seconds=12 * 3600.0, memory=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * 8 // 10
)
_STOPPED = {"time": "took too long", "memory": "took too much memory", "flood": "said too much"}
_EVENT: TypeAdapter[TrainEvent] = TypeAdapter(TrainEvent)


class Watcher(Protocol):
    """Told what retraining is doing, for a live display."""

    def attempt(self, number: int, attempts: int, seed: int, epochs: int) -> None: ...
    def batch(self, event: BatchEvent) -> None: ...
    def epoch(self, result: EpochResult) -> None: ...


class Stopped(Exception):
    """An attempt did not come to its end; ``runs`` holds all that is known, ``error`` why unless it
    was ^C.
    """

    def __init__(self, runs: tuple[TrainingRun, ...], error: BrokenError | None = None) -> None:
        super().__init__("interrupted")
        self.runs, self.error = runs, error


def retrain(
    job: TrainJob,
    seeds: Sequence[int],
    settled: Callable[[Sequence[TrainingRun]], bool],
    watcher: Watcher,
) -> tuple[TrainingRun, ...]:
    """One attempt per seed, in order, as long as ``settled`` says no. Raises `Stopped`."""
    runs: list[TrainingRun] = []
    epochs = min(job.max_epochs, sum(recipe.epochs for recipe in job.training))
    for number, seed in enumerate(seeds, 1):
        watcher.attempt(number, len(seeds), seed, epochs)
        attempt = _Attempt(job.model_copy(update={"seed": seed}), watcher)
        try:
            runs.append(attempt.run())
        except KeyboardInterrupt:
            raise Stopped((*runs, *attempt.so_far())) from None
        except BrokenError as error:
            raise Stopped(tuple(runs), error) from None
        if settled(runs):
            break
    return tuple(runs)


class _Attempt:
    """One training child and what it has reported."""

    def __init__(self, job: TrainJob, watcher: Watcher) -> None:
        self.job, self.watcher = job, watcher
        self.environment: Environment | None = None
        self.epochs: list[EpochResult] = []
        self.end: EndEvent | None = None

    def run(self) -> TrainingRun:
        with tempfile.TemporaryDirectory(prefix="grader-") as scratch:
            command = [sys.executable, "-I", "-m", "grader.train"]
            child = Spawned(command, environment(scratch), Path(scratch))
            ended = run(child, self.job.model_dump_json().encode(), LIMITS, self._event)
        if self.end is None or self.environment is None:
            why = _STOPPED.get(ended.stopped) or f"ended with status {ended.returncode}"
            raise BrokenError(
                f"retraining with seed {self.job.seed} {why}:\n{ended.log[-3_000:].strip()}",
                "This is no fault of the submission. Grade it again, or report it.",
            )
        return TrainingRun(
            seed=self.job.seed,
            epochs=tuple(self.epochs),
            ended=self.end.ended,
            kept=self.end.kept,
            environment=self.environment,
        )

    def so_far(self) -> tuple[TrainingRun, ...]:
        if self.environment is None:
            return ()
        return (
            TrainingRun(
                seed=self.job.seed,
                epochs=tuple(self.epochs),
                ended="interrupted",
                environment=self.environment,
            ),
        )

    def _event(self, line: bytes) -> None:
        event = _EVENT.validate_json(line)
        match event:
            case Environment():
                self.environment = event
            case BatchEvent():
                self.watcher.batch(event)
            case EpochResult():
                self.epochs.append(event)
                self.watcher.epoch(event)
            case EndEvent():
                self.end = event
