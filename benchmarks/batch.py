"""Grade classes made of the real submissions, and say how long each stage takes and what memory it needs.

    python benchmarks/batch.py [--students 10 60 300] [--layout plain] [--keep FOLDER]
    python benchmarks/batch.py --students 10 --images 60000 --cores 1 2

Attempts are small, for they are not what is measured: one epoch on 2,000 images of MNIST, two at most. Each
class is graded three times: at first, with training cached and everything described anew, and with all
cached. Each time is a process of its own, whose largest memory is told. With ``--cores`` classes are graded
from nothing, once on each number of cores; then attempts should be larger.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import make_class
import numpy as np
from tabulate import tabulate

from grader.commands.class_display import Silent
from grader.data import datasets
from grader.grade.many import Options, grade_class
from grader.intake.discover import discover
from grader.judge import rubric
from grader.store import store

RUBRIC = """
title = "Assignment 4, on a part of MNIST"
describe_seconds = 30
[dataset]
name = "part"
path = "part.npz"
sha256 = "{digest}"
served_as = ["mnist"]
[training]
epochs = 1
attempts = 2
decide = "any"
[[criterion]]
id = "parameters"
kind = "parameter_limit"
points = 50
limit = 20000
[[criterion]]
id = "accuracy"
kind = "validation_accuracy"
points = 50
threshold = 0.5
clear_miss = 1.0
"""


class Clock(Silent):
    """When the last structural grade and the last grade of all came."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = time.monotonic()
        self.described_at = self.ended_at = 0.0

    def say(self, text: str) -> None:
        if text.startswith("looking"):
            self.begun = time.monotonic()

    def graded(self, student, grade, final) -> None:  # type: ignore[no-untyped-def]
        if student.id not in self.described:
            self.described_at = time.monotonic() - self.begun
        super().graded(student, grade, final)


def once(folder: Path, out: Path, rules: Path, cores: int) -> None:
    """In a process of its own: grade on so many cores (0: all), and print what it took."""
    if cores:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    clock, begun = Clock(), time.monotonic()
    kept = store.Store(out)
    with tempfile.TemporaryDirectory() as scratch:
        loaded = rubric.load(str(rules))
        found = discover(folder, Path(scratch))
        kept.put_class(
            loaded.rubric, [(s.student, s.handed_in) for s in found.submissions], found.left_out, found.notes
        )
        discovered = time.monotonic() - begun
        grade_class(found, loaded, kept, Options(), clock)
        graded = time.monotonic() - clock.begun
        begun = time.monotonic()
        results = kept.results()
        kept.close()
    print(
        json.dumps(
            {
                "cores": len(os.sched_getaffinity(0)),
                "submissions": len(found.submissions),
                "left out": len(found.left_out),
                "discover": round(discovered, 2),
                "structure": round(clock.described_at, 1),
                "attempts": len(clock.seconds),
                "retrain": round(graded - clock.described_at, 1) if clock.seconds else 0,
                "read": round(time.monotonic() - begun, 2),
                "all graded": sum(e.grade is not None for e in results.entries),
                "peak MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
            }
        )
    )


def _data(folder: Path, images: int) -> Path:
    """A part of MNIST, and a rubric for it."""
    data = datasets.load(datasets.MNIST)
    parts: dict[str, Any] = {
        "x_train": data.x_train[:images, ..., 0], "y_train": data.y_train[:images],
        "x_test": data.x_test[:500, ..., 0], "y_test": data.y_test[:500],
    }  # fmt: skip
    np.savez(folder / "part.npz", **parts)
    digest = hashlib.sha256((folder / "part.npz").read_bytes()).hexdigest()
    (folder / "rubric.toml").write_text(RUBRIC.format(digest=digest))
    return folder / "rubric.toml"


def _measured(folder: Path, out: Path, rules: Path, cores: int = 0) -> dict[str, object]:
    command = [sys.executable, __file__, "--once", str(folder), str(out), str(rules), "--cores", str(cores)]
    told = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(told.stdout))


def _forget_descriptions(out: Path) -> None:
    with closing(sqlite3.connect(out / store.NAME)) as base, base:
        base.execute("DELETE FROM description")


def _on_cores(place: Path, told: argparse.Namespace) -> Iterator[dict[str, object]]:
    rules = _data(place, told.images)
    for students in told.students:
        folder = place / f"class{students}"
        make_class.write(folder, students, told.layout)
        for cores in told.cores:
            out = place / f"results{students}-on-{cores}"
            yield {"": "first", **_measured(folder, out, rules, cores)}


def _three_times(place: Path, told: argparse.Namespace) -> Iterator[dict[str, object]]:
    rules, before = _data(place, told.images), None
    for students in told.students:
        folder, out = place / f"class{students}", place / f"results{students}"
        make_class.write(folder, students, told.layout)
        if before is not None:
            shutil.copytree(before, out)  # what was trained for the smaller class
        for what in ("first", "training cached", "all cached"):
            if what == "training cached":
                _forget_descriptions(out)
            yield {"": what, **_measured(folder, out, rules)}
        before = out


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--students", type=int, nargs="+", default=[10, 60, 300])
    parser.add_argument("--layout", choices=make_class.LAYOUTS, default="plain")
    parser.add_argument("--images", type=int, default=2_000, help="that an attempt trains on (default: 2000)")
    parser.add_argument("--cores", type=int, nargs="+", help="grade from nothing on each number of them")
    parser.add_argument("--keep", type=Path, help="where classes and results are left")
    parser.add_argument("--once", type=Path, nargs=3, help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.once:
        folder, out, rules = told.once
        once(folder, out, rules, told.cores[0])
        return
    place = told.keep or Path(tempfile.mkdtemp())
    place.mkdir(exist_ok=True)
    rows = []
    for row in _on_cores(place, told) if told.cores else _three_times(place, told):
        rows.append(row)
        print(json.dumps(row), file=sys.stderr, flush=True)
    print(tabulate(rows, headers="keys", tablefmt="github"))
    if told.keep is None:
        shutil.rmtree(place)


if __name__ == "__main__":
    main()
