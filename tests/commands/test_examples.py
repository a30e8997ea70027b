"""examples/: every format has its file there, and it is what the stored grades give today."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest

from grader.records import Grade
from grader.report import FORMATS

ROOT = Path(__file__).parents[2]
REPORTS = ROOT / "examples" / "reports"
BINARY = (".zip", ".parquet")  # their bytes depend on the versions of libraries


def test_reports_are_current(tmp_path: Path) -> None:
    """`make examples` would change nothing."""
    make = runpy.run_path(str(ROOT / "scripts" / "make_examples.py"))["make"]
    made = {path.relative_to(tmp_path) for path in make(tmp_path)}
    assert made == {path.relative_to(REPORTS) for path in REPORTS.rglob("*") if path.is_file()}
    for name in made:
        if name.suffix not in BINARY:
            assert (tmp_path / name).read_bytes() == (REPORTS / name).read_bytes(), name


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_has_an_example(name: str) -> None:
    """A format without one would go unseen."""
    assert list(REPORTS.rglob(f"{name}.*")) or list(REPORTS.rglob(f"{name}/*"))


def test_the_retrained_example_is_a_real_one() -> None:
    """Two attempts with every epoch, of the submission that lies in submissions/."""
    grade = Grade.model_validate_json((ROOT / "examples/grades/3-bn-dropout-schedule.json").read_text())
    assert grade.status == "passed"
    assert len(grade.runs) == 2
    assert all(run.best and run.best.correct >= 9_940 for run in grade.runs)


def test_nothing_of_this_machine_is_in_the_examples() -> None:
    """No absolute path, and grades made in isolation."""
    for path in (ROOT / "examples" / "grades").glob("*.json"):
        text = path.read_text()
        assert json.loads(text)["provenance"]["isolated"] is True
        assert '"/' not in text
