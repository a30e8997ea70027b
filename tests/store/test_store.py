"""The store: what it keeps, what it refuses, and what it says to a disk or file that will not do."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from grader import cli
from grader import records as r
from grader.ask.attempt import Attempt
from grader.errors import InstructorError
from grader.judge import rubric, score
from grader.store import file, store, tables
from grader.store.store import Store

Run = Callable[..., r.TrainingRun]
ANN = r.Student(id="ann", name="Ann Li")
HERE = r.HandedIn(layout="plain", path="ann.py")


@pytest.fixture
def open_store(tmp_path: Path) -> Iterator[Store]:
    """An open store, in which a batch has begun."""
    opened = Store(tmp_path)
    opened.begin("{}")
    yield opened
    opened.close()


@pytest.fixture
def attempt(network: Any, recipe: Any) -> Callable[..., Attempt]:
    """An attempt at a network of one layer, with changes to its job."""

    def build(**changes: Any) -> Attempt:
        layers = (r.Flatten(name="f", inbound=()), r.Dense(name="d", inbound=(), units=10))
        spec = r.DatasetSpec(name="mnist", path="/x", sha256="0" * 64)
        job = r.TrainJob(
            network=network(*layers),
            training=(recipe(),),
            dataset=spec,
            seed=2019,
            max_epochs=20,
            stop_at=9_940,
        )
        return Attempt(job.model_copy(update=changes))

    return build


@pytest.fixture
def graded(sides: Callable[..., Path]) -> Callable[..., r.Grade]:
    """A grade by the small rubric: structure passes, no attempt made, style left to a person."""

    def build(**changes: Any) -> r.Grade:
        rules = rubric.load(str(sides())).rubric
        outcomes = {"parameters": ("pass", 10.0), "accuracy": ("fail", 0.0), "style": ("not_reached", 0.0)}
        verdicts = tuple(
            r.Verdict(
                criterion=c.id, title=c.label, kind=c.kind, outcome=outcomes[c.id][0],
                points=outcomes[c.id][1], max_points=c.points, required=c.required, message="so it is",
                needs_review=c.id == "style",
            )
            for c in rules.criterion
        )  # fmt: skip
        told = r.Provenance(
            grader_version="0", submission_digest="1", rubric_digest="2", dataset="digits",
            dataset_digest="3", seeds=(1,), isolation="none", isolated=True, created="now",
        )  # fmt: skip
        given = {
            "submission": "ann.py", "rubric": "sides", "status": "not_passed", "points": 10.0,
            "max_points": 45.0, "needs_review": True, "verdicts": verdicts, "provenance": told,
        }  # fmt: skip
        return r.Grade(**(given | changes))

    return build


@pytest.fixture
def filled(open_store: Store, sides: Callable[..., Path], graded: Callable[..., r.Grade]) -> Store:
    """A store with Ann, who is graded, and Ben, who is on the roster only."""
    entries = [(ANN, HERE), (r.Student(id="ben", name="Ben"), None)]
    left = [r.LeftOut(path="x.pdf", reason="the wrong type")]
    open_store.put_class(rubric.load(str(sides())).rubric, entries, left, ["a note"])
    open_store.put_grade("ann", graded())
    return open_store


def test_what_goes_in_comes_out(filled: Store, graded: Callable[..., r.Grade], tmp_path: Path) -> None:
    """By the folder or by the file, while it is open."""
    filled.put_similar([r.Similar(students=("ann", "ben"), kind="nearly the same code", likeness=0.9)])
    results = store.read(tmp_path)
    assert results == store.read(tmp_path / store.NAME) == filled.results()
    assert [(e.student.id, e.handed_in, e.grade) for e in results.entries] == [
        ("ann", HERE, graded()),
        ("ben", None, None),
    ]
    assert (results.rubric, results.max_points, results.notes) == ("sides", 45, ("a note",))
    assert results.left_out[0].path == "x.pdf"
    assert results.similar[0].likeness == 0.9


def test_who_is_gone_is_out_of_sight(filled: Store, sides: Callable[..., Path], tmp_path: Path) -> None:
    """And comes back with the grade."""
    rules = rubric.load(str(sides())).rubric
    filled.put_class(rules, [(r.Student(id="ben", name="Ben"), None)], [], [])
    assert [e.student.id for e in filled.results().entries] == ["ben"]
    filled.put_class(rules, [(ANN, HERE)], [], [])
    assert [(e.student.id, bool(e.grade)) for e in filled.results().entries] == [("ann", True)]


def test_an_attempt_is_kept_by_what_it_depends_on(open_store: Store, attempt: Any, run: Run) -> None:
    """Another seed, recipe, network or data set is other work; names and where it stops are not."""
    made = run([9_000, 9_945], ended="threshold_reached")
    open_store.keep_run(attempt(), made)
    assert open_store.run(attempt()) == made
    assert open_store.run(attempt(seed=1)) is None
    assert (
        open_store.run(attempt(training=(attempt().job.training[0].model_copy(update={"epochs": 9}),)))
        is None
    )
    other = r.DatasetSpec(name="mnist", path="/elsewhere", sha256="1" * 64)
    assert open_store.run(attempt(dataset=other)) is None
    moved = r.DatasetSpec(name="digits", path="/elsewhere", sha256="0" * 64)
    assert open_store.run(attempt(dataset=moved)) == made


def test_a_run_serves_where_it_went_far_enough(open_store: Store, attempt: Any, run: Run) -> None:
    """A lower threshold cuts it, a higher one wants another run."""
    made = run([9_000, 9_920, 9_945], ended="threshold_reached")
    open_store.keep_run(attempt(), made)
    lower = open_store.run(attempt(stop_at=9_910))
    assert lower is not None
    assert ([e.correct for e in lower.epochs], lower.ended) == ([9_000, 9_920], "threshold_reached")
    assert open_store.run(attempt(stop_at=9_950)) is None
    assert open_store.run(attempt(stop_at=None)) is None
    fewer = open_store.run(attempt(max_epochs=2))
    assert fewer is not None
    assert (len(fewer.epochs), fewer.ended) == (2, "finished")
    whole = run([9_000] * 20)
    open_store.keep_run(attempt(stop_at=None), whole)
    assert open_store.run(attempt(stop_at=9_950)) == whole
    assert open_store.run(attempt(max_epochs=30)) == whole  # the recipe has no more than 20


def test_a_fresh_batch_sees_nothing_older(open_store: Store, attempt: Any, run: Run) -> None:
    """And the next one sees both."""
    open_store.keep_run(attempt(), run([9_950]))
    open_store.keep_description("old", r.DescribeAnswer())
    open_store.begin("{}", fresh=True)
    assert open_store.run(attempt()) is None
    assert open_store.description("old") is None
    open_store.keep_description("new", r.DescribeAnswer())
    assert open_store.description("new") == r.DescribeAnswer()
    open_store.begin("{}")
    assert open_store.run(attempt()) is not None
    assert open_store.description("old") is not None


# --- by hand --------------------------------------------------------------------------------------


def test_a_verdict_by_hand(filled: Store, graded: Callable[..., r.Grade], tmp_path: Path) -> None:
    """It counts, says so and why, asks for no more review, and stays when the class is graded again."""
    verdict = store.set_by_hand(tmp_path, "ann", "style", 4, "tidy, but no comments")
    assert (verdict.points, verdict.outcome, verdict.by_hand) == (4, "borderline", True)
    filled.put_grade("ann", graded())
    grade = filled.results().entries[0].grade
    assert grade is not None
    assert (grade.points, grade.status, grade.needs_review) == (14, "not_passed", False)
    assert grade.verdicts[2].message == "tidy, but no comments"
    store.set_by_hand(tmp_path, "ann", "accuracy", 30, "seen in the lab")
    grade = store.read(tmp_path).entries[0].grade
    assert grade is not None
    assert (grade.points, grade.status) == (44, "passed")


def test_a_replay_that_a_person_confirms(
    filled: Store, graded: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`grader confirm` gives what it has earned, once; nobody else has anything to confirm."""
    parameters, accuracy, *rest = graded().verdicts
    reached = accuracy.model_copy(update={"outcome": "pass", "points": accuracy.max_points})
    waiting = graded(
        verdicts=(parameters, score.unconfirmed(reached), *rest),
        status="needs_person",
        points=parameters.points,
    )
    filled.put_grade("ann", waiting)
    before = store.read(tmp_path).entries[0].grade
    assert before is not None
    assert (before.status, before.points) == ("needs_person", 10)
    cli.confirm(tmp_path, "ann", "looked at it")
    assert capsys.readouterr().out == "ann: accuracy is 30/30 by hand: looked at it\n"
    after = store.read(tmp_path).entries[0].grade
    assert after is not None
    assert (after.points, after.verdicts[1].to_confirm) == (40, None)
    assert after.verdicts[1].by_hand
    for student, problem in (("ann", "no replay that waits"), ("ben", "no replay"), ("eve", "no student")):
        with pytest.raises(InstructorError, match=problem):
            store.confirm(tmp_path, student, "again")


def test_by_hand_where_nothing_could_be_graded(filled: Store, graded: Any, tmp_path: Path) -> None:
    """A problem is settled once a person has answered every required criterion."""
    without = tuple(
        v.model_copy(update={"outcome": "broken", "points": 0.0, "needs_review": True})
        for v in graded().verdicts
    )
    problem = r.Problem(kind="broken", message="the disk burned")
    broken = graded(verdicts=without, problem=problem, status="needs_person", points=0.0)
    filled.put_grade("ann", broken)
    store.set_by_hand(tmp_path, "ann", "parameters", 10, "counted")
    grade = store.read(tmp_path).entries[0].grade
    assert grade is not None
    assert grade.status == "needs_person"
    store.set_by_hand(tmp_path, "ann", "accuracy", 30, "measured")
    grade = store.read(tmp_path).entries[0].grade
    assert grade is not None
    assert (grade.status, grade.points) == ("passed", 40)


@pytest.mark.parametrize(
    ("student", "criterion", "points", "reason", "problem"),
    [
        ("eve", "style", 1, "so", "no student has the id 'eve'"),
        ("ben", "style", 1, "so", "ben has no grade yet"),
        ("ann", "beauty", 1, "so", "no criterion has the id 'beauty'"),
        ("ann", "style", 6, "so", "0 to 5"),
        ("ann", "style", -1, "so", "0 to 5"),
        ("ann", "style", float("nan"), "so", "0 to 5"),
        ("ann", "style", 1, "  ", "needs a reason"),
    ],
)
def test_by_hand_wants_sense(filled: Store, tmp_path: Path, student: str, criterion: str, points: float,
                             reason: str, problem: str) -> None:  # fmt: skip
    """Each mistake is said, and nothing is changed."""
    before = filled.results()
    with pytest.raises(InstructorError, match=problem):
        store.set_by_hand(tmp_path, student, criterion, points, reason)
    assert filled.results() == before


# --- the file -------------------------------------------------------------------------------------


def test_the_second_batch_is_told_of_the_first(open_store: Store, tmp_path: Path) -> None:
    """By process and time; from another process as well; and not once the first is gone."""
    with pytest.raises(InstructorError, match=f"another batch is writing to .*process {os.getpid()} since"):
        Store(tmp_path)
    code = f"from pathlib import Path; from grader.store.store import Store; Store(Path({str(tmp_path)!r}))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "another batch is writing" in told.stderr
    open_store.close()
    Store(tmp_path).close()


def test_places_that_will_not_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file in the way, a folder in the way, another's database, no database, and a full disk."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(InstructorError, match="cannot be written"):
        Store(tmp_path / "file")
    (tmp_path / "folder" / store.NAME).mkdir(parents=True)
    with pytest.raises(InstructorError, match=r"cannot be written|no results file"):
        Store(tmp_path / "folder")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / store.NAME).write_bytes(b"no database at all" * 100)
    with pytest.raises(InstructorError, match="no results file of grader, or it is damaged"):
        Store(tmp_path / "bad")
    with pytest.raises(InstructorError, match="no results file of grader, or it is damaged"):
        store.read(tmp_path / "bad")
    (tmp_path / "other").mkdir()
    with closing(sqlite3.connect(tmp_path / "other" / store.NAME)) as base:
        base.execute("CREATE TABLE songs (name TEXT)")
    with pytest.raises(InstructorError, match="not grader's"):
        Store(tmp_path / "other")
    with pytest.raises(InstructorError, match="no results"):
        store.read(tmp_path / "nothing")
    monkeypatch.setattr(file, "ROOM", 1 << 60)
    with pytest.raises(InstructorError, match="MB are free"):
        Store(tmp_path / "full")


def test_a_disk_that_fills_up(filled: Store, graded: Callable[..., r.Grade], tmp_path: Path) -> None:
    """What was written stays, whole; the same command may go on once there is room."""
    before = filled.results()
    pages = filled._base.execute("PRAGMA page_count").fetchone()[0]
    filled._base.execute(f"PRAGMA max_page_count = {pages + 1}")
    long = r.Note(message="x" * 20_000)
    with pytest.raises(InstructorError, match="full") as caught:
        filled.put_grade("ann", graded(notes=(long,) * 100))
    assert "what was written is kept" in caught.value.hint
    assert filled.results() == before
    filled._base.execute("PRAGMA max_page_count = 1000000")
    filled.put_grade("ann", graded(notes=(long,)))
    assert filled.results().entries[0].grade == graded(notes=(long,))


def test_a_folder_that_may_only_be_read(filled: Store, tmp_path: Path) -> None:
    """Results are read from a place where nobody may write what SQLite keeps beside them."""
    filled.close()
    code = (
        "import os, pathlib, sys; from grader.store import store\n"
        "if os.geteuid() == 0: os.setuid(65534)\n"
        "print(len(store.read(pathlib.Path(sys.argv[1])).entries))"
    )
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(tmp_path / store.NAME, folder)
        Path(folder).chmod(0o555)
        command = [sys.executable, "-c", code, folder]
        told = subprocess.run(command, capture_output=True, text=True, check=False)
        Path(folder).chmod(0o755)
    assert (told.stdout, told.returncode) == ("2\n", 0), told.stderr


def test_a_grade_with_reasons_of_an_earlier_grader(
    filled: Store, graded: Callable[..., r.Grade], recipe: Any, tmp_path: Path
) -> None:
    """They were sentences, without a code: the grade is read, and they are shown as they were."""
    reason = r.because("loss", "focal")
    model = r.GradedModel(
        name="model", total_parameters=None, trainable_parameters=None, non_trainable_parameters=None,
        layers=(), recipe=(recipe(unsupported=(reason,)),), recipe_source="submission",
    )  # fmt: skip
    filled.put_grade("ann", graded(model=model))
    with filled._writing() as base:
        base.execute(
            "UPDATE grade SET record = replace(record, ?, ?)", (reason.model_dump_json(), '"an odd loss"')
        )
    grade = store.read(tmp_path).entries[0].grade
    assert grade is not None
    assert grade.model is not None
    assert [x.sentence for x in grade.model.recipe[0].unsupported] == ["an odd loss"]


def test_tables_of_another_version(filled: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Older ones are brought up with all that is in them; newer ones are left alone."""
    before = filled.results()
    filled.close()
    step = "ALTER TABLE student ADD COLUMN colour TEXT NOT NULL DEFAULT 'blue';"
    monkeypatch.setattr(file, "STEPS", (*tables.STEPS, step))
    with pytest.raises(InstructorError, match="older grader"):
        store.read(tmp_path)
    newer = Store(tmp_path)
    assert newer.results() == before
    assert newer._base.execute("SELECT DISTINCT colour FROM student").fetchall() == [("blue",)]
    newer.close()
    monkeypatch.setattr(file, "STEPS", tables.STEPS)
    for use in (Store, store.read):
        with pytest.raises(InstructorError, match="newer grader"):
            use(tmp_path)


def test_a_step_that_fails_changes_nothing(
    filled: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a step is no step."""
    before = filled.results()
    filled.close()
    step = "ALTER TABLE student ADD COLUMN colour TEXT; CREATE TABLE student (id TEXT);"
    monkeypatch.setattr(file, "STEPS", (*tables.STEPS, step))
    with pytest.raises(InstructorError):
        Store(tmp_path)
    monkeypatch.setattr(file, "STEPS", tables.STEPS)
    assert store.read(tmp_path) == before
