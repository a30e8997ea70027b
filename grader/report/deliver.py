"""Results -> a format -> a file, a folder or the screen. The only place where reports are written.

A file appears whole or not at all. No name that came from a submission leaves the output folder.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from grader.errors import InstructorError
from grader.records import ClassResults, Entry, Grade
from grader.report import FORMATS
from grader.report.interface import Context, Files, Format, Report, line

if TYPE_CHECKING:
    from grader.box.isolation import Wanted

Asked = list[tuple[str, Path | None]]  # formats, each with the file that it is written to


def known(name: str) -> Format:
    """The format of this name. Raises `InstructorError`, naming what there is."""
    if name not in FORMATS:
        raise InstructorError(f"{name!r} is no report format", f"There are: {', '.join(FORMATS)}.")
    return FORMATS[name]


def wanted(options: list[str]) -> Asked:
    """`-f NAME` or `-f NAME=PATH`, several times. Raises `InstructorError`."""
    split = [option.partition("=") for option in options]
    for name, _, _ in split:
        known(name)
    return [(name, Path(path) if path else None) for name, _, path in split]


def make(results: ClassResults, name: str, context: Context, each: bool = False) -> Report | Files:
    """The report of a class in this format; with ``each``, one file for each student.

    Raises `InstructorError` where a gradebook would get what was made without isolation.
    """
    chosen = known(name)
    grades = [entry.grade for entry in results.entries if entry.grade is not None]
    for grade in grades:
        permit(grade, name, context)
    if chosen.many is None and len(results.entries) == 1 and grades and not each:
        return chosen(grades[0], context)
    if chosen.single and (each or chosen.many is None):
        return dict(_each(results.entries, chosen, context))
    if chosen.many is None or each:
        raise InstructorError(f"{name} is one file for the whole class", "Name a file behind -o.")
    return chosen.of_class(results, context)


def of_one(grade: Grade, name: str, context: Context) -> Report:
    """The report of one grade, for its student."""
    permit(grade, name, context)
    chosen = known(name)
    if not chosen.single:
        raise InstructorError(f"{name} is made of a class", f"Use `grader report RESULTS -f {name} -o …`.")
    return chosen(grade, context)


def permit(grade: Grade, name: str, context: Context) -> None:
    """Raises `InstructorError` for a program's format of a grade made without isolation."""
    contained = known(name).reader == "person" or grade.provenance.contained
    if not grade.provenance.isolated and (_boxed_only(name, context) or not contained):
        raise InstructorError(
            f"{line(grade.submission)}: graded without isolation, so it is not written for {name}",
            f"Grade it again with --isolation (see `grader doctor`).{_container(name)}",
        )


def isolation_for(formats: Asked, context: Context, wanted: Wanted) -> Wanted:
    """The isolation to grade with: a format that a program reads needs a box before anything runs.

    Code that runs without a box could write what the program reads by itself. Raises `InstructorError`
    where isolation was declined.
    """
    boxed = [name for name, _ in formats if _boxed_only(name, context)]
    if boxed and wanted == "none":
        raise InstructorError(
            f"{boxed[0]} is not written of what is graded without isolation",
            f"Leave out --no-isolation (see `grader doctor`).{_container(boxed[0])}",
        )
    return "required" if boxed else wanted


def _boxed_only(name: str, context: Context) -> bool:
    reader = known(name).reader
    return reader == "gradebook" or (reader != "person" and not context.throwaway)


def _container(name: str) -> str:
    if known(name).reader == "gradebook":
        return ""
    return (
        " On a platform that runs each submission in a container of its own, --throwaway-container "
        "lets that container count, where grader runs as root and can give the submission another user."
    )


def _each(entries: tuple[Entry, ...], chosen: Format, context: Context) -> Iterator[tuple[str, Report]]:
    for entry in entries:
        if entry.grade is not None:
            yield f"{entry.student.id}{chosen.suffix}", chosen(entry.grade, context)


def write(report: Report | Files, path: Path, appended: bool = False) -> list[Path]:
    """Write a file, or a folder of files; returns what was written. Raises `InstructorError`."""
    try:
        if appended and isinstance(report, str):
            with path.open("a", encoding="utf-8", errors="replace") as stream:
                stream.write(_ended(report))
            return [path]
        if isinstance(report, dict):
            targets = {inside(path, name): content for name, content in report.items()}
            for target, content in targets.items():
                target.parent.mkdir(parents=True, exist_ok=True)
                replace(target, content)
            return list(targets)
        path.parent.mkdir(parents=True, exist_ok=True)
        replace(path, report)
    except OSError as error:
        raise InstructorError(f"{path} cannot be written: {error}", "Choose another place.") from None
    return [path]


def inside(folder: Path, name: str) -> Path:
    """A file below the folder. Raises `InstructorError` for a name that leads out of it."""
    parts = PurePosixPath(name).parts
    unsafe = any(p in ("..", "/", "~") or "\\" in p or "\0" in p or len(p.encode()) > 255 for p in parts)
    if unsafe or not parts or PurePosixPath(name).is_absolute():
        raise InstructorError(f"{name!r} is no name for a report", "Rename the student's folder.")
    target = folder / name
    for part in (target, *target.parents):
        if part == folder:
            break
        if part.is_symlink():
            raise InstructorError(f"{part} is a link that leads elsewhere", "Remove it.")
    return target


def _ended(text: str) -> str:
    return text if text.endswith("\n") else text + "\n"


def replace(path: Path, content: Report) -> None:
    """Written aside and then put in place, so that nobody reads half of it. Raises `OSError`."""
    raw = content if isinstance(content, bytes) else _ended(content).encode("utf-8", "replace")
    if path.exists() and not path.is_file():  # /dev/stdout and the like
        path.write_bytes(raw)
        return
    aside = path.parent / f".{path.name[:100]}.{secrets.token_hex(4)}"
    try:
        with aside.open("wb") as stream:
            stream.write(raw)
            stream.flush()
            os.fsync(stream.fileno())
        aside.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
        raise
