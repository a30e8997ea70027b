"""Make a class out of the real submissions: variations of them, earlier versions, and broken ones.

    python benchmarks/make_class.py FOLDER [--students 60] [--layout plain] [--zip]

Of every 20 students, 16 hand in a real notebook, some with other names in it, in another format or with
another batch size, and 4 something that cannot be graded: a cell that fails, a loop without an end, a process
that ends itself, a file that is no notebook. Beside them lie an empty folder, a PDF and, where the layout has
versions, an earlier one.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

SUBMISSIONS = Path(__file__).parents[1] / "submissions"
REAL = tuple(
    json.loads(path.read_text(encoding="utf-8")) for path in sorted(SUBMISSIONS.glob("*/submission.ipynb"))
)
BROKEN = {
    "fails": "import keras\nmodel = keras.Sequential([keras.layers.Conv2D(8)])",
    "loops": "while True:\n    pass",
    "ends": "import os\nos._exit(0)",
}


@dataclass(frozen=True)
class Work:
    """What one student hands in; ``earlier``: and did before."""

    number: int
    text: str
    earlier: str = ""

    @property
    def name(self) -> str:
        return f"student{self.number:03}"


def works(students: int) -> Iterator[Work]:
    for number in range(students):
        kind = number % 20
        if kind < 16:
            text = json.dumps(_varied(REAL[number % len(REAL)], number))
            yield Work(number, text, json.dumps(REAL[0]) if kind == 3 else "")
        elif kind < 19:
            how = {16: "fails", 17: "ends", 18: "loops" if number % 60 == 18 else "fails"}[kind]
            yield Work(number, json.dumps(_notebook(BROKEN[how])))
        else:
            yield Work(number, "this is no notebook")


def _varied(notebook: dict[str, object], number: int) -> dict[str, object]:
    """The same work as another student would hand it in; every third kind trains otherwise."""
    how: Callable[[str], str] = (_as_it_is, _renamed, _reformatted, _retrained)[number // len(REAL) % 4]
    copy = json.loads(json.dumps(notebook))
    for cell in copy["cells"]:
        if cell["cell_type"] == "code":
            cell["source"] = how("".join(cell["source"]))
    return dict(copy)


def _as_it_is(source: str) -> str:
    return source


def _renamed(source: str) -> str:
    return re.sub(r"\b(X_train|Y_train|X_test|Y_test|score)\b", r"my_\1", source)


def _reformatted(source: str) -> str:
    lines = enumerate(source.split("\n"))
    return "\n".join(f"{line}  # {n}" if line.rstrip().endswith(")") else line for n, line in lines)


def _retrained(source: str) -> str:
    return re.sub(r"batch_size\s*=\s*\d+", "batch_size=100", source)


def _notebook(source: str) -> dict[str, object]:
    cell = {"cell_type": "code", "metadata": {}, "source": source, "outputs": list[str]()}
    return {"nbformat": 4, "nbformat_minor": 2, "metadata": {}, "cells": [cell]}


# --- layouts --------------------------------------------------------------------------------------


def write(folder: Path, students: int, layout: str) -> None:
    """A class folder as this place exports it."""
    folder.mkdir(parents=True)
    LAYOUTS[layout](folder, list(works(students)))


def _put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _plain(folder: Path, class_: list[Work]) -> None:
    for work in class_:
        place = f"{work.name}/work.ipynb" if work.number % 2 else f"{work.name}.ipynb"
        _put(folder / place, work.text)
    (folder / "empty").mkdir()
    _put(folder / "report.pdf", "no code")


def _nbgrader(folder: Path, class_: list[Work]) -> None:
    for work in class_:
        place = folder / "submitted" / work.name / "cnn"
        _put(place / "cnn.ipynb", work.text)
        _put(place / "timestamp.txt", f"2026-10-01 10:{work.number % 60:02}:00.000000 UTC")
    (folder / "submitted" / "empty" / "cnn").mkdir(parents=True)


def _gradescope(folder: Path, class_: list[Work]) -> None:
    told = []
    for work in class_:
        for version, text in enumerate(filter(None, (work.earlier, work.text))):
            name = f"submission_{1000 + 2 * work.number + version}"
            _put(folder / "assignment_7_export" / name / "work.ipynb", text)
            told.append(
                f"{name}:\n  :submitters:\n  - :name: {work.name}\n    :sid: '{work.number}'\n"
                f"  :created_at: 2026-10-0{1 + version} 10:00:00.000000000 Z\n"
            )
    _put(folder / "assignment_7_export" / "submission_metadata.yml", "".join(told))


def _canvas(folder: Path, class_: list[Work]) -> None:
    for work in class_:
        late = "_LATE" if work.number % 10 == 0 else ""
        first = f"{work.name}{late}_{500 + work.number}_{9000 + 2 * work.number}_work"
        again = f"{work.name}{late}_{500 + work.number}_{9001 + 2 * work.number}_work-1"
        if work.earlier:
            _put(folder / f"{first}.ipynb", work.earlier)
        _put(folder / f"{again if work.earlier else first}.ipynb", work.text)
    _put(folder / "empty_400_8000_report.pdf", "no code")


def _moodle(folder: Path, class_: list[Work]) -> None:
    for work in class_:
        stem = f"Student Number {work.number}_{700 + work.number}_assignsubmission_file"
        place = f"{stem}/work.ipynb" if work.number % 2 else f"{stem}_work.ipynb"
        _put(folder / place, work.text)
    (folder / "Empty One_699_assignsubmission_file").mkdir()


LAYOUTS: dict[str, Callable[[Path, list[Work]], None]] = {
    "plain": _plain,
    "nbgrader": _nbgrader,
    "gradescope": _gradescope,
    "canvas": _canvas,
    "moodle": _moodle,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--students", type=int, default=60)
    parser.add_argument("--layout", choices=LAYOUTS, default="plain")
    parser.add_argument("--zip", action="store_true")
    told = parser.parse_args()
    write(told.folder, told.students, told.layout)
    if told.zip:
        print(shutil.make_archive(str(told.folder), "zip", told.folder))
        shutil.rmtree(told.folder)


if __name__ == "__main__":
    main()
