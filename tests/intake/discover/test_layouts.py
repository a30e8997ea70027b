"""Every layout, as the platforms write it: who handed in what, when, and what is left out and why."""

from __future__ import annotations

import os
import unicodedata
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from grader.errors import InstructorError
from grader.intake import load
from grader.intake.discover import Found, discover

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Files below a folder `class`; a name that ends in a slash is an empty folder."""

    def files(*names: str, **contents: str) -> Path:
        for name in names:
            path = tmp_path / "class" / name
            if name.endswith("/"):
                path.mkdir(parents=True)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(contents.get(path.name.split(".")[0], "code"))
        return tmp_path / "class"

    return files


def _find(folder: Path, assignment: str = "") -> Found:
    return discover(folder, folder.parent / "scratch", assignment)


def _ids(found: Found) -> list[str]:
    return [s.student.id for s in found.submissions]


def _left(found: Found) -> dict[str, str]:
    return {x.path: x.reason for x in found.left_out}


def test_plain(write: Write) -> None:
    """A file or a folder for each student; what is none is named."""
    found = _find(
        write("anna.ipynb", "ben/work.py", "cora.PDF", "dan/", "README.md", ".DS_Store", "eve/x.txt")
    )
    assert (found.layout, _ids(found)) == ("plain", ["anna", "ben"])
    assert _left(found) == {
        "README.md": "a file about the folder, not a student's",
        "cora.PDF": "the wrong type: grader does not read .pdf",
        "dan": "an empty folder",
        "eve": "nothing of a type that grader reads, only x.txt",
    }


def test_results_among_the_submissions_are_no_submission(write: Write) -> None:
    """Whoever keeps them in the class folder can grade again."""
    found = _find(write("anna.ipynb", "out/results.sqlite", "out/feedback.md"))
    assert _ids(found) == ["anna"]
    assert _left(found) == {"out": "results of grader's own"}


def test_plain_with_several_files_of_one_student(write: Write) -> None:
    """A notebook and its saved model are one submission; a file and a folder may be two: nobody can tell."""
    found = _find(write("anna.py", "anna.json", "ben.py", "ben/work.py", "cora.py"))
    assert _ids(found) == ["anna", "cora"]
    assert sorted(p.name for p in found.submissions[0].place.iterdir()) == ["anna.json", "anna.py"]
    assert set(_left(found)) == {"ben.py", "ben"}
    assert "nothing says which is the later one" in _left(found)["ben"]


def test_nbgrader(write: Write) -> None:
    """`submitted/` with timestamps; several assignments want a choice, and a student may lack one."""
    folder = write(
        "submitted/ann/ps1/p.ipynb", "submitted/ann/ps1/timestamp.txt", "submitted/ben/ps1/p.ipynb",
        "submitted/ann/ps2/p.ipynb", "release/ps1/p.ipynb",
        timestamp="2015-02-02 15:58:23.948203 UTC\n",
    )  # fmt: skip
    with pytest.raises(InstructorError, match="several assignments: ps1, ps2"):
        _find(folder)
    found = _find(folder, "ps1")
    assert (found.layout, _ids(found)) == ("nbgrader", ["ann", "ben"])
    assert found.submissions[0].handed_in.submitted_at == "2015-02-02T15:58:23+00:00"
    assert found.submissions[0].handed_in.path == "submitted/ann/ps1"
    assert _left(_find(folder, "ps2")) == {"submitted/ben": "nothing handed in for ps2"}
    assert _ids(_find(folder / "submitted", "ps1")) == ["ann", "ben"]


def test_gradescope(write: Write) -> None:
    """The metadata says who and when, in Ruby's YAML; the later one counts; all of a group are graded."""
    metadata = """
submission_1:
  :submitters:
  - :name: Ann Li
    :sid: '11'
    :email: ann@x.org
  :created_at: 2023-09-01 12:00:00.000000000 Z
  :score: 0.0
submission_2:
  :submitters:
  - :name: Ann Li
    :sid: '11'
  :created_at: !ruby/object:ActiveSupport::TimeWithZone 2023-09-02 12:00:00.000000000 Z
submission_3:
  :submitters:
  - :name: Ben
    :sid: '12'
  - :name: Cy
    :email: cy@x.org
  :created_at: 2023-09-01 10:00:00 Z
submission_4:
  :submitters: []
submission_5:
  :submitters:
  - :name: Dan
../evil:
  :submitters:
  - :name: Eve
"""
    names = [f"assignment_9_export/submission_{n}/a.py" for n in (1, 2, 3, 4, 6)]
    folder = write(*names, "assignment_9_export/submission_metadata.yml", submission_metadata=metadata)
    found = _find(folder)
    assert (found.layout, _ids(found)) == ("gradescope", ["ann-li-11", "ben-12", "cy-cy"])
    ann = found.submissions[0].handed_in
    assert (ann.path, ann.submitted_at[:19]) == ("submission_2", "2023-09-02T12:00:00")
    assert ann.keys == {"submission": "2", "sid": "11"}
    assert found.submissions[1].place == found.submissions[2].place
    assert found.submissions[2].student.email == "cy@x.org"
    assert _left(found)["submission_1"] == "handed in again later: submission_2 counts"
    assert set(_left(found)) == {"submission_1", "submission_4", "submission_5", "submission_6"}


def test_canvas(write: Write) -> None:
    """Late marks, versions by the number of the upload, other files, and no files at all."""
    found = _find(
        write(
            "liann_101_900_cnn.py", "liann_101_901_cnn-1.py", "liann_101_902_model.json",
            "mayben_LATE_102_910_my_work_2.ipynb", "zoe_103_920_report.pdf", "poe_104_text.html",
        )
    )  # fmt: skip
    assert (found.layout, _ids(found)) == ("canvas", ["liann-101", "mayben-102"])
    ann, ben = found.submissions
    assert sorted(p.name for p in ann.place.iterdir()) == ["cnn-1.py", "model.json"]
    assert ben.handed_in.late
    assert ben.handed_in.keys == {"user": "102", "file": "910", "name": "mayben_LATE_102_910_my_work_2.ipynb"}
    assert _left(found) == {
        "liann_101_900_cnn.py": "handed in again later: liann_101_901_cnn-1.py counts",
        "zoe_103_920_report.pdf": "the wrong type: grader does not read .pdf",
        "poe_104_text.html": "text typed into Canvas, no file",
    }


def test_canvas_anonymous(write: Write) -> None:
    """Without names; the mark for late ones comes first."""
    found = _find(write("anon_7_900_a.py", "LATE_anon_8_901_b.py"))
    assert (found.layout, _ids(found)) == ("canvas", ["anon-7", "anon-8"])
    assert [s.handed_in.late for s in found.submissions] == [False, True]


def test_moodle(write: Write) -> None:
    """Folders with and without the trailing underscore, flat files, and text that was typed in."""
    found = _find(
        write(
            "Ann Li_11_assignsubmission_file/a.py", "Ben_de_la_May_12_assignsubmission_file_/b.py",
            "Cy O'Neil_13_assignsubmission_file_model.py", "Cy O'Neil_13_assignsubmission_file_other.json",
            "Ann Li_11_assignsubmission_onlinetext/t.html", "Dan_14_assignsubmission_file/",
        )
    )  # fmt: skip
    assert (found.layout, _ids(found)) == ("moodle", ["ann-li-11", "ben_de_la_may-12", "cy-o-neil-13"])
    assert found.submissions[0].handed_in.keys["participant"] == "11"
    assert found.submissions[1].student.name == "Ben_de_la_May"
    assert sorted(p.name for p in found.submissions[2].place.iterdir()) == ["model.py", "other.json"]
    assert _left(found) == {
        "Ann Li_11_assignsubmission_onlinetext": "text typed into Moodle, no file",
        "Dan_14_assignsubmission_file": "an empty folder",
    }


def test_repository(write: Write) -> None:
    """A checkout is one student's."""
    found = _find(write(".git/HEAD", "work.ipynb"))
    assert (found.layout, _ids(found)) == ("repository", ["class"])


@pytest.mark.parametrize("top", ["", "class/"])
@pytest.mark.parametrize(
    ("layout", "names"),
    [
        ("plain", ["ann.py", "ben/b.py"]),
        ("nbgrader", ["submitted/ann/p/a.py", "submitted/ben/p/a.py"]),
        ("canvas", ["annli_1_2_a.py", "benli_3_4_b.py"]),
        ("moodle", ["Ann_1_assignsubmission_file/a.py", "Ben_2_assignsubmission_file/b.py"]),
    ],
)
def test_each_as_a_zip(tmp_path: Path, layout: str, names: list[str], top: str) -> None:
    """With or without a folder around it."""
    with zipfile.ZipFile(tmp_path / "class.zip", "w") as archive:
        for name in names:
            archive.writestr(f"{top}{name}", "code")
        archive.writestr("__MACOSX/x", "")
    found = _find(tmp_path / "class.zip")
    assert found.layout == layout
    assert [i[:3] for i in _ids(found)] == ["ann", "ben"]


def test_what_is_odd_in_a_zip_is_left_out(tmp_path: Path) -> None:
    """Paths that leave, links, doubles and names that are too long; the rest is graded, zips within too."""
    with zipfile.ZipFile(tmp_path / "class.zip", "w") as archive:
        archive.writestr("ann.py", "code")
        archive.writestr("../../evil.py", "code")
        archive.writestr("/root.py", "code")
        link = zipfile.ZipInfo("link.py")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("x" * 300 + ".py", "code")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("ann.py", "other")
        archive.writestr("ben.zip", b"no zip")
        archive.writestr("dan/", "")
    found = _find(tmp_path / "class.zip")
    assert _ids(found) == ["ann", "ben"]
    assert (tmp_path / "scratch/class/ann.py").read_text() == "code"
    assert not (tmp_path.parent / "evil.py").exists()
    assert len(found.left_out) == 6
    assert _left(found)["dan"] == "an empty folder"
    assert "twice" in _left(found)["ann.py"]


def test_links_and_what_cannot_be_read(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link may lead anywhere; a folder that cannot be read is no empty one."""
    folder = write("ann.py", "ben/b.py", "cy/c.py")
    (folder / "dan.py").symlink_to("/etc/passwd")
    (folder / "eve").symlink_to(folder / "ben")
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: "cy" not in str(path) and real(path, mode))
    found = _find(folder)
    assert _ids(found) == ["ann", "ben"]
    assert "a link" in _left(found)["dan.py"]
    assert "a link" in _left(found)["eve"]
    assert "cannot be read" in _left(found)["cy"]


def test_names_that_read_the_same(write: Write) -> None:
    """Both are graded, under ids of their own, and it is said."""
    composed, decomposed = (unicodedata.normalize(form, "José") for form in ("NFC", "NFD"))
    folder = write("Ann Li.py", "ann-li/a.py", f"{composed}.py", f"{decomposed}.py", "zed.py")
    first, again = _find(folder), _find(folder)
    ids = _ids(first)
    assert len(set(ids)) == 5
    assert "zed" in ids
    assert all(i.startswith(("ann-li-", "josé-", "zed")) for i in ids)
    assert len(first.notes) == 2
    assert _ids(again) == ids


@pytest.mark.parametrize(
    "name",
    ["a..", "…", "a\nb", "\x1b[31mred", "\u202eevil", "n" * 250, "李雷", "CON", "a∕..∕b", "-rf", "$(id)"],
)
def test_ids_are_safe_file_names(write: Write, name: str) -> None:
    """Whatever a student is called: no separator, no control character, nothing hidden, nothing too long."""
    found = _find(write(f"{name}.py", "other.py"))
    own = next(s.student.id for s in found.submissions if s.student.id != "other")
    assert own == Path(own).name
    assert own.isprintable()
    assert not own.startswith((".", "-"))
    assert len(own.encode()) <= 255
    assert own.casefold() != "con"
    assert len({*_ids(found)}) == 2


def test_names_that_are_no_text(write: Write) -> None:
    """Bytes that are no UTF-8 in a file name: graded like any other."""
    folder = write("ann.py")
    os.rename(os.fsencode(folder / "ann.py"), os.fsencode(folder) + b"/b\xff\xfe.py")
    found = _find(folder)
    assert len(found.submissions) == 1
    assert found.submissions[0].handed_in.model_dump_json()
    assert load.load(found.submissions[0].place, folder.parent).program.cells


def test_nothing_to_grade(write: Write, tmp_path: Path) -> None:
    """Said before anything else is done, with what was seen."""
    with pytest.raises(InstructorError, match="no such folder"):
        _find(tmp_path / "none")
    with pytest.raises(InstructorError, match="no submission in it") as caught:
        _find(write("report.pdf"))
    assert "report.pdf: the wrong type" in caught.value.message
    (tmp_path / "bad.zip").write_bytes(b"PK nothing")
    with pytest.raises(InstructorError, match="not a readable zip"):
        _find(tmp_path / "bad.zip")
    (tmp_path / "class" / "submission_metadata.yml").write_text("a: [")
    with pytest.raises(InstructorError, match="cannot be read"):
        _find(tmp_path / "class")
