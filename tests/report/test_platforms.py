"""What graders inside a platform write: its shape, equal points everywhere, hidden criteria, crashes."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from samples import verdict

from grader import records as r
from grader.errors import BrokenError, InstructorError
from grader.report import FORMATS, words
from grader.report.interface import Context

Make = Callable[..., r.Grade]
RUNNER = {
    "CLASSROOM": "dl-26",
    "ASSIGNMENT": "a4",
    "SUBMISSION_TAG": "submit/2026-11-02",
    "COMMIT_URL": "https://github.com/dl/one/commit/abc",
    "RELEASE_URL": "https://github.com/dl/one/releases/tag/x",
    "COMMIT_DATETIME": "2026-11-02T10:30:00+01:00",
}
CONTEXT = Context(environment=RUNNER)
THIRDS = (
    verdict("borderline", criterion="a", title="a", points=33.33, max_points=33.33, required=True),
    verdict("borderline", criterion="b", title="b", points=16.67, max_points=33.34, required=True),
    verdict("fail", criterion="c", title="c", points=0.1, max_points=33.33, required=True),
)
TARGET = r.Target(correct=9940, images=10_000, epochs=20)


@pytest.fixture
def fractions(make: Make) -> r.Grade:
    """Points with fractions that binary numbers cannot hold."""
    return make(status="not_passed", points=50.1, max_points=100, verdicts=THIRDS, target=TARGET)


def decoded(name: str, grade: r.Grade) -> Any:
    shown = FORMATS[name](grade, CONTEXT)
    assert isinstance(shown, str)
    if name == "autolab":
        return json.loads(shown.splitlines()[-1])
    return json.loads(
        base64.b64decode(shown.removeprefix("result=")) if name == "github-classroom" else shown
    )


def test_fractional_points_are_equal_everywhere(fractions: r.Grade) -> None:
    """The same digits in every list of points, and sums that are sums of what is shown."""
    scope = decoded("gradescope", fractions)
    assert [t["score"] for t in scope["tests"]] == [33.33, 16.67, 0.1]
    assert scope["score"] == 50.1
    learn = decoded("prairielearn", fractions)
    assert [t["points"] for t in learn["tests"]] == [33.33, 16.67, 0.1]
    assert learn["score"] == 0.501
    assert decoded("autolab", fractions)["scores"] == {"a": 33.33, "b": 16.67, "c": 0.1}
    fifty = decoded("classroom50", fractions)
    assert [t["score"] for t in fifty["tests"]] == [3333, 1667, 10]
    assert (fifty["score"], fifty["max-score"]) == (5010, 10000)
    legacy = decoded("github-classroom", fractions)
    assert [t["score"] for t in legacy["tests"]] == [33.33, 16.67, 0.1]
    for name in ("terminal", "markdown", "html", "junit", "github-output"):
        assert "50.1" in str(FORMATS[name](fractions, CONTEXT))
    for name in ("terminal", "markdown", "html"):
        assert "16.67" in str(FORMATS[name](fractions, CONTEXT))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (7, "7"),
        (7.5, "7.5"),
        (33.333333, "33.33"),
        (0.1 + 0.2, "0.3"),
        (12345.67, "12345.67"),
        (0, "0"),
        (100.0, "100"),
    ],
)
def test_points_in_words(value: float, text: str) -> None:
    """At most two decimals, none that are zeros, and no rounding of large numbers."""
    assert words.points(value) == text
    assert float(text) == words.number(value)


def test_gradescope_has_the_platforms_shape(full: r.Grade) -> None:
    """Only keys and values that Gradescope documents."""
    problem_free = full.model_copy(update={"problem": None, "target": TARGET})
    made = decoded("gradescope", problem_free)
    assert set(made) == {
        "score", "execution_time", "output", "output_format", "test_output_format", "test_name_format",
        "visibility", "stdout_visibility", "extra_data", "tests", "leaderboard",
    }  # fmt: skip
    allowed = {"score", "max_score", "status", "name", "number", "output", "visibility", "tags", "extra_data"}
    for test in made["tests"]:
        assert set(test) <= allowed
        assert test.get("status", "passed") in ("passed", "failed")
        assert test["visibility"] in ("hidden", "after_due_date", "after_published", "visible")
    assert {(x["name"], x["order"]) for x in made["leaderboard"]} == {
        ("parameters", "asc"),
        ("accuracy", "desc"),
    }


# --- what is not decided ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["broken", "unsupported", "interrupted"])
def test_our_fault_is_no_zero(make: Make, kind: str) -> None:
    """No platform gets a score where grading failed: none of them can show a zero."""
    grade = make(
        status="needs_person", points=0, verdicts=(verdict("broken", points=0),),
        problem=r.Problem(kind=kind, message="Traceback\nMemoryError: out of memory"),
    )  # fmt: skip
    scope = decoded("gradescope", grade)
    assert "score" not in scope
    assert scope["tests"] == []
    assert decoded("prairielearn", grade)["gradable"] is False
    assert "score" not in decoded("prairielearn", grade)
    assert decoded("autolab", grade) == {"scores": {}}
    legacy = decoded("github-classroom", grade)
    assert legacy["status"] == "error"
    with pytest.raises(BrokenError):
        FORMATS["classroom50"](grade, CONTEXT)
    assert "Traceback" not in json.dumps(scope) or kind == "unsupported"


def test_a_students_fault_is_a_zero_with_a_reason(make: Make) -> None:
    """A notebook that does not run has its points, and says in which cell it fails."""
    problem = r.Problem(kind="student", message="NameError: x", hint="Define it.", cell=3, excerpt="print(x)")
    grade = make(status="not_passed", points=0, verdicts=(verdict("not_reached", points=0),), problem=problem)
    scope = decoded("gradescope", grade)
    assert scope["score"] == 0
    assert "(cell 3):\nNameError: x\n> print(x)\nDefine it." in scope["output"]
    assert decoded("prairielearn", grade)["gradable"] is True


def test_the_structural_tier_leaves_accuracy_for_later(make: Make) -> None:
    """Graded without retraining: those points are in no total, and the student is told."""
    later = verdict("not_reached", kind="validation_accuracy", criterion="accuracy", points=0, max_points=40)
    grade = make(
        status="structure_only", points=60, verdicts=(verdict("pass", points=60, max_points=60), later)
    )
    scope = decoded("gradescope", grade)
    assert [t["max_score"] for t in scope["tests"]] == [60]
    assert "decided later" in scope["output"]
    assert decoded("prairielearn", grade)["score"] == 1.0
    assert "accuracy" not in decoded("autolab", grade)["scores"]


def test_a_verdict_for_a_person_is_neither_passed_nor_failed(make: Make) -> None:
    """What a person decides later is no failure now."""
    open_one = verdict("not_reached", kind="manual", points=0, needs_review=True)
    made = decoded("gradescope", make(verdicts=(open_one,), target=TARGET))
    assert "status" not in made["tests"][0]
    assert "A person will look" in made["output"]


# --- Classroom 50 and GitHub Classroom ----------------------------------------------------------


def test_classroom50_contract(fractions: r.Grade) -> None:
    """The keys of schema classroom50/result/v1; totals are sums; the time is the commit's in UTC."""
    made = decoded("classroom50", fractions)
    assert list(made) == [
        "schema", "classroom", "assignment", "submission", "commit", "release", "review", "datetime", "score",
        "max-score", "tests",
    ]  # fmt: skip
    assert made["schema"] == "classroom50/result/v1"
    assert made["datetime"] == "2026-11-02T09:30:00Z"
    assert made["review"] == RUNNER["COMMIT_URL"]
    assert all(set(t) == {"test-name", "passed", "score", "max-score"} for t in made["tests"])
    assert all(type(t["score"]) is int for t in made["tests"])


def test_classroom50_integers_stay_as_they_are(make: Make) -> None:
    """Only where points have fractions are they given in hundredths; names stay apart."""
    twins = (
        verdict("pass", criterion="a", title="x", points=3),
        verdict("fail", criterion="b", title="x", points=0),
    )
    made = decoded("classroom50", make(verdicts=twins, target=TARGET))
    assert (made["score"], made["max-score"]) == (3, 20)
    assert [t["test-name"] for t in made["tests"]] == ["x (a)", "x (b)"]


def test_classroom50_needs_its_runner(make: Make) -> None:
    """Outside a runner the missing variables are named."""
    with pytest.raises(InstructorError, match="CLASSROOM, ASSIGNMENT"):
        FORMATS["classroom50"](make(), Context())


def test_classroom50_knows_the_commit_by_the_push(make: Make, tmp_path: Path) -> None:
    """The time of the commit that is graded, from GitHub's own event; of another commit it is not taken."""
    event = {"ref": "x", "head_commit": {"id": "abc", "timestamp": "2026-11-02T10:30:00+01:00", "more": {}}}
    (tmp_path / "event.json").write_text(json.dumps(event))
    runner = {k: v for k, v in RUNNER.items() if k != "COMMIT_DATETIME"}
    runner |= {"GITHUB_EVENT_PATH": str(tmp_path / "event.json"), "GITHUB_SHA": "abc"}
    made = json.loads(FORMATS["classroom50"](make(), Context(environment=runner)))
    assert made["datetime"] == "2026-11-02T09:30:00Z"
    for wrong in ({"GITHUB_SHA": "abd"}, {"GITHUB_EVENT_PATH": str(tmp_path)}, {"GITHUB_EVENT_PATH": ""}):
        with pytest.raises(InstructorError, match="lacks COMMIT_DATETIME,"):
            FORMATS["classroom50"](make(), Context(environment=runner | wrong))


def test_github_classroom_always_has_scores_and_lines(full: r.Grade) -> None:
    """A missing score was shown as NaN, a missing line broke the reporter."""
    made = decoded("github-classroom", full.model_copy(update={"problem": None}))
    assert made["version"] == 1
    assert made["status"] == "fail"
    for test in made["tests"]:
        assert set(test) == {
            "name",
            "status",
            "score",
            "message",
            "test_code",
            "filename",
            "line_no",
            "duration",
        }
        assert isinstance(test["score"], int | float)
        assert test["line_no"] >= 1


# --- written even when grading crashed ----------------------------------------------------------


def cli(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from grader.cli import main; main()", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)


def test_results_are_written_even_when_grading_cannot_start(tmp_path: Path) -> None:
    """A rubric that does not exist: exit code 2, and the platforms' files say that grading failed."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x = 1")])
    nbformat.write(notebook, tmp_path / "work.ipynb")
    done = cli(
        "check", "work.ipynb", "--rubric", "missing.toml", "-f", "gradescope=r/results.json",
        "-f", "prairielearn=pl.json", "-f", "junit=j.xml", "-f", "classroom50=c.json", folder=tmp_path,
    )  # fmt: skip
    assert done.returncode == 2
    made = json.loads((tmp_path / "r" / "results.json").read_text())
    assert "no fault of this submission: missing.toml: no such rubric" in made["output"]
    assert "score" not in made
    assert json.loads((tmp_path / "pl.json").read_text())["gradable"] is False
    assert "no such rubric" in (tmp_path / "j.xml").read_text()
    assert not (tmp_path / "c.json").exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["j.xml", "pl.json", "r", "work.ipynb"]


def test_several_formats_at_once(tmp_path: Path) -> None:
    """One grading, several reports; without a path a format is printed instead of the usual text."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("print(undefined)")])
    nbformat.write(notebook, tmp_path / "work.ipynb")
    done = cli(
        "check", "work.ipynb", "--no-retrain", "--no-isolation", "-f", "github", "-f", "html=page.html",
        "-f", "markdown=feedback.md", folder=tmp_path,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stdout.startswith("::error file=work.ipynb,line=")
    assert "NOT PASSED" not in done.stdout
    assert "NameError" in (tmp_path / "page.html").read_text()
    assert "NameError" in (tmp_path / "feedback.md").read_text()
    refused = cli(
        "check", "work.ipynb", "--no-retrain", "--no-isolation", "-f", "gradescope=x.json", folder=tmp_path
    )
    assert refused.returncode == 2
    assert "graded without isolation" in refused.stderr
    assert not (tmp_path / "x.json").exists()
    unknown = cli("check", "work.ipynb", "-f", "pdf", folder=tmp_path)
    assert unknown.returncode == 2
    assert "'pdf' is no report format" in unknown.stderr


def test_every_verdict_is_in_gradescopes_total(full: r.Grade) -> None:
    """The total is the sum of the tests, so that Gradescope and the log agree."""
    made = decoded("gradescope", full.model_copy(update={"problem": None, "target": TARGET}))
    assert made["score"] == sum(test["score"] for test in made["tests"])
