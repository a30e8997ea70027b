"""What a class shows while it is graded: lines that move on a terminal, plain lines elsewhere, or nothing.

On standard error. Every name is a stranger's and goes through `grader.report.interface.line`.
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from typing import Self

from rich.console import Console

from grader import records as r
from grader.ask.attempt import Attempt
from grader.ask.training import Watcher
from grader.commands.display import Bar, Bars, say
from grader.grade.events import Attempted
from grader.report.class_table import state
from grader.report.interface import line


class Silent(AbstractContextManager["Silent"]):
    """Shows nothing, and counts what the others show."""

    def __init__(self) -> None:
        self.submissions = 0
        self.described: set[str] = set()
        self.final: set[str] = set()
        self.seconds: list[float] = []
        self.attempts: dict[str, int] = {}

    def __exit__(self, *exception: object) -> None:
        return None

    def say(self, text: str) -> None:
        """Show lines of text."""
        return

    def begin(self, submissions: int) -> None:
        """Take note of how many submissions there are."""
        self.submissions = submissions

    def graded(self, student: r.Student, grade: r.Grade, final: bool) -> None:
        """Take note of a grade; after a ``final`` one no attempt follows."""
        self.described.add(student.id)
        if final:
            self.final.add(student.id)
            self.attempts[student.id] = len(grade.runs)

    def watcher(self, student: r.Student, attempt: Attempt) -> Watcher:
        """Return what is called as an attempt proceeds."""
        return Watcher()

    def attempted(self, made: Attempted) -> None:
        """Take note of an attempt that has ended."""
        self.seconds.append(made.seconds)

    def compared(self, submissions: int, of: int) -> None:
        """Take note of how many submissions have been read to find similar code."""
        return

    def waiting(self, ready: int, running: int) -> None:
        """Take note of how many attempts are ready and how many run."""
        return

    def left(self, ready: int, running: int) -> float | None:
        """Return the seconds left, by the attempts that were made and by how many it took to settle."""
        if not self.seconds or not running:
            return None
        settled = [count for count in self.attempts.values() if count] or [2]
        rounds = (ready + running) * max(1.0, sum(settled) / len(settled) - 0.5)
        return rounds * sum(self.seconds) / len(self.seconds) / running


class Lines(Silent):
    """A line for everything that is done, with the time of day: for files and for CI."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console
        self._told = 0.0

    def say(self, text: str) -> None:
        """Print lines of text, each behind the time of day."""
        say(self._console, text)

    def graded(self, student: r.Student, grade: r.Grade, final: bool) -> None:
        """Print the state of a submission when it is first known, and when it is final."""
        known = student.id in self.described
        super().graded(student, grade, final)
        if final or not known:
            count = f"{len(self.final if known else self.described)}/{self.submissions}"
            self.say(f"{count} {line(student.id)}: {state(grade)}" + ("" if final else ", to be retrained"))

    def attempted(self, made: Attempted) -> None:
        """Print for whom the attempt was, what came of it, and how long it took."""
        super().attempted(made)
        names = ", ".join(line(s.id) for s in made.students[:5]) + (" …" if len(made.students) > 5 else "")
        which = f"attempt {made.attempt.number} (seed {made.attempt.job.seed})"
        self.say(f"{names}: {which} {result(made.outcome)}, {duration(made.seconds)}")

    def compared(self, submissions: int, of: int) -> None:
        """Print how many have been read to find similar code, once a minute and at the end."""
        now = time.monotonic()
        if submissions == of or now - self._told > 60:
            self._told = now
            self.say(f"{submissions} of {of} read for similar code")

    def waiting(self, ready: int, running: int) -> None:
        """Print how far the class is, and the time left, once a minute."""
        now, left = time.monotonic(), self.left(ready, running)
        if left is not None and now - self._told > 60:
            self._told = now
            self.say(
                f"{len(self.final)} of {self.submissions} done, {running} running, {ready} waiting, "
                f"about {duration(left)} left"
            )


class Live(Lines):
    """The same lines, and below them what is running now."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._bars = Bars(console)
        self._bars.foot = "looking at the class"
        self._bar: dict[str, Bar] = {}  # by the attempt's key

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bars.stop()

    def graded(self, student: r.Student, grade: r.Grade, final: bool) -> None:
        """Print the state, and show how many submissions have been described."""
        super().graded(student, grade, final)
        self._bars.foot = f"{len(self.described)} of {self.submissions} described"

    def watcher(self, student: r.Student, attempt: Attempt) -> Watcher:
        """Show a line for the attempt, and return what moves the line."""
        bar = Bar(self._bars, f"attempt {attempt.number}: {line(student.id, 40)}")
        self._bar[attempt.key] = bar
        return bar

    def attempted(self, made: Attempted) -> None:
        """Take the line of the attempt away, and print what came of it."""
        if bar := self._bar.pop(made.attempt.key, None):
            bar.hide()
        super().attempted(made)

    def compared(self, submissions: int, of: int) -> None:
        """Print and show how many submissions have been read to find similar code."""
        super().compared(submissions, of)
        self._bars.foot = f"{submissions} of {of} read for similar code"

    def waiting(self, ready: int, running: int) -> None:
        """Show how far the class is, and the time left."""
        left = self.left(ready, running)
        self._bars.foot = (
            f"{len(self.final)} of {self.submissions} done, {running} running, {ready} waiting"
            + (f", about {duration(left)} left" if left is not None else "")
        )


def result(outcome: r.TrainingRun | r.Problem | None) -> str:
    """Return what came of an attempt, in a few words."""
    if not isinstance(outcome, r.TrainingRun):
        return "broken: " + line(outcome.message, 120) if outcome else "went missing"
    if outcome.best is None:
        return "diverged in its first epoch"
    best = outcome.best
    return f"reached {best.correct:,} of {best.images:,} in epoch {best.epoch} of {len(outcome.epochs)}"


def duration(seconds: float) -> str:
    """Return minutes and seconds, and hours if there are any: `59:00`, `1:02:05`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def display(console: Console, quiet: bool) -> Silent:
    """Return the display for this console."""
    if quiet:
        return Silent()
    return Live(console) if console.is_terminal else Lines(console)
