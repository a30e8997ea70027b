"""Progress of attempts at retraining: lines that move on a terminal, plain lines elsewhere.

A class shows an attempt as `grader check` does, see `grader.commands.class_display`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Self

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Column
from rich.text import Text

from grader.ask.training import Watcher
from grader.records import BatchEvent, EpochResult

_SHOWN = 16  # attempts under way that have a line of their own
_BAR = 20  # characters
_STATE = len("epoch 20/20, batch 469/469, best 9,942")
_LEFT = len("1:02:03 left")
_PAUSE = 60.0  # seconds between two plain lines on the same attempt


class Bars(Progress):
    """A line for each attempt under way, and below the lines a text, ``foot``.

    A name may be a stranger's and is shown as it is, without markup.
    """

    def __init__(self, console: Console) -> None:
        self.foot = ""
        room = console.width - _STATE - _LEFT - 2  # for the name and the bar
        bar = [BarColumn(bar_width=_BAR)] if room > 2 * _BAR else []
        name = Column(no_wrap=True, overflow="ellipsis", max_width=max(_BAR, room - (_BAR + 1) * len(bar)))
        super().__init__(
            TextColumn("{task.description}", markup=False, table_column=name),
            *bar,
            TextColumn(
                "{task.fields[state]}", markup=False, table_column=Column(no_wrap=True, min_width=_STATE)
            ),
            _Left(compact=True, table_column=Column(no_wrap=True)),
            console=console,
            transient=True,
            refresh_per_second=4,
        )

    def get_renderables(self) -> Iterable[RenderableType]:
        """Yield the lines of the attempts under way, and the foot."""
        under_way = [task for task in self.tasks if task.visible]
        yield self.make_tasks_table(under_way[:_SHOWN])
        if len(under_way) > _SHOWN:
            yield Text(f"and {len(under_way) - _SHOWN} more")
        if self.foot:
            yield Text(self.foot, overflow="ellipsis", no_wrap=True)


class _Left(TimeRemainingColumn):
    """`4:05 left`; nothing until it is known."""

    def render(self, task: Task) -> Text:
        return Text("") if task.time_remaining is None else super().render(task) + Text(" left")


class Bar(Watcher):
    """One line of these bars, with a name or the number of the attempt.

    It may be used from another thread, also when it is hidden already.
    """

    def __init__(self, bars: Bars, name: str = "") -> None:
        self._bars, self._name = bars, name
        self._task: TaskID = bars.add_task(name or "reading the submission", total=None, state="")
        self._epochs, self._best = 1, 0

    def attempt(self, number: int, attempts: int, seed: int, epochs: int) -> None:
        """Begin the line anew, for the next attempt."""
        self._epochs, self._best = epochs, 0
        name = self._name or f"attempt {number} of at most {attempts}"
        self._bars.reset(self._task, total=epochs, description=name, state="starting")

    def batch(self, event: BatchEvent) -> None:
        """Show how far the epoch is."""
        done = event.epoch - 1 + event.batch / event.batches
        self._show(done, f"epoch {event.epoch}/{self._epochs}, batch {event.batch}/{event.batches}")

    def epoch(self, result: EpochResult) -> None:
        """Show the epoch, and the most correct images so far."""
        self._best = max(self._best, result.correct)
        self._show(result.epoch, f"epoch {result.epoch}/{self._epochs}")

    def hide(self) -> None:
        """Take the line away."""
        self._bars.update(self._task, visible=False)

    def _show(self, done: float, where: str) -> None:
        best = f", best {self._best:,}" if self._best else ""
        self._bars.update(self._task, completed=done, state=where + best)


class Live(Bar):
    """One line that moves, for one submission."""

    def __init__(self, console: Console) -> None:
        super().__init__(Bars(console))

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bars.stop()


class Spoken(Watcher):
    """A line when an attempt begins, and one a minute while it goes on."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._epochs, self._best, self._said = 1, 0, 0.0

    def attempt(self, number: int, attempts: int, seed: int, epochs: int) -> None:
        """Print a line, and forget the attempt before."""
        self._epochs, self._best, self._said = epochs, 0, time.monotonic()
        say(self._console, f"attempt {number} of at most {attempts} (seed {seed})")

    def epoch(self, result: EpochResult) -> None:
        """Print a line, if the last one was printed a minute ago."""
        self._best = max(self._best, result.correct)
        if time.monotonic() - self._said > _PAUSE:
            self._said = time.monotonic()
            say(self._console, f"epoch {result.epoch}/{self._epochs}, best {self._best:,}")


def say(console: Console, text: str) -> None:
    """Print lines of text, each behind the time of day."""
    clock = time.strftime("%H:%M:%S")
    for part in text.split("\n"):
        console.print(Text(f"{clock} {part}"), soft_wrap=True)


def watcher(console: Console, quiet: bool) -> Watcher:
    """Return what shows the attempts of one submission on this console."""
    if quiet:
        return Watcher()
    return Live(console) if console.is_terminal else Spoken(console)
