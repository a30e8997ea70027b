"""A class, graded through the command line as an instructor does; the order in which attempts are made."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from grader import records as r
from grader.ask.attempt import Attempt
from grader.ask.training import Runs
from grader.box import tree
from grader.box.isolation import Isolation
from grader.commands.class_display import Silent
from grader.errors import BrokenError
from grader.grade.many import Batch, Keeper
from grader.grade.session import Grading
from grader.intake.discover import discover
from grader.store import store
from grader.store.store import Store

Grade = Callable[..., subprocess.CompletedProcess[str]]
Sides = Callable[..., Path]
COMMAND = [sys.executable, "-c", "from grader.cli import main; main()"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the class of this file lies and its results."""
    return tmp_path_factory.mktemp("batch")


def _batch(place: Path, rubric: Path, *told: str) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, "batch", "class", "-r", str(rubric), "--out", "out", *told]
    return subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=600, check=False)


@pytest.fixture(scope="module")
def graded(place: Path, sides: Sides, box: Isolation) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Grades the class of this file: in boxes, where this machine has one."""
    plain, seconds = ((), 12) if box.closed else (("--no-isolation",), 30)  # with the import of TensorFlow

    def run(*told: str, **rules: Any) -> subprocess.CompletedProcess[str]:
        return _batch(place, sides(seconds=seconds, **rules), *plain, *told)

    return run


@pytest.fixture(scope="module")
def first(place: Path, graded: Grade, network_of: Callable[[int], str]) -> subprocess.CompletedProcess[str]:
    """Two who share a network, one whose code fails, one that hangs, one that ends its interpreter."""
    files = {
        "anna.py": network_of(4),
        "ben.py": "# my own work\n" + network_of(4).replace("model", "net"),
        "cora.py": "1 / 0",
        "dan.py": "import time\nwhile True:\n    time.sleep(1)",
        "eve.py": "import os\nos._exit(9)",
        "fay.pdf": "no code",
    }
    (place / "class").mkdir()
    for name, text in files.items():
        (place / "class" / name).write_text(text)
    return graded()


def _grades(place: Path) -> dict[str, r.Grade]:
    return {e.student.id: e.grade for e in store.read(place / "out").entries if e.grade}


def _attempts(done: subprocess.CompletedProcess[str]) -> list[str]:
    return [text.split(" ", 1)[1].split(":")[0] for text in done.stderr.splitlines() if ": attempt " in text]


def test_each_gets_what_is_due(place: Path, first: subprocess.CompletedProcess[str]) -> None:
    """Whatever one of them does is a verdict for that one; what two share is trained once."""
    assert first.returncode == 0, first.stderr
    grades = _grades(place)
    assert {name: grade.status for name, grade in grades.items()} == {
        "anna": "passed", "ben": "passed", "cora": "not_passed", "dan": "not_passed", "eve": "not_passed",
    }  # fmt: skip
    assert [run.seed for run in grades["anna"].runs] == [2019, 2020]
    assert grades["anna"].runs == grades["ben"].runs
    assert len(_attempts(first)) == 2
    problems = {name: grade.problem.message for name, grade in grades.items() if grade.problem}
    assert "ZeroDivisionError" in problems["cora"]
    assert re.search(r"longer than (12|30) s", problems["dan"])
    assert "ended its own process" in problems["eve"]
    assert "fay.pdf: the wrong type" in first.stdout
    assert "anna, ben: nearly the same code, 100%" in first.stdout
    assert "5 students: 2 passed, 3 not passed" in first.stdout


def test_again_is_nothing_to_do(place: Path, first: subprocess.CompletedProcess[str], graded: Grade) -> None:
    """The same grades, at once."""
    before = _grades(place)
    again = graded()
    assert (again.returncode, _attempts(again)) == (0, [])
    after = _grades(place)
    for name, grade in before.items():
        when = {"provenance": grade.provenance}
        assert after[name].model_copy(update=when) == grade


def test_another_rubric_uses_what_was_trained(
    place: Path, first: subprocess.CompletedProcess[str], graded: Grade
) -> None:
    """A lower threshold, a lower limit: other grades, nothing trained or described."""
    done = graded(name="lower", threshold=0.5, limit=100, needs="[]")
    assert (done.returncode, _attempts(done)) == (0, [])
    grade = _grades(place)["anna"]
    assert [(v.criterion, v.outcome) for v in grade.verdicts[:2]] == [
        ("parameters", "fail"),
        ("accuracy", "pass"),
    ]


def test_needs_that_fail_save_the_retraining(
    place: Path, first: subprocess.CompletedProcess[str], graded: Grade
) -> None:
    """Too many parameters, and accuracy needs the limit: no run is asked for."""
    graded(name="needs", limit=100)
    assert _grades(place)["anna"].runs == ()


def test_a_changed_submission(
    place: Path, first: subprocess.CompletedProcess[str], graded: Grade, network_of: Callable[[int], str]
) -> None:
    """Only that student is graded anew; with --only nobody else is even looked at."""
    (place / "class" / "ben.py").write_text(network_of(5))
    structure = graded("--structure-only", "--only", "ben")
    assert (structure.returncode, _attempts(structure)) == (0, [])
    assert _grades(place)["ben"].status == "structure_only"
    assert "anna" not in structure.stderr.split("starting the process")[1]
    one = graded("--only", "ben", "--attempts", "1")
    assert _attempts(one) == ["ben"]
    assert (_grades(place)["ben"].status, len(_grades(place)["ben"].runs)) == ("passed", 1)
    three = graded()
    assert _attempts(three) == ["ben", "ben"]  # a single attempt has its classes renumbered
    assert len(_grades(place)["ben"].runs) == 2
    assert "nearly the same" in three.stdout
    fresh = graded("--only", "ben", "--fresh", "--attempts", "1")
    assert _attempts(fresh) == ["ben"]


def test_a_verdict_by_hand_stays(place: Path, first: subprocess.CompletedProcess[str], graded: Grade) -> None:
    """Shown with its reason, after grading again too."""
    told = ["set", "out", "anna", "style", "--points", "5", "--reason", "clean \x1b[31mcode"]
    done = subprocess.run([*COMMAND, *told], cwd=place, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "anna: style is 5/5 by hand: clean �[31mcode\n")
    again = graded()
    assert "anna: style set by hand to 5/5: clean" in again.stdout
    assert _grades(place)["anna"].points == 45
    assert graded("--fail-under", "90").returncode == 1
    assert graded("--fail-under", "0", "--quiet").stderr == ""


def test_a_dry_run_and_a_roster(place: Path, first: subprocess.CompletedProcess[str], graded: Grade) -> None:
    """Who is there and who is not, and nothing else."""
    (place / "roster.csv").write_text("id;name\nanna;Anna A\nzoe;Zoe Z\n", encoding="utf-8-sig")
    done = graded("--dry-run", "--roster", "roster.csv", "--out", "nowhere")
    assert done.returncode == 0
    assert "1 handed in nothing: zoe" in done.stdout
    assert "not on the roster: ben, cora, dan, eve" in done.stdout
    assert not (place / "nowhere").exists()


@pytest.mark.parametrize(
    ("told", "problem"),
    [
        (("--on", "cloud"), "no such runner: cloud"),
        (("--only", "nobody"), "--only nobody: nobody with this id"),
        (("--attempts", "50"), "50 attempts need as many seeds"),
        (("--roster", "none.csv"), "the roster none.csv cannot be read"),
        (("--out", "a-file"), "a-file cannot be written"),
        (("--out", "class/kept"), "class/kept lies among the submissions"),
    ],
)
def test_mistakes_are_told_before_anything_is_done(
    place: Path, first: subprocess.CompletedProcess[str], graded: Grade, told: tuple[str, ...], problem: str
) -> None:
    """Exit code 2, and what to do."""
    (place / "a-file").touch()
    done = graded(*told)
    assert done.returncode == 2
    assert problem in done.stderr
    assert "Traceback" not in done.stderr


def test_a_training_child_that_is_killed(
    tmp_path: Path, sides: Sides, saved_with: Callable[[int], bytes]
) -> None:
    """As by a machine out of memory: broken for that one, exit code 3, and made good by the next batch."""
    (tmp_path / "class").mkdir()
    (tmp_path / "class" / "anna.keras").write_bytes(saved_with(4))
    told = ["batch", "class", "-r", str(sides()), "--out", "out", "--no-isolation", "--jobs", "1"]
    command = [*COMMAND, *told]
    batch = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    while not (children := [p for p in tree.descendants(batch.pid) if _trains(p)]):
        time.sleep(0.05)
    os.kill(children[0], signal.SIGKILL)
    said, _ = batch.communicate(timeout=120)
    assert batch.returncode == 3
    assert b"retraining with seed 2019 ended with status -9" in said
    assert _grades(tmp_path)["anna"].verdicts[1].outcome == "broken"
    assert _batch(tmp_path, sides(), "--no-isolation").returncode == 0
    assert _grades(tmp_path)["anna"].status == "passed"


# --- stopped ------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(tmp_path: Path, sides: Sides, saved_with: Callable[[int], bytes], how: int) -> None:
    """The table so far, the command to go on with, no child left; a second batch meanwhile is refused."""
    (tmp_path / "class").mkdir()
    for filters in range(2, 6):
        (tmp_path / "class" / f"s{filters}.keras").write_bytes(saved_with(filters))
    told = ["batch", "class", "-r", str(sides()), "--out", "out", "--no-isolation", "--jobs", "1"]
    batch = subprocess.Popen(
        [*COMMAND, *told], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert batch.stderr is not None
    seen = ""
    while ": attempt 1" not in seen:
        seen += batch.stderr.readline()
    second = _batch(tmp_path, sides(), "--no-isolation")
    assert second.returncode == 2
    assert f"another batch is writing to out: process {batch.pid}" in second.stderr
    batch.send_signal(how)
    said, rest = batch.communicate(timeout=60)
    assert batch.returncode == 130
    assert "4 students:" in said
    assert "structure passes" in said
    assert "to go on: grader batch class" in said
    assert not _orphans()
    done = _batch(tmp_path, sides(), "--no-isolation")
    assert done.returncode == 0
    before = [text for text in (seen + rest).splitlines() if ": attempt " in text]
    assert len(before) + len(_attempts(done)) == 8
    assert {g.status for g in _grades(tmp_path).values()} == {"passed"}


def test_interrupted_while_it_describes(tmp_path: Path, sides: Sides) -> None:
    """At once, whatever a submission would still do; and nothing is held against its author."""
    (tmp_path / "class").mkdir()
    (tmp_path / "class" / "dan.py").write_text("import time\nwhile True:\n    time.sleep(1)")
    told = ["batch", "class", "-r", str(sides()), "--out", "out", "--no-isolation"]
    batch = subprocess.Popen([*COMMAND, *told], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert batch.stderr is not None
    while b"starting the process" not in batch.stderr.readline():
        pass
    time.sleep(3.0)
    batch.send_signal(signal.SIGINT)
    said, _ = batch.communicate(timeout=60)
    assert batch.returncode == 130
    assert b"1 not graded yet" in said
    with closing(sqlite3.connect(tmp_path / "out" / store.NAME)) as base:
        assert base.execute("SELECT count(*) FROM description").fetchone() == (0,)
        assert base.execute("SELECT how FROM batch").fetchall() == [("interrupted",)]


def _orphans() -> list[int]:
    """Training children whose batch is gone."""
    processes = [int(p.name) for p in Path("/proc").glob("[0-9]*")]
    return [p for p in processes if _trains(p) and "\nPPid:\t1\n" in _told(p, "status")]


def _trains(process: int) -> bool:
    return "grader.train" in _told(process, "cmdline")


def _told(process: int, file: str) -> str:
    try:
        return Path(f"/proc/{process}/{file}").read_text()
    except OSError:
        return ""


# --- the order ----------------------------------------------------------------------------------


class Runner:
    """Makes every attempt at once, as it is told, and notes which."""

    name, slots = "fake", 2

    def __init__(self, run: Callable[..., r.TrainingRun], breaks: int = -1) -> None:
        self.made: list[tuple[int, int]] = []
        self.run, self.breaks = run, breaks

    def begin(self, attempt: Attempt, watcher: Any) -> Future[Runs]:
        done: Future[Runs] = Future()
        filters = next(x.filters for x in attempt.job.network.layers if isinstance(x, r.Conv2D))
        self.made.append((attempt.number, filters))
        if filters == self.breaks:
            done.set_exception(BrokenError("the GPU fell off the bus"))
        else:
            seeds = (attempt.job.seed, *attempt.job.beside)
            done.set_result(tuple(self.run([50 + filters], seed=seed, images=100) for seed in seeds))
        return done

    def close(self) -> None:
        return None


@pytest.fixture
def class_of(
    tmp_path: Path, sides: Sides, saved_with: Callable[[int], bytes], grading: Callable[..., Grading]
) -> Iterator[Callable[..., Batch]]:
    """A batch over students with so many filters each."""
    (tmp_path / "class").mkdir()
    kept = Store(tmp_path / "out")
    kept.begin("{}")
    keeper = Keeper(kept)
    shared = replace(grading(sides(threshold=0.99)), kept=keeper)

    def build(*filters: int) -> Batch:
        for number, count in enumerate(filters):
            (tmp_path / "class" / f"s{number}.keras").write_bytes(saved_with(count))
        found = discover(tmp_path / "class", tmp_path)
        entries = [(s.student, s.handed_in) for s in found.submissions]
        kept.put_class(shared.rubric, entries, [], [])
        return Batch(found, shared, kept, keeper, Silent())

    yield build
    kept.close()


def test_everybodys_first_attempt_comes_first(class_of: Any, run: Callable[..., r.TrainingRun]) -> None:
    """And what two share is made once."""
    batch, runner = class_of(2, 3, 4, 3), Runner(run)
    batch.retrain(batch.structure(), runner)
    assert [number for number, _ in runner.made] == [1] * 3 + [2] * 3 + [3] * 3
    assert len(set(runner.made)) == 9
    grades = [e.grade for e in batch.store.results().entries]
    assert [len(grade.runs) for grade in grades if grade] == [3] * 4


def test_seeds_that_were_trained_together_are_not_trained_again(
    class_of: Any, run: Callable[..., r.TrainingRun]
) -> None:
    """A runner that makes attempts at once makes the first, as handed in, and then all others."""
    batch, runner = class_of(2, 3), Runner(run)
    policy = batch.grading.rubric.training.model_copy(update={"seeds_at_once": 3})
    changed = batch.grading.rubric.model_copy(update={"training": policy})
    batch.grading = replace(batch.grading, loaded=batch.grading.loaded.model_copy(update={"rubric": changed}))
    batch.retrain(batch.structure(), runner)
    assert [number for number, _ in runner.made] == [1, 1, 2, 2]
    grades = [e.grade for e in batch.store.results().entries]
    assert [[run.seed for run in grade.runs] for grade in grades if grade] == [[2019, 2020, 2021]] * 2


def test_what_breaks_is_broken_for_that_one(class_of: Any, run: Callable[..., r.TrainingRun]) -> None:
    """Flagged for a person; the rest of the class goes on; the next batch tries again."""
    batch = class_of(2, 3)
    batch.retrain(batch.structure(), Runner(run, breaks=3))
    one, other = (e.grade for e in batch.store.results().entries)
    assert one is not None
    assert other is not None
    assert (one.status, len(one.runs)) == ("not_passed", 3)
    assert (other.status, other.needs_review, other.verdicts[1].outcome) == ("needs_person", True, "broken")
    batch.failed.clear()
    batch.retrain(batch.structure(), runner := Runner(run))
    assert [filters for _, filters in runner.made] == [3, 3, 3]


def test_no_description_is_kept_of_a_child_that_was_ended(tmp_path: Path) -> None:
    """What a killed child did not say is no fault of the student's."""
    kept = Store(tmp_path)
    kept.begin("{}")
    keeper = Keeper(kept)
    keeper.stopping = True
    keeper.keep_description("key", r.DescribeAnswer())
    assert kept.description("key") is None
    kept.close()
    assert os.path.exists(tmp_path / store.NAME)
