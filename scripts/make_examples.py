"""examples/reports: one file of every format, made of the stored grades in examples/grades.

`make examples` runs it; nothing is graded here. The same results give the same files.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from grader.report import FORMATS, deliver
from grader.report.interface import Context
from grader.store import results

ROOT = Path(__file__).parents[1] / "examples"
REPORTS = ROOT / "reports"
SUBMISSION = "3-bn-dropout-schedule"
GRADEBOOKS = {"canvas": "canvas.csv", "moodle": "moodle.csv"}
RUNNER = {
    "CLASSROOM": "deep-learning",
    "ASSIGNMENT": "assignment-4",
    "SUBMISSION_TAG": "submit/1",
    "COMMIT_URL": "https://github.com/OWNER/REPOSITORY/commit/0000000",
    "RELEASE_URL": "https://github.com/OWNER/REPOSITORY/releases/tag/submit/1",
    "COMMIT_DATETIME": "2026-11-02T10:30:00+01:00",
}


def make(place: Path) -> list[Path]:
    """Write every format below ``place``; returns what was written."""
    whole = results.read(ROOT / "grades")
    one = results.read(ROOT / "grades" / f"{SUBMISSION}.json")
    written = []
    for name, format_ in FORMATS.items():
        book = ROOT / "platforms" / GRADEBOOKS[name] if name in GRADEBOOKS else None
        work = ROOT.parent / "submissions" / SUBMISSION
        context = Context(gradebook=book, environment=RUNNER, submission=work)
        if format_.single:
            grade = one.entries[0].grade
            assert grade is not None
            target = place / "student" / f"{name}{format_.suffix}"
            written += deliver.write(deliver.of_one(grade, name, context), target)
        if format_.many is not None:
            report = deliver.make(whole, name, context)
            target = place / "class" / (name if isinstance(report, dict) else f"{name}{format_.suffix}")
            written += deliver.write(report, target)
    return written


if __name__ == "__main__":
    shutil.rmtree(REPORTS, ignore_errors=True)
    print(f"{len(make(REPORTS))} files in {REPORTS}")
