"""Canvas, Moodle and nbgrader: exported files are filled in, and nothing else in them changes."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from samples import verdict

from grader import records as r
from grader.errors import InstructorError
from grader.report import FORMATS, deliver
from grader.report.interface import Context, Files

FIXTURES = Path(__file__).parent / "fixtures"
Make = Callable[..., r.Grade]


def student(number: int, grade: r.Grade | None, **keys: str) -> r.Entry:
    short = ("", "one", "two", "three", "four")[number]
    name = f"Student {short.title()}"
    return r.Entry(
        student=r.Student(id=short, name=name, email=f"{short}@example.edu"),
        handed_in=r.HandedIn(layout="canvas", path=short, keys=keys),
        grade=grade,
    )


def a_class(*entries: r.Entry) -> r.ClassResults:
    return r.ClassResults(rubric="Assignment 4", max_points=100, entries=entries)


def graded(make: Make, points: float, **changes: object) -> r.Grade:
    verdicts = (verdict("pass", points=points, max_points=100),)
    given = {"points": points, "verdicts": verdicts, "target": r.Target(images=1, epochs=1)}
    return make(**(given | changes))


def filled(name: str, results: r.ClassResults, file: str, **changes: str) -> Files:
    made = deliver.make(results, name, Context(gradebook=FIXTURES / file, **changes))
    assert isinstance(made, dict)
    return made


def rows(raw: str | bytes, delimiter: str = ",") -> list[list[str]]:
    text = raw.decode("utf-8-sig") if isinstance(raw, bytes) else raw
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))


# --- Canvas -------------------------------------------------------------------------------------


def test_canvas_fills_one_column(make: Make) -> None:
    """Points on Canvas's scale with two decimals; every other cell, the mark and the line ends stay."""
    results = a_class(
        student(1, graded(make, 66.67), user="501"),
        student(2, graded(make, 100), user="502"),
        student(3, graded(make, 100), user="503"),
    )
    made = filled("canvas", results, "canvas.csv")
    before = (FIXTURES / "canvas.csv").read_bytes()
    after = made["canvas.csv"]
    assert isinstance(after, bytes)
    assert after.startswith(b"\xef\xbb\xbf")
    assert after.count(b"\r\n") == before.count(b"\r\n")
    old, new = rows(before), rows(after)
    changed = {(n, k) for n, row in enumerate(old) for k, cell in enumerate(row) if new[n][k] != cell}
    assert changed == {(3, 7), (4, 7)}
    assert (new[3][7], new[4][7]) == ("33.34", "50.00")
    told = made["remarks.txt"]
    assert "three: excused (EX); the cell stays" in told
    assert "Four, Student: in the gradebook, not among the results" in told
    assert "scaled: 100 points of the rubric are 50 in Canvas" in told


def test_canvas_semicolons_and_logins(make: Make) -> None:
    """The delimiter stays, and a login or e-mail address finds its row."""
    made = filled("canvas", a_class(student(2, graded(make, 75.5))), "canvas-semicolons.csv")
    assert rows(made["canvas.csv"], ";")[3] == ["Two, Student", "502", "two@example.edu", "DL-1", "75.50"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"status": "needs_person", "needs_review": True}, "needs a person"),
        ({"status": "interrupted"}, "interrupted"),
        ({"verdicts": (verdict("broken"),)}, "broken"),
        (
            {"status": "structure_only", "target": None,
             "verdicts": (verdict("not_reached", kind="validation_accuracy", message="not retrained"),)},
            "not retrained",
        ),
    ],
)  # fmt: skip
def test_unsettled_grades_write_nothing(make: Make, changes: dict[str, object], why: str) -> None:
    """A blank over a grade would be a change, and a zero an injustice: the cell stays as it was."""
    results = a_class(student(2, graded(make, 40, **changes), user="502"), student(4, None, user="504"))
    made = filled("canvas", results, "canvas.csv")
    new = rows(made["canvas.csv"])
    assert (new[4][7], new[6][7]) == ("31.5", "12")
    assert f"two: {why}" in made["remarks.txt"]
    assert "four: not graded" in made["remarks.txt"]


def test_canvas_never_makes_an_assignment(make: Make) -> None:
    """An unknown title would create one: it is refused, and what there is is listed."""
    results = a_class(student(1, graded(make, 1), user="501"))
    with pytest.raises(InstructorError, match="'Assignment 9' is not one assignment") as caught:
        filled("canvas", results, "canvas.csv", column="Assignment 9")
    assert "Warm-up (1001); Assignment 4 (1002)" in caught.value.hint
    by_id = filled("canvas", results, "canvas.csv", column="1001")
    assert rows(by_id["canvas.csv"])[3][6] == "0.10"
    other = results.model_copy(update={"rubric": "Other"})
    with pytest.raises(InstructorError, match="several assignments"):
        filled("canvas", other, "canvas.csv")


def test_canvas_feedback_is_named_for_upload(make: Make) -> None:
    """A feedback file carries the name of the file that Canvas gave out, and holds the student's page."""
    name = "onestudent_LATE_501_9001_work.ipynb"
    made = filled("canvas", a_class(student(1, graded(make, 9), user="501", name=name)), "canvas.csv")
    archive = zipfile.ZipFile(io.BytesIO(made["feedback.zip"]))  # type: ignore[arg-type]
    assert archive.namelist() == [f"{name}.html"]
    assert b"alice.ipynb" in archive.read(f"{name}.html")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nonsense", "does not look like Canvas's export"),
        ("Name,ID,x\na,b,c\n", "does not look like Canvas's export"),
        ("Student,ID,A (1)\nx,1\n", "row 2 has 2 cells"),
        ("Student,ID,A (1)\nx,1,\n", "no points possible"),
    ],
)
def test_other_files_are_refused(make: Make, tmp_path: Path, text: str, message: str) -> None:
    """What is no export of Canvas is named as such, and nothing is written."""
    book = tmp_path / "book.csv"
    book.write_text(text)
    with pytest.raises(InstructorError, match=message):
        deliver.make(a_class(student(1, graded(make, 1))), "canvas", Context(gradebook=book))


def test_without_a_gradebook(make: Make) -> None:
    """The exported file is asked for: it is filled in, never made up."""
    for name in ("canvas", "moodle"):
        with pytest.raises(InstructorError, match="none was named"):
            deliver.make(a_class(student(1, graded(make, 1))), name, Context())


# --- Moodle -------------------------------------------------------------------------------------


def test_moodle_fills_in(make: Make) -> None:
    """Grade and comment of those who have one; a locked row is left alone and told of."""
    results = a_class(
        student(1, graded(make, 92.5), participant="71"),
        student(3, graded(make, 100), participant="73"),
    )
    made = filled("moodle", results, "moodle.csv")
    new, old = rows(made["moodle.csv"]), rows((FIXTURES / "moodle.csv").read_bytes())
    assert new[1][4] == "92.50"
    assert new[1][9] == "<p>the pass one: pass, 92.5 of 100</p>"
    assert new[2:] == old[2:]
    assert "three: locked in Moodle" in made["remarks.txt"]
    assert "Participant 72: in the worksheet, not among the results" in made["remarks.txt"]


def test_moodle_in_german(make: Make) -> None:
    """Headers, words and decimals of another language: columns are found by what is in them."""
    results = a_class(student(1, graded(make, 33.33), participant="71"), student(2, graded(make, 1)))
    made = filled("moodle", results, "moodle-de.csv")
    new = rows(made["moodle.csv"], ";")
    assert (new[1][4], new[2][4]) == ("16,66", "12,50")
    assert "two: locked in Moodle" in made["remarks.txt"]
    assert "100 points of the rubric are 50 in Moodle" in made["remarks.txt"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Student One_71_assignsubmission_file", "Student One_71_assignsubmission_file/feedback.html"),
        ("Student One_71_assignsubmission_file_", "Student One_71_assignsubmission_file_/feedback.html"),
        (
            "Student One_71_assignsubmission_file_work.ipynb",
            "Student One_71_assignsubmission_file_feedback.html",
        ),
    ],
)
def test_moodle_feedback_is_named_for_upload(make: Make, name: str, expected: str) -> None:
    """Feedback lies where the submission lay in Moodle's own zip."""
    made = filled("moodle", a_class(student(1, graded(make, 9), participant="71", name=name)), "moodle.csv")
    assert zipfile.ZipFile(io.BytesIO(made["feedback.zip"])).namelist() == [expected]  # type: ignore[arg-type]


def test_moodle_comments_hide_what_is_hidden(make: Make) -> None:
    """A comment names no hidden criterion, and its text is HTML for certain."""
    verdicts = (verdict("pass", title="<b>a</b>"), verdict("fail", title="secret", hidden=True))
    grade = graded(make, 50, verdicts=verdicts)
    made = filled("moodle", a_class(student(1, grade, participant="71")), "moodle.csv")
    comment = rows(made["moodle.csv"])[1][9]
    assert "secret" not in comment
    assert "&lt;b&gt;a&lt;/b&gt;" in comment


# --- nbgrader -----------------------------------------------------------------------------------


def test_nbgrader(make: Make) -> None:
    """The columns of nbgrader's export; who has no settled grade has an empty score."""
    entry = student(1, graded(make, 87.25), student_id="hacker", assignment="ps4")
    unclear = student(2, graded(make, 5, status="needs_person"))
    made = rows(FORMATS["nbgrader"].many(a_class(entry, unclear), Context()))
    first, second = (dict(zip(made[0], row, strict=True)) for row in made[1:])
    assert (first["assignment"], first["student_id"]) == ("ps4", "hacker")
    assert (first["score"], first["max_score"]) == ("87.25", "100")
    assert (first["first_name"], first["last_name"]) == ("Student", "One")
    assert second["score"] == ""


# --- isolation ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [n for n, f in FORMATS.items() if f.reader != "person"])
def test_no_gradebook_without_isolation(make: Make, name: str) -> None:
    """A grade made without isolation is refused, whichever platform's format is asked for."""
    provenance = make().provenance.model_copy(update={"isolated": False})
    grade = graded(make, 1, provenance=provenance)
    with pytest.raises(InstructorError, match="graded without isolation"):
        deliver.make(a_class(student(1, grade)), name, Context())
    if FORMATS[name].single:
        with pytest.raises(InstructorError, match="graded without isolation"):
            deliver.of_one(grade, name, Context())


def test_a_throwaway_container_counts_for_its_platform_only(make: Make) -> None:
    """On request, where no process outlives its submission, and never for a gradebook of a whole class."""
    provenance = make().provenance.model_copy(update={"isolated": False})
    grade, allowed = graded(make, 1, provenance=provenance), Context(throwaway=True)
    with pytest.raises(InstructorError, match="graded without isolation") as caught:
        deliver.of_one(grade, "gradescope", allowed)
    assert "where grader runs as root" in caught.value.hint
    provenance = provenance.model_copy(update={"contained": True})
    grade = graded(make, 1, provenance=provenance)
    assert "isolated" in str(deliver.of_one(grade, "gradescope", allowed))
    with pytest.raises(InstructorError, match="graded without isolation"):
        deliver.make(a_class(student(1, grade)), "nbgrader", allowed)
