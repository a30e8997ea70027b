"""Unpack a student's zip: nothing outside the folder, no links, bounded count and size."""

from __future__ import annotations

import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from grader.errors import StudentError, Unsupported
from grader.safe.zips import open_zip

MAX_MEMBERS = 2_000
MAX_DEPTH, MAX_FOLDERS, MAX_PATH = 15, 2_000, 1_000  # nested folders, folders in all, characters of a name
MAX_MEMBER = 200_000_000
MAX_TOTAL = 500_000_000
_CHUNK = 1 << 20
_PERSON = "A person should look at the submission. Zipped without data sets, it may be read."
_HINT = "Zip the folder again, with only the submission in it."


def extract(path: Path, target: Path) -> None:
    """Unpack ``path`` into the new folder ``target``.

    Raises `StudentError` for anything odd, `Unsupported` for more than grader reads.
    """
    target.mkdir(parents=True)
    try:
        with open_zip(path) as archive:
            members = archive.infolist()
            _check(path.name, members)
            for member in members:
                if not member.is_dir():
                    write(archive, member, target)
    except (
        zipfile.BadZipFile,
        zipfile.LargeZipFile,
        zlib.error,
        EOFError,
        OSError,
        RuntimeError,
        NotImplementedError,
        ValueError,
    ) as error:
        raise StudentError(f"{path.name} is not a readable zip: {error}"[:300], _HINT) from None


def _check(name: str, members: list[zipfile.ZipInfo]) -> None:
    if len(members) > MAX_MEMBERS:
        raise Unsupported(f"{name} holds {len(members):,} files; at most {MAX_MEMBERS:,} are read", _PERSON)
    if (total := sum(m.file_size for m in members)) > MAX_TOTAL:
        raise Unsupported(f"{name} unpacks to {total:,} bytes; at most {MAX_TOTAL:,} are read", _PERSON)
    if len(_folders(members)) > MAX_FOLDERS:
        raise Unsupported(f"{name} holds more than {MAX_FOLDERS:,} folders", _PERSON)
    for member in members:
        if member.file_size > MAX_MEMBER:
            raise Unsupported(f"{name}: {_too_large(member)}", _PERSON)
        if fault := member_fault(member):
            raise StudentError(f"{name}: {fault}", _HINT)


def member_fault(member: zipfile.ZipInfo, depth: int = MAX_DEPTH) -> str:
    """Return the reason why a member cannot be unpacked below ``depth`` folders; empty if it can."""
    parts = PurePosixPath(member.filename.replace("\\", "/")).parts
    kind = stat.S_IFMT(member.external_attr >> 16)
    outside = ".." in parts or not parts or parts[0].startswith("/") or ":" in parts[0]
    if (
        outside
        or len(parts) > depth
        or len(member.filename) > MAX_PATH
        or "\0" in member.orig_filename
        or kind not in (0, stat.S_IFREG, stat.S_IFDIR)
    ):
        return f"the member {member.orig_filename[:80]!r} is no plain file inside the archive"
    if member.file_size > MAX_MEMBER:
        return _too_large(member)
    return ""


def _too_large(member: zipfile.ZipInfo) -> str:
    return f"{member.filename[:80]!r} has {member.file_size:,} bytes; at most {MAX_MEMBER:,} are read"


def _folders(members: list[zipfile.ZipInfo]) -> set[PurePosixPath]:
    paths = (PurePosixPath(m.filename.replace("\\", "/")) for m in members if len(m.filename) <= MAX_PATH)
    return {folder for path in paths for folder in path.parents[:MAX_DEPTH]}


def write(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
    """Copy one member below ``target``, counting its bytes: the size that the zip declares may be false.

    Raises `StudentError` for a member that is larger than declared.
    """
    file = target.joinpath(*PurePosixPath(member.filename.replace("\\", "/")).parts)
    file.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with archive.open(member) as source, file.open("xb") as sink:
        while chunk := source.read(_CHUNK):
            written += len(chunk)
            if written > member.file_size:
                raise StudentError(f"{member.filename[:80]!r} is larger than the archive says", _HINT)
            sink.write(chunk)
