"""Live progress of retraining on a terminal: epoch, batch, accuracy, time left."""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from grader.ask.training import Watcher
from grader.records import BatchEvent, EpochResult


class Live(Watcher):
    """One line that moves, on standard error."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(bar_width=20),
            TextColumn("{task.fields[state]}"), console=console, transient=True,
        )  # fmt: skip
        self._task: TaskID | None = None
        self._epochs = 1
        self._best = 0
        self._started = 0.0

    def __enter__(self) -> Live:
        self._progress.start()
        self._task = self._progress.add_task("reading the submission", total=None, state="")
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()

    def attempt(self, number: int, attempts: int, seed: int, epochs: int) -> None:
        self._epochs, self._best, self._started = epochs, 0, time.monotonic()
        self._show(f"attempt {number} of at most {attempts} (seed {seed})", 0.0, "starting")

    def batch(self, event: BatchEvent) -> None:
        done = event.epoch - 1 + event.batch / event.batches
        accuracy = f"training accuracy {event.accuracy:.4f}" if event.accuracy is not None else ""
        self._show(
            None,
            done,
            f"epoch {event.epoch}/{self._epochs}, batch {event.batch}/"
            f"{event.batches}, {accuracy}{self._best_so_far()}{self._left(done)}",
        )

    def epoch(self, result: EpochResult) -> None:
        self._best = max(self._best, result.correct)
        self._show(
            None,
            float(result.epoch),
            f"epoch {result.epoch}/{self._epochs}: "
            f"{result.correct:,} of {result.images:,} correct{self._left(result.epoch)}",
        )

    def _best_so_far(self) -> str:
        return f", best {self._best:,}" if self._best else ""

    def _left(self, done: float) -> str:
        if done < 0.05:
            return ""
        seconds = (time.monotonic() - self._started) / done * (self._epochs - done)
        return f", {int(seconds // 60)}:{int(seconds % 60):02d} left"

    def _show(self, description: str | None, done: float, state: str) -> None:
        assert self._task is not None
        if description is not None:
            self._progress.update(self._task, description=description)
        self._progress.update(self._task, completed=done, total=self._epochs, state=state)


def watcher(console: Console, quiet: bool) -> Watcher:
    return Live(console) if console.is_terminal and not quiet else Watcher()
