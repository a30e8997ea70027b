"""The layout of nbgrader: `submitted/<student>/<assignment>/<notebook>.ipynb`, each with a `timestamp.txt`.

nbgrader's exchange writes the timestamp as `2015-02-02 15:58:23.948203 UTC`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from grader.errors import InstructorError
from grader.intake.discover.interface import Item, entries, is_folder
from grader.records import LeftOut


def recognises(folder: Path) -> bool:
    """Whether the folder has `submitted/<student>/<assignment>`, or nbgrader's timestamps in their place."""
    root = _root(folder)
    return root != folder or any((a / "timestamp.txt").is_file() for s in _folders(root) for a in _folders(s))


def items(folder: Path, assignment: str) -> Iterator[Item | LeftOut]:
    """Yield each student's folder of the assignment, and leave out students without one.

    Raises `InstructorError` where ``assignment`` is empty and the folder holds several.
    """
    root = _root(folder)
    assignment = assignment or _only_one(root)
    for student in entries(root):
        place = student / assignment
        path = student.relative_to(folder).as_posix()
        if not is_folder(student):
            yield LeftOut(path=path, reason="not a student's folder")
        elif not place.exists():
            yield LeftOut(path=path, reason=f"nothing handed in for {assignment}")
        else:
            keys = {"student_id": student.name, "assignment": assignment}
            parts = ((place, place.name),)
            stamp = _timestamp(place / "timestamp.txt")
            yield Item(student.name, student.name, student.name, parts, submitted_at=stamp, keys=keys)


def _root(folder: Path) -> Path:
    inner = folder / "submitted"
    return inner if is_folder(inner) and any(_folders(s) for s in _folders(inner)) else folder


def _folders(folder: Path) -> list[Path]:
    return [p for p in entries(folder) if is_folder(p)]


def _only_one(root: Path) -> str:
    names = sorted({a.name for s in _folders(root) for a in _folders(s)})
    if len(names) != 1:
        raise InstructorError(
            f"{root} holds several assignments: {', '.join(names[:20])}",
            "Name one with --assignment.",
        )
    return names[0]


def _timestamp(file: Path) -> str:
    try:
        text = file.read_text(encoding="utf-8", errors="replace")[:100].strip()
        return datetime.fromisoformat(text.replace(" UTC", "+00:00")).isoformat(timespec="seconds")
    except (OSError, ValueError):
        return ""
