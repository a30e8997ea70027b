"""What a display is told while a class is graded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from grader import records as r
from grader.ask.attempt import Attempt
from grader.ask.training import Watcher


@dataclass(frozen=True)
class Attempted:
    """An attempt that has ended: for whom, what came of it (None if that is lost), and how long it took."""

    students: Sequence[r.Student]
    attempt: Attempt
    outcome: r.TrainingRun | r.Problem | None
    seconds: float


class Display(Protocol):
    """Told of everything that happens to a class."""

    def say(self, text: str) -> None: ...
    def begin(self, submissions: int) -> None: ...
    def graded(self, student: r.Student, grade: r.Grade, final: bool) -> None: ...
    def watcher(self, student: r.Student, attempt: Attempt) -> Watcher: ...
    def attempted(self, made: Attempted) -> None: ...
    def compared(self, submissions: int, of: int) -> None: ...
    def waiting(self, ready: int, running: int) -> None: ...
