"""Copies what was handed in to a private folder, and makes the one list of files that all of grader goes by.

The same files are digested, searched for the submission and copied into its box. They are regular files,
sorted by name, without hidden files, links, and what Python and operating systems leave behind. Files that
exceed the bounds are left out as well. Notes name the links and the files that exceed the bounds. A file is
its name and its content; permissions and times are not copied.

Each file is copied once and digested while it is copied, so that a later change of the original has no
effect.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Literal

from grader.errors import BrokenError, Unsupported
from grader.intake.choice import PREFERENCE
from grader.records import Note

MAX_FILES, MAX_FILE = 2_000, 200_000_000  # no larger than the child may write
MAX_BYTES = 300_000_000  # of all files
MAX_SEEN, MAX_SEEN_BYTES = 20_000, 1_000_000_000  # of a folder that is looked through at all
MAX_PATH, MAX_DEPTH = 1_000, 50  # characters of a path within the folder, nested folders
_LEFT_BEHIND = ("__MACOSX", "__pycache__", "Thumbs.db", "desktop.ini")
_CHUNK = 1 << 20
Kind = Literal["file", "folder", "zip"]
_BOUNDS = f"{MAX_FILES:,} files, {MAX_FILE:,} bytes each, {MAX_BYTES:,} in all"
PERSON = "A person should look at the submission."


@dataclass(frozen=True)
class Parcel:
    """A private copy of one file or of a folder, at ``place``; ``beyond`` says what exceeded the bounds."""

    place: Path
    files: tuple[Path, ...]
    digest: str
    kind: Kind = "file"
    notes: tuple[Note, ...] = ()
    beyond: str = ""


@dataclass(frozen=True)
class _File:
    """A file: its path within the folder, and its size in bytes."""

    inside: PurePath
    size: int

    @property
    def rank(self) -> tuple[int, tuple[str, ...]]:
        """The order in which files are taken up to the bounds: possible submissions come first."""
        suffix = self.inside.suffix.lower()
        return (PREFERENCE.index(suffix) if suffix in PREFERENCE else len(PREFERENCE), self.inside.parts)


def belongs(name: str) -> bool:
    """Whether a file or folder of this name is part of a submission."""
    return not name.startswith(".") and name not in _LEFT_BEHIND


def of_file(file: Path, target: Path) -> Parcel:
    """Copy one file into the new folder ``target``. Raises `Unsupported` if it is too large."""
    size = file.stat().st_size
    if size > MAX_BYTES:
        raise Unsupported(f"{file.name} has {size:,} bytes; at most {MAX_BYTES:,} are read", PERSON)
    target.mkdir(parents=True)
    place = target / file.name
    content = _copy(os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), place, size)
    kind = b"file " + _bytes(file.suffix.lower()) + b"\0"
    return Parcel(place, (place,), hashlib.sha256(kind + content).hexdigest())


def of_folder(folder: Path, target: Path, name: str, kind: Kind = "folder") -> Parcel:
    """Copy the files of a ``folder`` that is called ``name`` into the new folder ``target``.

    ``kind`` is part of the digest. Raises `Unsupported` for a folder that is too large to be searched,
    `BrokenError` for what cannot be read.
    """
    try:
        files, links = _listed(folder, name)
        kept, beyond = _within_bounds(files)
        total = hashlib.sha256(f"{kind}\0".encode())
        target.mkdir(parents=True)
        for file in kept:
            place = target / file.inside
            place.parent.mkdir(parents=True, exist_ok=True)
            content = _copy(_opened(folder, file.inside), place, file.size)
            total.update(_bytes(file.inside.as_posix()) + b"\0" + content)
    except OSError as error:
        why = error.strerror or error
        raise BrokenError(
            f"{name} cannot be read: {why}", "Check its permissions, and that nobody changes it meanwhile."
        ) from None
    left_out = _left_out(beyond, f"beyond the bounds of a submission ({_BOUNDS})")
    notes = [Note(message=text) for text in (left_out, _left_out(links, "a link, or no file at all")) if text]
    places = tuple(target / f.inside for f in kept)
    return Parcel(target, places, total.hexdigest(), kind, tuple(notes), left_out)


def _left_out(names: Sequence[PurePath], why: str) -> str:
    """Return `left out, because …: a.bin, b.bin and 3 more`; an empty string without names."""
    if not names:
        return ""
    more = f" and {len(names) - 5:,} more" if len(names) > 5 else ""
    return f"left out, {why}: {', '.join(f.as_posix()[:100] for f in names[:5])}{more}"


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


# --- the list -----------------------------------------------------------------------------------


def _listed(folder: Path, name: str) -> tuple[list[_File], list[PurePath]]:
    """The regular files below a folder that belong to it, and the links and devices among them."""
    files: list[_File] = []
    odd: list[PurePath] = []
    size = 0
    for seen, (inside, entry) in enumerate(_entries(folder, name), 1):
        if entry.is_file(follow_symlinks=False):
            files.append(_File(inside, entry.stat(follow_symlinks=False).st_size))
            size += files[-1].size
        elif not entry.is_dir(follow_symlinks=False):
            odd.append(inside)
        if size > MAX_SEEN_BYTES or seen > MAX_SEEN:
            most = f"{MAX_SEEN_BYTES:,} bytes and {MAX_SEEN:,} files"
            raise Unsupported(f"{name} is larger than any submission: at most {most} are read", PERSON)
    return files, sorted(odd)


def _entries(folder: Path, name: str) -> Iterator[tuple[PurePath, os.DirEntry[str]]]:
    waiting = [PurePath()]
    while waiting:
        here = waiting.pop()
        if len(here.parts) > MAX_DEPTH or len(str(here)) > MAX_PATH:
            raise Unsupported(
                f"{name}: its folders are nested too deeply; {MAX_DEPTH} in one another, with names of "
                f"{MAX_PATH:,} characters together, are read", PERSON,
            )  # fmt: skip
        with os.scandir(folder / here) as found:
            for entry in found:
                if belongs(entry.name):
                    yield here / entry.name, entry
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(here / entry.name)


def _within_bounds(files: list[_File]) -> tuple[list[_File], list[PurePath]]:
    """Return the files that are taken, and the names of those for which there is no room, both sorted."""
    kept: list[_File] = []
    beyond: list[PurePath] = []
    left = MAX_BYTES
    for file in sorted(files, key=lambda f: f.rank):
        if len(kept) < MAX_FILES and file.size <= min(left, MAX_FILE):
            kept.append(file)
            left -= file.size
        else:
            beyond.append(file.inside)
    return sorted(kept, key=lambda f: f.inside.parts), sorted(beyond)


# --- the copy -----------------------------------------------------------------------------------


def _opened(folder: Path, inside: PurePath) -> int:
    """Open a file part by part, and return its descriptor: a link that was put in the way is not followed."""
    here = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for number, part in enumerate(inside.parts, 1):
        kind = os.O_NONBLOCK if number == len(inside.parts) else os.O_DIRECTORY
        try:
            below = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | kind, dir_fd=here)
        finally:
            os.close(here)
        here = below
    return here


def _copy(descriptor: int, target: Path, size: int) -> bytes:
    """Copy ``size`` bytes and return their SHA-256. Raises `OSError` if the file has more or fewer."""
    digest, left = hashlib.sha256(), size
    with os.fdopen(descriptor, "rb") as source, target.open("xb") as sink:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"{target.name[:200]} is no longer a file")
        while chunk := source.read(min(_CHUNK, left + 1)):
            left -= len(chunk)
            if left < 0:
                break
            digest.update(chunk)
            sink.write(chunk)
    if left:
        raise OSError(f"{target.name[:200]} has changed while it was read")
    return digest.digest()
