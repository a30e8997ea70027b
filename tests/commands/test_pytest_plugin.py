"""The pytest plugin in processes of its own: items, xdist, junitxml, --lf, and strangers' conftests."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
RUBRIC = """
title = "Small"
[[criterion]]
id = "size"
kind = "parameter_limit"
points = 1
limit = 20000
[[criterion]]
id = "dropout"
kind = "required_layer"
points = 1
layer = "Dropout"
[[criterion]]
id = "pooling"
kind = "required_layer"
points = 1
layer = "GlobalAveragePooling2D"
required = false
[[criterion]]
id = "accuracy"
kind = "validation_accuracy"
points = 1
threshold = 0.99
"""


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """Two saved models and a notebook without code. Strangers' test files lie about."""
    (tmp_path / "rubric.toml").write_text(RUBRIC)
    work = tmp_path / "work"
    for name, source in (("alpha", "8-saved-keras/model.keras"), ("beta", "9-saved-h5/model.h5")):
        (work / name).mkdir(parents=True)
        shutil.copy(ROOT / "submissions" / source, work / name)
    (work / "test_gamma").mkdir()
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("to do")])
    nbformat.write(notebook, work / "test_gamma" / "work.ipynb")
    for place in ("conftest.py", "test_gamma/conftest.py", "test_gamma/test_x.py"):
        (work / place).write_text(f"open({str(tmp_path / 'trapped')!r}, 'w')")
    return tmp_path


def run(
    course: Path, *arguments: str, start: tuple[str, ...] = ("grader", "pytest")
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", *start, *arguments]
    done = subprocess.run(command, cwd=course, capture_output=True, text=True, timeout=500, check=False)
    assert not (course / "trapped").exists(), "a student's file was imported"
    return done


GRADING = ("--grader-rubric", "rubric.toml", "--grader-no-retrain", "--grader-isolation", "none")


def test_items_junit_and_last_failed(course: Path) -> None:
    """Each submission × criterion is an item that fails with the verdict's message; --lf runs it again."""
    done = run(course, *GRADING, "work", "-v", "--junitxml", "r.xml")
    assert done.returncode == 1
    assert "work/beta::size PASSED" in done.stdout
    assert "work/beta::accuracy SKIPPED" in done.stdout
    assert "work/beta::pooling XFAIL" in done.stdout
    assert "work/test_gamma::size FAILED" in done.stdout
    assert "The submission cannot be graded" in done.stdout
    assert "Traceback" not in done.stdout
    cases = list(ET.parse(course / "r.xml").getroot().iter("testcase"))
    assert len(cases) == 12
    failed = [case for case in cases if case.find("failure") is not None]
    assert {case.get("classname") for case in failed} == {"work.test_gamma"}
    again = run(course, *GRADING, "work", "--lf", "-q")
    assert "4 failed" in again.stdout
    assert "passed" not in again.stdout


def test_selecting_and_xdist(course: Path) -> None:
    """By keyword, by the id of an item, and over several processes."""
    assert "2 passed" in run(course, *GRADING, "work", "-q", "-k", "size and not gamma").stdout
    assert "1 passed" in run(course, *GRADING, "work/alpha/model.keras::size", "-q").stdout
    parallel = run(course, *GRADING, "work", "-n", "2", "-v")
    assert "LoadScopeScheduling" in parallel.stdout
    assert "4 failed, 4 passed, 2 skipped, 2 xfailed" in parallel.stdout


def test_a_wrong_rubric(course: Path) -> None:
    """A usage error before anything is collected."""
    done = run(course, "--grader-rubric", "missing.toml", "work")
    assert done.returncode == 4
    assert "missing.toml: no such rubric" in done.stderr


def test_nothing_changes_without_the_option(course: Path) -> None:
    """Ordinary tests run as always, their conftest is loaded, and grader loads nothing."""
    shutil.rmtree(course / "work")
    (course / "conftest.py").write_text("import pytest\n@pytest.fixture\ndef one():\n    return 1\n")
    (course / "test_it.py").write_text(
        "import sys\ndef test_it(one):\n    assert one == 1\n"
        "    ours = {m for m in sys.modules if m.startswith('grader.')}\n"
        "    assert ours == {'grader.commands', 'grader.commands.pytest_plugin'}\n"
        "    assert not {'pydantic', 'tensorflow', 'rich'} & set(sys.modules)\n"
    )
    done = run(course, "-q", "-p", "no:hypothesispytest", "-p", "no:randomly", start=("pytest",))
    assert "1 passed" in done.stdout, done.stdout
