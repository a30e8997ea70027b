"""What a class shows while it is graded: lines that move on a terminal, plain lines elsewhere, or nothing.

On standard error. Every name is a stranger's and goes through `grader.report.interface.line`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager

from rich.console import Console
from rich.live import Live as RichLive
from rich.text import Text

from grader import records as r
from grader.ask.attempt import Attempt
from grader.ask.training import Watcher
from grader.report.class_table import state
from grader.report.interface import line

_SHOWN = 16  # attempts under way that have a line of their own


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
        return None

    def begin(self, submissions: int) -> None:
        self.submissions = submissions

    def graded(self, student: r.Student, grade: r.Grade, final: bool) -> None:
        self.described.add(student.id)
        if final:
            self.final.add(student.id)
            self.attempts[student.id] = len(grade.runs)

    def watcher(self, student: r.Student, attempt: Attempt) -> Watcher:
        return Watcher()

    def attempted(
        self,
        students: Sequence[r.Student],
        attempt: Attempt,
        outcome: r.TrainingRun | r.Problem | None,
        seconds: float,
    ) -> None:
        self.seconds.append(seconds)

    def compared(self, submissions: int, of: int) -> None:
        return None

    def waiting(self, ready: int, running: int) -> None:
        return None

    def left(self, ready: int, running: int) -> float | None:
        """Seconds that are left, by the attempts that were made and by how many it took to settle."""
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
        clock = time.strftime("%H:%M:%S")
        for part in text.split("\n"):
            self._console.print(Text(f"{clock} {part}"), soft_wrap=True)

    def graded(self, student: r.Student, grade: r.Grade, final: bool) -> None:
        known = student.id in self.described
        super().graded(student, grade, final)
        if final or not known:
            count = f"{len(self.final if known else self.described)}/{self.submissions}"
            self.say(f"{count} {line(student.id)}: {state(grade)}" + ("" if final else ", to be retrained"))

    def attempted(
        self,
        students: Sequence[r.Student],
        attempt: Attempt,
        outcome: r.TrainingRun | r.Problem | None,
        seconds: float,
    ) -> None:
        super().attempted(students, attempt, outcome, seconds)
        names = ", ".join(line(s.id) for s in students[:5]) + (" …" if len(students) > 5 else "")
        what = result(outcome)
        self.say(f"{names}: attempt {attempt.number} (seed {attempt.job.seed}) {what}, {duration(seconds)}")

    def compared(self, submissions: int, of: int) -> None:
        """So many have been read, to find similar code; a line a minute, and one at the end."""
        now = time.monotonic()
        if submissions == of or now - self._told > 60:
            self._told = now
            self.say(f"{submissions} of {of} read for similar code")

    def waiting(self, ready: int, running: int) -> None:
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
        self._lines: dict[str, str] = {}
        self._foot = "looking at the class"
        self._live = RichLive(
            console=console, transient=True, refresh_per_second=4, get_renderable=self._show
        )

    def __enter__(self) -> Live:
        self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._live.stop()

    def graded(self, student: r.Student, grade: r.Grade, final: bool) -> None:
        super().graded(student, grade, final)
        self._foot = f"{len(self.described)} of {self.submissions} described"

    def watcher(self, student: r.Student, attempt: Attempt) -> Watcher:
        return _Line(self._lines, attempt, f"{line(student.id, 40)}, attempt {attempt.number}")

    def attempted(
        self,
        students: Sequence[r.Student],
        attempt: Attempt,
        outcome: r.TrainingRun | r.Problem | None,
        seconds: float,
    ) -> None:
        self._lines.pop(attempt.key, None)
        super().attempted(students, attempt, outcome, seconds)

    def compared(self, submissions: int, of: int) -> None:
        super().compared(submissions, of)
        self._foot = f"{submissions} of {of} read for similar code"

    def waiting(self, ready: int, running: int) -> None:
        left = self.left(ready, running)
        self._foot = f"{len(self.final)} of {self.submissions} done, {running} running, {ready} waiting" + (
            f", about {duration(left)} left" if left is not None else ""
        )

    def _show(self) -> Text:
        lines = list(self._lines.values())
        more = [f"  and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
        return Text("\n".join([*lines[:_SHOWN], *more, self._foot]), overflow="ellipsis", no_wrap=True)


class _Line(Watcher):
    """Keeps the line of one attempt; called from the thread that drives it."""

    def __init__(self, lines: dict[str, str], attempt: Attempt, name: str) -> None:
        self._lines, self._key, self._name = lines, attempt.key, name
        self._epochs, self._best = attempt.epochs, ""

    def attempt(self, number: int, attempts: int, seed: int, epochs: int) -> None:
        self._say("starting")

    def batch(self, event: r.BatchEvent) -> None:
        self._say(f"epoch {event.epoch}/{self._epochs}, batch {event.batch}/{event.batches}{self._best}")

    def epoch(self, result: r.EpochResult) -> None:
        self._best = f", {result.correct:,} of {result.images:,} correct"
        self._say(f"epoch {result.epoch}/{self._epochs}{self._best}")

    def _say(self, what: str) -> None:
        self._lines[self._key] = f"  {self._name}: {what}"


def result(outcome: r.TrainingRun | r.Problem | None) -> str:
    """What came of an attempt, in a few words."""
    if not isinstance(outcome, r.TrainingRun):
        return "broken: " + line(outcome.message, 120) if outcome else "went missing"
    if outcome.best is None:
        return "diverged in its first epoch"
    best = outcome.best
    return f"reached {best.correct:,} of {best.images:,} in epoch {best.epoch} of {len(outcome.epochs)}"


def duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def display(console: Console, quiet: bool) -> Silent:
    if quiet:
        return Silent()
    return Live(console) if console.is_terminal else Lines(console)
