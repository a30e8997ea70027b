"""A batch that is killed outright again and again comes to what one that is left alone comes to."""

from __future__ import annotations

import collections
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from grader.store import store

COMMAND = [sys.executable, "-c", "from grader.cli import main; main()", "batch"]
LIMIT = 100_000  # however many students there will be, each with more filters: all are retrained
ATTEMPTED = re.compile(r"^\S+ (.+): attempt (\d+) \(seed (\d+)\) reached", re.MULTILINE)


Add = Callable[[int], None]


@pytest.fixture
def add(tmp_path: Path, saved_with: Callable[[int], bytes]) -> Add:
    """Writes the saved model of one more student, with a network of their own; the first two share one."""
    (tmp_path / "class").mkdir()

    def write(number: int) -> None:
        path = tmp_path / "class" / f"student{number:02}.keras"
        path.write_bytes(saved_with(2 + max(1, number)))

    return write


def _start(tmp_path: Path, rubric: Path, out: str) -> subprocess.Popen[bytes]:
    told = ["class", "-r", str(rubric), "--out", out, "--no-isolation", "--jobs", "2"]
    with (tmp_path / "log").open("ab") as stream:
        return subprocess.Popen([*COMMAND, *told], stdout=stream, stderr=stream, cwd=tmp_path)


def _kill_until_done(tmp_path: Path, rubric: Path, add: Add, kills: int, longest: float) -> None:
    """A batch that ends before it is killed gets another student, so that there is something to kill."""
    chance, students, killed = random.Random(20), 3, 0
    for number in range(students):
        add(number)
    while killed < kills:
        batch = _start(tmp_path, rubric, "killed")
        time.sleep(chance.uniform(0.2, longest))
        batch.kill()
        if batch.wait(timeout=60) == 0:
            add(students)
            students += 1
        killed += batch.returncode == -signal.SIGKILL
        if (tmp_path / "killed" / store.NAME).exists():
            _whole(tmp_path / "killed")
    assert _start(tmp_path, rubric, "killed").wait(timeout=900) == 0


def _whole(out: Path) -> None:
    """A copy of what a kill has left behind, as another process would find it, is sound."""
    copy = out.parent / "copy"
    shutil.copytree(out, copy)
    with closing(sqlite3.connect(copy / store.NAME)) as base:
        assert base.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert base.execute("PRAGMA foreign_key_check").fetchall() == []
    shutil.rmtree(copy)


def _numbers(out: Path) -> list[Any]:
    """Everything of the grades that is no time, place or date."""
    results = store.read(out)
    return [
        (
            entry.student,
            entry.grade.status,
            [(v.criterion, v.outcome, v.points, v.message) for v in entry.grade.verdicts],
            [(x.seed, x.ended, [(e.correct, e.train_loss) for e in x.epochs]) for x in entry.grade.runs],
        )
        for entry in results.entries
        if entry.grade is not None
    ]  # fmt: skip


def _check(tmp_path: Path, rubric: Path, add: Add, kills: int, longest: float) -> None:
    _kill_until_done(tmp_path, rubric, add, kills, longest)
    # An attempt is told of once it is stored: none that was told of is ever made again.
    told = collections.Counter(ATTEMPTED.findall((tmp_path / "log").read_text()))
    assert set(told.values()) == {1}, told
    assert _start(tmp_path, rubric, "whole").wait(timeout=900) == 0
    students = len(list((tmp_path / "class").iterdir()))
    assert _numbers(tmp_path / "killed") == _numbers(tmp_path / "whole")
    assert len(_numbers(tmp_path / "killed")) == students
    for out in ("killed", "whole"):
        with closing(sqlite3.connect(tmp_path / out / store.NAME)) as base:
            made = base.execute("SELECT count(*), count(DISTINCT key) FROM attempt").fetchone()
        assert made == (2 * (students - 1), 2 * (students - 1))


def test_killed_five_times(add: Add, sides: Callable[..., Path], tmp_path: Path) -> None:
    """The same grades, nothing trained twice, no row twice."""
    _check(tmp_path, sides("killed", limit=LIMIT), add, kills=5, longest=4.0)


@pytest.mark.slow
def test_killed_fifty_times(add: Add, sides: Callable[..., Path], tmp_path: Path) -> None:
    """The same with fifty kills, at moments spread over all that a batch does."""
    _check(tmp_path, sides("killed_often", limit=LIMIT), add, kills=50, longest=4.0)
