"""The events of a class that is graded, as a display gets them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from grader import records as r
from grader.ask.attempt import Attempt
from grader.ask.training import Watcher


@dataclass(frozen=True)
class Attempted:
    """An attempt that has ended: who waited for it, its outcome (None if that is lost), and its seconds."""

    students: Sequence[r.Student]
    attempt: Attempt
    outcome: r.TrainingRun | r.Problem | None
    seconds: float


class Display(Protocol):
    """Shows what happens while a class is graded."""

    def say(self, text: str) -> None:
        """Show a line of text."""

    def begin(self, submissions: int) -> None:
        """Show that a class of ``submissions`` begins."""

    def graded(self, student: r.Student, grade: r.Grade, final: bool) -> None:
        """Show a student's grade; ``final``: no further attempt will be made for it."""

    def watcher(self, student: r.Student, attempt: Attempt) -> Watcher:
        """Return what watches an ``attempt``, for which ``student`` was the first to wait."""

    def attempted(self, made: Attempted) -> None:
        """Show an attempt that has ended."""

    def compared(self, submissions: int, of: int) -> None:
        """Show that the code of ``submissions`` of ``of`` has been read for comparison."""

    def waiting(self, ready: int, running: int) -> None:
        """Show how many submissions are ``ready`` for an attempt, and how many attempts are ``running``."""
