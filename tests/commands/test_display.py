"""The progress of one submission: a line that moves on a terminal, plain lines elsewhere, or nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from io import StringIO

import pytest
from rich.console import Console

from grader import records as r
from grader.ask.training import Watcher
from grader.commands import display
from grader.commands.display import Bar, Bars, Live, Spoken

Run = Callable[..., r.TrainingRun]
BATCH = r.BatchEvent(epoch=3, batch=120, batches=469, accuracy=0.98)


def shown(bars: Bars, width: int = 100) -> list[str]:
    """What stands on a terminal of this width, line by line."""
    stream = StringIO()
    Console(file=stream, width=width).print(bars.get_renderable())
    return [line.rstrip() for line in stream.getvalue().splitlines()]


@pytest.mark.parametrize("width", [80, 100, 200])
def test_a_line_tells_attempt_epoch_batch_best_and_time_left(run: Run, width: int) -> None:
    """All of it on one line, on a terminal of 80 characters as well."""
    now = [0.0]
    bars = Bars(Console(file=StringIO(), force_terminal=True, width=width))
    bars.get_time = lambda: now[0]
    bar = Bar(bars)
    assert shown(bars, width)[0].startswith("reading the submission")
    bar.attempt(1, 5, 2019, 20)
    for result in run([9_942, 9_912]).epochs:
        now[0] += 10
        bar.epoch(result)
    now[0] += 3
    bar.batch(BATCH)
    (line,) = shown(bars, width)
    told = re.fullmatch(
        r"attempt 1 of at most 5 (━* +)?epoch 3/20, batch 120/469, best 9,942 +(\d+:\d+) left", line
    )
    assert told is not None, line
    assert told[2] == "03:04"  # since the first epoch, 1.26 epochs in 13 s; 17.74 are to come
    assert bool(told[1]) == (width >= 100)


def test_a_new_attempt_begins_anew(run: Run) -> None:
    """No epoch, best or time of the one before."""
    bars = Bars(Console(file=StringIO(), force_terminal=True, width=100))
    bar = Bar(bars)
    bar.attempt(1, 5, 2019, 20)
    bar.epoch(run([9_942]).epochs[0])
    bar.attempt(2, 5, 2020, 20)
    assert re.fullmatch("attempt 2 of at most 5 +starting", shown(bars)[0])
    bar.batch(BATCH)
    assert "best" not in shown(bars)[0]


def test_many_attempts_have_no_endless_list() -> None:
    """Sixteen lines, and how many more; what has been hidden stays so, whatever comes later."""
    bars = Bars(Console(file=StringIO(), force_terminal=True))
    several = [Bar(bars, f"student {n}") for n in range(20)]
    bars.foot = "3 of 30 done"
    assert shown(bars)[15:] == [shown(bars)[15], "and 4 more", "3 of 30 done"]
    for bar in several[1:]:
        bar.hide()
        bar.batch(BATCH)
    assert [line.split()[0:2] for line in shown(bars)] == [["student", "0"], ["3", "of"]]


def test_names_are_shown_as_they_are() -> None:
    """No markup of a stranger's, and a long name leaves room for the rest."""
    bars = Bars(Console(file=StringIO(), force_terminal=True, width=80))
    Bar(bars, "[red]x[/]" + "y" * 100).attempt(1, 3, 1, 20)
    (line,) = shown(bars, 80)
    assert line.startswith("[red]x[/]yyy")
    assert line.endswith("y… starting")


def test_the_cursor_comes_back(run: Run) -> None:
    """After the end nothing of the display is left on the screen."""
    stream = StringIO()
    with Live(Console(file=stream, force_terminal=True, width=100)) as live:
        live.attempt(1, 5, 2019, 20)
        live.epoch(run([9_942]).epochs[0])
    assert stream.getvalue().rstrip().endswith("\x1b[2K")
    assert "\x1b[?25h" in stream.getvalue()


def test_lines_elsewhere(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """One when an attempt begins, and one a minute, each with the time of day."""
    now = [1_000.0]
    monkeypatch.setattr(display.time, "monotonic", lambda: now[0])
    stream = StringIO()
    spoken = Spoken(Console(file=stream, width=20))
    spoken.attempt(1, 5, 2019, 4)
    for result in run([9_900, 9_942, 9_912, 9_920]).epochs:
        now[0] += 40
        spoken.epoch(result)
    lines = stream.getvalue().splitlines()
    assert all(re.match(r"\d\d:\d\d:\d\d ", line) for line in lines)
    assert [line.split(" ", 1)[1] for line in lines] == [
        "attempt 1 of at most 5 (seed 2019)", "epoch 2/4, best 9,942", "epoch 4/4, best 9,942",
    ]  # fmt: skip


def test_which_display() -> None:
    """A terminal moves, a file gets lines, and --quiet is quiet."""
    terminal = Console(file=StringIO(), force_terminal=True)
    assert type(display.watcher(terminal, False)) is Live
    assert type(display.watcher(Console(file=StringIO()), False)) is Spoken
    assert type(display.watcher(terminal, True)) is Watcher
