"""The reader of stored results, and reports written from them by the command line."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grader import records as r
from grader.errors import InstructorError
from grader.judge.rubric import load
from grader.report import deliver
from grader.report.interface import Context
from grader.store.results import MAX_BYTES, read
from grader.store.store import Store

ROOT = Path(__file__).parents[2]
Cli = Callable[..., subprocess.CompletedProcess[str]]


def grade(name: str = "work.ipynb", rubric: str = "Assignment 4", **changes: Any) -> r.Grade:
    verdict = r.Verdict(
        criterion="a", title="first", kind="manual", outcome="pass", points=7.5, max_points=7.5,
        required=True, message="well",
    )  # fmt: skip
    extra = verdict.model_copy(
        update={"criterion": "b", "outcome": "fail", "points": 0, "max_points": 2.5, "required": False}
    )
    provenance = r.Provenance(
        grader_version="0.1", submission_digest="a" * 64, rubric_digest="b" * 64, dataset="mnist",
        dataset_digest="c" * 64, seeds=(1,), isolation="box", isolated=True, created="2026-11-22",
    )  # fmt: skip
    given = {
        "submission": name, "rubric": rubric, "status": "passed", "points": 7.5, "max_points": 10,
        "needs_review": False, "verdicts": (verdict, extra), "provenance": provenance,
    }  # fmt: skip
    return r.Grade(**(given | changes))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Results of two students as `check --json -o` leaves them."""
    place = tmp_path / "results"
    place.mkdir()
    for name in ("beta", "alpha"):
        (place / f"{name}.json").write_text(grade(name).model_dump_json())
    return place


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from grader.cli import main; main()", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)

    return run


def test_a_folder_is_a_class(folder: Path) -> None:
    """One entry per file, in the order of the names."""
    results = read(folder)
    assert [entry.student.id for entry in results.entries] == ["alpha", "beta"]
    assert (results.rubric, results.max_points) == ("Assignment 4", 10)


def test_one_file_is_a_class_of_one(folder: Path) -> None:
    """A single grade, or a class that was written as JSON."""
    assert read(folder / "beta.json").entries[0].grade == grade("beta")
    whole = read(folder)
    (folder.parent / "class.json").write_text(whole.model_dump_json())
    assert read(folder.parent / "class.json") == whole


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "of version ''"),
        ('{"schema_version": "grader/report/9"}', "'grader/report/9'; known are"),
        ("[1]", "holds no results"),
        ("nonsense", "holds no results"),
        ('{"schema_version": "grader/report/1"}', "submission: Field required"),
        ("[" * 100_000, "holds no results"),
    ],
)
def test_other_files(tmp_path: Path, text: str, message: str) -> None:
    """What is no result is named, with what is wrong in it."""
    file = tmp_path / "x.json"
    file.write_text(text)
    with pytest.raises(InstructorError, match=message):
        read(file)


TAMPERED: dict[str, tuple[list[str | int], Any, str]] = {
    "points of a verdict": (["verdicts", 0, "points"], 8, "verdicts.0.points: 8 is not between 0 and 7.5"),
    "points below nothing": (["verdicts", 1, "points"], -1, "verdicts.1.points: -1 is not between 0 and 2.5"),
    "points for a fail": (["verdicts", 1, "points"], 2, "verdicts.1.points: 2, and its outcome 'fail'"),
    "a pass for less": (["verdicts", 0, "points"], 7, "verdicts.0.points: 7, and it passes"),
    "points": (["points"], 10, "points: 10, and the verdicts add up to 7.5"),
    "possible points": (["max_points"], 7.5, "max_points: 7.5, and the verdicts add up to 10"),
    "no finite number": (["points"], float("inf"), "points: Input should be a finite number"),
    "no number": (["points"], float("nan"), "points: Input should be a finite number"),
    "a criterion twice": (["verdicts", 1, "criterion"], "a", "verdicts.criterion: 'a' is there 2 times"),
    "passed and fails": (["verdicts", 1, "required"], True, "status: 'passed', and a required criterion"),
    "passed with a problem": (["problem"], {"kind": "broken", "message": "x"}, "status: 'passed', and its"),
    "review of a verdict": (["verdicts", 0, "needs_review"], True, "needs_review: false, and"),
    "interrupted by nothing": (["status"], "interrupted", "status: 'interrupted', and no problem"),
    "a person for nothing": (["status"], "needs_person", "status: 'needs_person', and needs_review is false"),
    "more correct than images": (["runs", 0, "epochs", 1, "correct"], 10_001, "correct: 10,001 of 10,000"),
    "correct below 0": (["runs", 0, "epochs", 1, "correct"], -1, "runs.0.epochs.1.correct: -1 of"),
    "fewer images": (["runs", 0, "epochs", 0, "images"], 9_960, "images: 9,960, and the target has 10,000"),
    "an epoch twice": (["runs", 0, "epochs", 1, "epoch"], 1, "runs.0.epochs.1.epoch: 1, and it is number 2"),
    "time that runs back": (["runs", 0, "epochs", 0, "seconds"], -1, "runs.0.epochs.0.seconds"),
    "weights of no epoch": (["runs", 0, "kept"], 9, "runs.0.kept: epoch 9, and there are 2"),
    "no recipe": (["model", "recipe"], [], "model.recipe: it is empty"),
    "parameters": (["model", "total_parameters"], 5, "model.total_parameters: 5, which is not the sum"),
    "parameters below 0": (["model", "trainable_parameters"], -80, "below 0"),
}


@pytest.fixture
def complete(run: Callable[..., r.TrainingRun], recipe: Callable[..., r.TrainingRecipe]) -> r.Grade:
    model = r.GradedModel(
        name="model", total_parameters=80, trainable_parameters=80, non_trainable_parameters=0, layers=(),
        recipe=(recipe(),), recipe_source="submission",
    )  # fmt: skip
    target = r.Target(correct=9_940, images=10_000, epochs=20)
    return grade(model=model, runs=(run([9_900, 9_950]),), target=target)


@pytest.mark.parametrize(("path", "value", "message"), TAMPERED.values(), ids=TAMPERED)
def test_what_contradicts_itself_is_refused(
    complete: r.Grade, tmp_path: Path, path: list[str | int], value: Any, message: str
) -> None:
    """Alone and within a class; named are file, field and what is wrong. As it was, it is read."""
    file = tmp_path / "x.json"
    whole = r.ClassResults(
        rubric="Assignment 4",
        max_points=10,
        entries=(
            r.Entry(
                student=r.Student(id="ann", name="Ann"),
                handed_in=r.HandedIn(layout="plain", path="x"),
                grade=complete,
            ),
        ),
    )
    for record, before in ((complete, ""), (whole, r"entries\.0\.grade\.")):
        told = json.loads(record.model_dump_json())
        file.write_text(json.dumps(told))
        read(file)
        place = told["entries"][0]["grade"] if before else told
        for part in path[:-1]:
            place = place[part]
        place[path[-1]] = value
        file.write_text(json.dumps(told))
        with pytest.raises(InstructorError, match=rf"x\.json: {before}.*{re.escape(message)}"):
            read(file)


def test_a_class_that_contradicts_itself(tmp_path: Path) -> None:
    """A student twice, a grade of another rubric's points, or a grade for nothing handed in."""
    file = tmp_path / "class.json"
    one = r.Entry(
        student=r.Student(id="ann", name="Ann"),
        handed_in=r.HandedIn(layout="plain", path="x"),
        grade=grade(),
    )
    nothing = one.model_copy(update={"handed_in": None})
    for entries, most, message in (
        ((one, one), 10, "entries.student.id: 'ann' is there 2 times"),
        ((one,), 20, "entries.0.grade.max_points: 10, and the class's rubric has 20"),
        ((nothing,), 10, "entries.0.grade: nothing was handed in"),
    ):
        file.write_text(r.ClassResults(rubric="x", max_points=most, entries=entries).model_dump_json())
        with pytest.raises(InstructorError, match=re.escape(message)):
            read(file)


def test_more_than_any_results(tmp_path: Path) -> None:
    """A file without end is not read to it."""
    with (tmp_path / "x.json").open("wb") as sparse:
        sparse.truncate(MAX_BYTES + 1)
    with pytest.raises(InstructorError, match="larger than any results"):
        read(tmp_path / "x.json")


def test_folders_that_cannot_be_reported_on(folder: Path, tmp_path: Path) -> None:
    """Missing, empty, of two rubrics, or holding a whole class."""
    with pytest.raises(InstructorError, match="no such results"):
        read(tmp_path / "none")
    with pytest.raises(InstructorError, match="no results in it"):
        read(tmp_path)
    (folder / "b.json").write_text(grade("b", rubric="Assignment 3").model_dump_json())
    with pytest.raises(InstructorError, match=r"different rubrics: .*Assignment"):
        read(folder)
    (folder / "b.json").write_text(read(folder / "beta.json").model_dump_json())
    with pytest.raises(InstructorError, match="holds a whole class"):
        read(folder)


# --- grader report ------------------------------------------------------------------------------


def test_report_of_a_class(folder: Path, cli: Cli) -> None:
    """To a file, to the screen, and one file for each student."""
    assert cli("report", "results", "-f", "html", "-o", "out/class.html").returncode == 0
    assert "alpha" in (folder.parent / "out" / "class.html").read_text()
    assert cli("report", "results", "-f", "csv").stdout.splitlines()[1].startswith("alpha,")
    assert cli("report", "results", "-f", "html", "-o", "pages/").returncode == 0
    assert sorted(p.name for p in (folder.parent / "pages").iterdir()) == ["alpha.html", "beta.html"]
    assert cli("report", "results", "-f", "markdown", "-o", "md/").returncode == 0
    assert (folder.parent / "md" / "beta.md").read_text().startswith("# beta")
    one = cli("report", "results", "-f", "terminal", "--student", "beta")
    assert "7.5 of 10 points" in one.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("results", "-f", "word"), "'word' is no report format"),
        (("results", "-f", "markdown"), "several files"),
        (("results", "-f", "csv", "--student", "nobody"), "no student 'nobody'"),
        (("nothing", "-f", "csv"), "no such results"),
    ],
)
def test_mistakes(
    folder: Path,
    cli: Cli,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    """Exit code 2, and what to do."""
    done = cli("report", *arguments)
    assert done.returncode == 2
    assert message in done.stderr


def test_formats_are_listed(cli: Cli, folder: Path) -> None:
    """`-f list` names them all."""
    assert {"html", "canvas", "junit"} <= set(cli("report", "results", "-f", "list").stdout.split())


# --- delivery -----------------------------------------------------------------------------------


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When writing fails the old report is still there, and nothing else is left behind."""
    file = tmp_path / "report.json"
    file.write_text("old")

    def full(_: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(InstructorError, match="no space left"):
        deliver.write("new", file)
    assert [p.name for p in tmp_path.iterdir()] == ["report.json"]
    assert file.read_text() == "old"


def test_a_link_in_the_output_folder_is_not_followed(tmp_path: Path) -> None:
    """Nor is a folder in it that leads elsewhere."""
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    out.mkdir()
    elsewhere.mkdir()
    (out / "a").symlink_to(elsewhere)
    with pytest.raises(InstructorError, match="is a link"):
        deliver.write({"a/b.txt": "x"}, out)
    assert list(elsewhere.iterdir()) == []


def test_appended_formats_keep_what_is_there(tmp_path: Path) -> None:
    """GitHub's files may hold lines of other steps."""
    file = tmp_path / "output"
    file.write_text("other=1\n")
    deliver.write(deliver.of_one(grade(), "github-output", Context()), file, appended=True)
    assert file.read_text().splitlines()[:2] == ["other=1", "result=passed"]


def test_json_written_is_json_read(folder: Path) -> None:
    """`report -f json` of a class is read again by `report`."""
    whole = read(folder)
    target = folder.parent / "whole.json"
    deliver.write(deliver.make(whole, "json", Context()), target)
    assert read(target) == whole
    assert json.loads(target.read_text())["schema_version"] == "grader/results/1"


def test_a_store_is_read(tmp_path: Path) -> None:
    """The folder that a batch left, or the file in it; its grades are those that were put there."""
    store = Store(tmp_path / "kept")
    rubric = load("assignment4").rubric
    student, handed_in = r.Student(id="s1", name="One"), r.HandedIn(layout="plain", path="s1")
    store.put_class(rubric, [(student, handed_in)], (), ["a note"])
    store.close()
    for place in (tmp_path / "kept", next((tmp_path / "kept").glob("*.sqlite"))):
        results = read(place)
        assert [entry.student.id for entry in results.entries] == ["s1"]
        assert results.notes == ("a note",)
    page = deliver.make(read(tmp_path / "kept"), "html", Context())
    assert "a note" in str(page)


def test_reports_of_a_batch(cli: Cli, tmp_path: Path) -> None:
    """`grader batch -f` writes reports of the class that it graded, into a file and into a folder."""
    work = tmp_path / "class" / "one"
    work.mkdir(parents=True)
    shutil.copy(ROOT / "submissions" / "8-saved-keras" / "model.keras", work)
    done = cli(
        "batch", "class", "--structure-only", "--no-isolation", "--quiet", "--out", "kept",
        "-f", "html=class.html", "-f", "markdown=feedback",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "one" in (tmp_path / "class.html").read_text()
    assert (tmp_path / "feedback" / "one.md").is_file()
    shown = cli("report", "kept", "-f", "terminal")
    assert "structure passes" in shown.stdout
    refused = cli("report", "kept", "-f", "nbgrader")
    assert refused.returncode == 2
    assert "graded without isolation" in refused.stderr
