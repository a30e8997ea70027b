"""Unpacks the zip of a whole class: an odd member is left out and named, and the rest goes on.

A student's own zip within the class's stays as it is; `grader.intake.archive` opens it when it is graded.
"""

from __future__ import annotations

import shutil
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from grader.errors import InstructorError, StudentError
from grader.intake import archive
from grader.records import LeftOut
from grader.safe.zips import open_zip

MAX_DIRECTORY = 100_000_000  # bytes that describe the members: some 500,000 of them
MAX_TOTAL = 50_000_000_000
DEPTH = archive.MAX_DEPTH + 5  # a platform's own folders lie above the student's


def unpack(path: Path, target: Path) -> tuple[LeftOut, ...]:
    """Unpack ``path`` into the new folder ``target``; return what was left out. Raises `InstructorError`."""
    target.mkdir(parents=True)
    try:
        with open_zip(path, MAX_DIRECTORY) as opened:
            _check_room(path, opened, target)
            return tuple(_members(opened, target))
    except (zipfile.BadZipFile, zipfile.LargeZipFile, OSError, ValueError) as error:
        raise InstructorError(
            f"{path} is not a readable zip: {str(error)[:300]}", "Download it again, or unpack it yourself."
        ) from None


def _check_room(path: Path, opened: zipfile.ZipFile, target: Path) -> None:
    size, free = sum(m.file_size for m in opened.infolist()), shutil.disk_usage(target).free
    if size > min(MAX_TOTAL, free):
        raise InstructorError(
            f"{path} unpacks to {size:,} bytes; there are {free:,} free at {target}, and at most "
            f"{MAX_TOTAL:,} are unpacked",
            "Unpack it yourself, set TMPDIR to a larger disk, or grade it in parts.",
        )


def _members(opened: zipfile.ZipFile, target: Path) -> Iterator[LeftOut]:
    for member in opened.infolist():
        reason = archive.member_fault(member, DEPTH)
        if not reason and not member.is_dir():
            try:
                archive.write(opened, member, target)
            except FileExistsError:
                reason = "the archive holds this name twice"
            except StudentError as error:
                reason = error.message
            except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError) as error:
                reason = f"it cannot be unpacked: {str(error)[:200]}"
        elif not reason:
            _folder(member, target)
        if reason:
            yield LeftOut(path=member.filename[:1_000] or "?", reason=reason)


def _folder(member: zipfile.ZipInfo, target: Path) -> None:
    """Make an empty folder, so that it shows up as a submission without files."""
    try:
        target.joinpath(*member.filename.replace("\\", "/").split("/")).mkdir(parents=True, exist_ok=True)
    except OSError:
        return
