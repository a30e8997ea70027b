"""Retrain a network in a trusted child: one process for one attempt."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from pydantic import TypeAdapter

from grader.box.isolation.interface import MACHINE_RESERVE
from grader.box.sandbox import Ended, Limits, Spawned, environment, run
from grader.errors import BrokenError
from grader.records import (
    BatchEvent,
    Effects,
    EndEvent,
    Environment,
    EpochResult,
    SeedRun,
    TrainEvent,
    TrainingRun,
    TrainJob,
    Untrained,
)

# A last resort: `grader.judge.obstacles` limits the sizes of networks and of their batches before.
# Several children train at a time, so what counts is the memory that the machine has left.
LIMITS = Limits(seconds=12 * 3600.0, reserve=MACHINE_RESERVE)
_STOPPED = {
    "time": "took too long",
    "machine": "was stopped, as the machine ran out of memory (with --jobs 1 less runs beside it)",
    "flood": "wrote too much",
}
_EVENT: TypeAdapter[TrainEvent] = TypeAdapter(TrainEvent)


Runs = tuple[TrainingRun, ...]
"""The runs of one attempt: its own, then those of the seeds that were trained beside it."""


class Watcher:
    """Has a method for every event of retraining; this class shows nothing, a display overrides them."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        return None

    def attempt(self, number: int, attempts: int, seed: int, epochs: int) -> None:
        """Show that attempt ``number`` of at most ``attempts`` begins, with at most ``epochs`` epochs."""

    def batch(self, event: BatchEvent) -> None:
        """Show that some batches of an epoch are done."""

    def epoch(self, result: EpochResult) -> None:
        """Show that an epoch is done, and its correct images are counted."""


class Stopped(Exception):
    """Raised on ^C; ``run`` holds the epochs of the attempt so far, None if it had not begun."""

    def __init__(self, run: TrainingRun | None) -> None:
        super().__init__("interrupted")
        self.run = run


class Training:
    """One attempt: a training child and what it has reported."""

    def __init__(self, job: TrainJob, watcher: Watcher, setting: Mapping[str, str] | None = None) -> None:
        """``setting`` is added to the child's environment."""
        self.job, self.watcher, self.setting = job, watcher, setting or {}
        self.environment: Environment | None = None
        self.untrained: Untrained | None = None
        self.effects: Effects | None = None
        self.epochs: list[EpochResult] = []
        self.end: EndEvent | None = None
        self._child: Spawned | None = None
        self._stopped = False

    def run(self) -> Runs:
        """Train to the end: the job's own seed, then those beside it if they were trained too.

        Raises `BrokenError`, or `Stopped` on ^C.
        """
        try:
            ended = self._train()
        except KeyboardInterrupt:
            raise Stopped(self._so_far()) from None
        if self.end is None or self.environment is None:
            why = _STOPPED.get(ended.stopped) or f"ended with status {ended.returncode}"
            raise BrokenError(
                f"retraining with seed {self.job.seed} {why}:\n{ended.log[-3_000:].strip()}",
                "This is no fault of the submission. Grade it again, or report it.",
            )
        own = SeedRun(
            seed=self.job.seed,
            untrained=self.untrained,
            effects=self.effects,
            epochs=tuple(self.epochs),
            ended=self.end.ended,
            kept=self.end.kept,
        )
        return tuple(
            TrainingRun(environment=self.environment, symmetry=self.job.symmetry, **dict(each))
            for each in (own, *self.end.beside)
        )

    def _train(self) -> Ended:
        with tempfile.TemporaryDirectory(prefix="grader-") as scratch:
            command = [sys.executable, "-I", "-m", "grader.train"]
            self._child = Spawned(command, environment(scratch) | dict(self.setting), Path(scratch))
            if self._stopped:
                self._child.kill()
            return run(self._child, self.job.model_dump_json().encode(), LIMITS, self._event)

    @property
    def pid(self) -> int | None:
        """The process id of the child, once it has started."""
        return self._child.pid if self._child is not None else None

    def stop(self) -> None:
        """End the attempt from another thread; `run` then raises `BrokenError`."""
        self._stopped = True
        if self._child is not None:
            self._child.kill()

    def _so_far(self) -> TrainingRun | None:
        if self.environment is None:
            return None
        return TrainingRun(
            seed=self.job.seed,
            untrained=self.untrained,
            epochs=tuple(self.epochs),
            ended="interrupted",
            symmetry=self.job.symmetry,
            environment=self.environment,
        )

    def _event(self, line: bytes) -> None:
        event = _EVENT.validate_json(line)
        match event:
            case Environment():
                self.environment = event
                self.epochs = []  # out of memory with several seeds, training begins anew
            case Untrained():
                self.untrained = event
            case Effects():
                self.effects = event
            case BatchEvent():
                self.watcher.batch(event)
            case EpochResult():
                self.epochs.append(event)
                self.watcher.epoch(event)
            case EndEvent():
                self.end = event
