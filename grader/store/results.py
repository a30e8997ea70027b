"""Stored results -> `ClassResults`: the one reader behind `grader report`.

Reads what `grader check --json` wrote, a folder of such files, a class as JSON, and a store. Validates the
records, also whether one field contradicts another; never grades.
"""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import ValidationError

from grader.errors import InstructorError
from grader.records import ClassResults, Entry, Grade, HandedIn, Student
from grader.store import consistency, store

STORE = "*.sqlite"
RECORDS: dict[str, type[Grade] | type[ClassResults]] = {
    "grader/report/1": Grade,
    "grader/results/1": ClassResults,
}
MAX_BYTES = 300_000_000  # of one file; a class of a thousand has some 100 MB
MAX_FILES = 20_000  # of a folder


def read(path: Path) -> ClassResults:
    """Read one grade, a folder of grades, a class, or a store. Raises `InstructorError` for anything else."""
    if not path.exists():
        raise InstructorError(f"{path}: no such results", "Name what `grader check --json` or a batch wrote.")
    stores = sorted(path.glob(STORE)) if path.is_dir() else [path] * path.match(STORE)
    if stores:
        return store.read(stores[0])
    if path.is_dir():
        return _folder(path)
    found = _file(path)
    return found if isinstance(found, ClassResults) else of_grades({path.stem: found})


def of_grades(grades: dict[str, Grade]) -> ClassResults:
    """Make a class of grades by name. Raises `InstructorError` where the grades are by different rubrics."""
    rubrics = {(grade.rubric, grade.max_points): name for name, grade in grades.items()}
    if len(rubrics) > 1:
        (one, first), (other, second) = list(rubrics.items())[:2]
        raise InstructorError(
            f"graded by different rubrics: {first} by {one[0]!r} ({one[1]:g} points), {second} by "
            f"{other[0]!r} ({other[1]:g})",
            "Report on each rubric by itself.",
        )
    title, most = next(iter(rubrics), ("", 0.0))
    entries = (_entry(name, grade) for name, grade in sorted(grades.items()))
    return ClassResults(rubric=title, max_points=most, entries=tuple(entries))


def _entry(name: str, grade: Grade) -> Entry:
    handed_in = HandedIn(layout="plain", path=grade.submission)
    return Entry(student=Student(id=name[:200], name=name), handed_in=handed_in, grade=grade)


def _folder(path: Path) -> ClassResults:
    grades: dict[str, Grade] = {}
    files = sorted(path.glob("*.json"))
    if len(files) > MAX_FILES:
        raise InstructorError(f"{path} holds {len(files):,} results; at most {MAX_FILES:,} are read")
    for file in files:
        found = _file(file)
        if isinstance(found, ClassResults):
            raise InstructorError(f"{file} holds a whole class", "Name that file itself.")
        grades[file.stem] = found
    if not grades:
        raise InstructorError(f"{path}: no results in it", "Write some with `grader check --json -o FILE`.")
    return of_grades(grades)


def _file(path: Path) -> Grade | ClassResults:
    try:
        raw = _content(path)
        version = json.loads(raw).get("schema_version", "")
    except OSError as error:
        raise InstructorError(f"{path} cannot be read: {error}", "Check the path.") from None
    except (ValueError, AttributeError, RecursionError):
        raise InstructorError(f"{path} holds no results", "Write them with `grader check --json`.") from None
    record = RECORDS.get(str(version))
    if record is None:
        raise InstructorError(
            f"{path} holds results of version {version!r:.60}; known are {' and '.join(RECORDS)}",
            "Read it with the grader that wrote it.",
        )
    try:
        read_back = record.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InstructorError(f"{path}: {where}: {first['msg']}", "It was changed by hand.") from None
    for field, what in consistency.faults(read_back):
        raise InstructorError(
            f"{path}: {field}: {what}",
            "It was changed by hand; use `grader set` for that.",
        )
    return read_back


def _content(path: Path) -> bytes:
    """Read a file. Raises `InstructorError` for one that is larger than any results."""
    with path.open("rb") as file:
        raw = file.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise InstructorError(f"{path} is larger than any results: at most {MAX_BYTES:,} bytes are read")
    return raw
