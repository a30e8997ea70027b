"""The class on a terminal: everyone is there, strangers' text does no harm, and nothing is endless."""

from __future__ import annotations

import re
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from grader import records as r
from grader.commands.class_display import Lines, Live, Silent, display, duration
from grader.grade.events import Attempted
from grader.report import class_table
from grader.report.interface import Screen

Made = Callable[..., r.Grade]


@pytest.fixture
def grade(run: Callable[..., r.TrainingRun]) -> Made:
    """A grade of three points of four, with one attempt."""

    def build(**changes: Any) -> r.Grade:
        verdict = r.Verdict(
            criterion="style", title="style", kind="manual", outcome="borderline", points=3, max_points=4,
            required=True, message="so so",
        )  # fmt: skip
        told = r.Provenance(
            grader_version="0", submission_digest="1", rubric_digest="2", dataset="mnist", dataset_digest="3",
            seeds=(1,), isolation="none", isolated=True, created="now",
        )  # fmt: skip
        given = {
            "submission": "x", "rubric": "r", "status": "passed", "points": 3.0, "max_points": 4.0,
            "needs_review": False, "verdicts": (verdict,), "provenance": told, "runs": (run([9_000, 9_941]),),
        }  # fmt: skip
        return r.Grade(**(given | changes))

    return build


def _results(*entries: r.Entry, **more: Any) -> r.ClassResults:
    return r.ClassResults(rubric="CNN", max_points=4, entries=entries, **more)


def _entry(name: str, grade: r.Grade | None, late: bool = False, there: bool = True) -> r.Entry:
    handed_in = r.HandedIn(layout="plain", path=name, late=late) if there else None
    return r.Entry(student=r.Student(id=name, name=name), handed_in=handed_in, grade=grade)


def test_everyone_has_a_row(grade: Made) -> None:
    """Passed, broken, late, by hand, not graded yet, nothing handed in."""
    problem = r.Problem(kind="broken", message="no memory\nleft")
    by_hand = grade().verdicts[0].model_copy(update={"by_hand": True, "message": "seen it"})
    text = class_table.render(
        _results(
            _entry("ann", grade(), late=True),
            _entry("ben", grade(status="needs_person", needs_review=True, problem=problem, runs=())),
            _entry("cy", grade(verdicts=(by_hand,))),
            _entry("dan", None),
            _entry("eve", None, there=False),
        ),
        Screen(),
    )
    assert "5 students: 2 passed, 1 needs a person, 1 handed in nothing, 1 not graded yet" in text
    assert re.search(r"ann +passed +3/4 +9,941 +1 +late", text)
    assert re.search(r"ben +needs a person +3/4 +look at it", text)
    assert "ben: no memory left" in text
    assert "cy: style set by hand to 3/4: seen it" in text
    assert re.search(r"dan +not graded yet", text)
    assert re.search(r"eve +nothing handed in", text)
    assert "\x1b" not in text
    assert "\x1b[32m" in class_table.render(_results(_entry("ann", grade())), Screen(colour=True))


def test_strangers_text_is_harmless(grade: Made) -> None:
    """No control character, no line of a stranger's own, no endless list."""
    evil = "\x1b[2Jgone\nfake: passed 100/100"
    problem = r.Problem(kind="student", message=evil)
    text = class_table.render(
        _results(
            _entry("ann", grade(problem=problem)),
            left_out=tuple(r.LeftOut(path=f"{evil}{n}", reason=evil) for n in range(50)),
            notes=(evil,),
            similar=(r.Similar(students=("ann", "ben"), kind="nearly the same code", likeness=0.95),),
        ),
        Screen(),
    )
    assert "\x1b" not in text
    assert not [line for line in text.splitlines() if line.startswith("fake")]
    assert "and 31 more" in text
    assert "ann, ben: nearly the same code, 95% of the code alike" in text


def test_progress_in_lines(grade: Made, run: Callable[..., r.TrainingRun]) -> None:
    """Each thing once, with a count; time left from measured speed."""
    stream = StringIO()
    lines = Lines(Console(file=stream, width=40))
    ann, attempt = r.Student(id="ann", name="Ann"), _Attempt()
    lines.begin(2)
    lines.graded(ann, grade(status="structure_only", runs=()), final=False)
    lines.attempted(Attempted([ann], attempt, run([9_941]), 61))  # type: ignore[arg-type]
    lines.graded(ann, grade(status="interrupted"), final=False)
    problem = r.Problem(kind="broken", message="boom\x1b")
    lines.attempted(Attempted([ann], attempt, problem, 61))  # type: ignore[arg-type]
    lines.waiting(3, 2)
    lines.graded(ann, grade(), final=True)
    said = [line.split(" ", 1)[1] for line in stream.getvalue().splitlines()]
    assert said == [
        "1/2 ann: structure passes, to be retrained",
        "ann: attempt 1 (seed 7) reached 9,941 of 10,000 in epoch 1 of 1, 1:01",
        "ann: attempt 1 (seed 7) broken: boom�, 1:01",
        "0 of 2 done, 2 running, 3 waiting, about 3:49 left",
        "1/2 ann: passed",
    ]


class _Attempt:
    number, key, epochs = 1, "k", 20
    job = type("Job", (), {"seed": 7})


def test_progress_on_a_terminal(grade: Made, run: Callable[..., r.TrainingRun]) -> None:
    """What runs has a line with epoch and accuracy until it is done."""
    stream = StringIO()
    console = Console(file=stream, force_terminal=True, width=100)
    with Live(console) as live:
        ann = r.Student(id="ann", name="Ann")
        live.begin(1)
        live.graded(ann, grade(status="structure_only", runs=()), final=False)
        watcher = live.watcher(ann, _Attempt())  # type: ignore[arg-type]
        watcher.attempt(1, 3, 7, 20)
        watcher.epoch(run([9_900]).epochs[0])
        watcher.batch(r.BatchEvent(epoch=2, batch=10, batches=469))
        live.waiting(0, 1)
        shown = _screen(live)
        live.attempted(Attempted([ann], _Attempt(), run([9_941]), 5))  # type: ignore[arg-type]
        after = _screen(live)
    assert re.search(r"attempt 1: ann .* epoch 2/20, batch 10/469, best 9,900", shown)
    assert "0 of 1 done, 1 running" in shown
    assert "attempt 1" not in after
    assert "\x1b[?25h" in stream.getvalue()  # the cursor is back


def _screen(live: Live) -> str:
    stream = StringIO()
    Console(file=stream, width=100).print(live._bars.get_renderable())
    return stream.getvalue()


def test_which_display() -> None:
    """A terminal moves, a file gets lines, and --quiet is quiet."""
    assert isinstance(display(Console(file=StringIO(), force_terminal=True), False), Live)
    assert type(display(Console(file=StringIO()), False)) is Lines
    assert type(display(Console(file=StringIO(), force_terminal=True), True)) is Silent
    assert (duration(59.6), duration(3_725)) == ("1:00", "1:02:05")
