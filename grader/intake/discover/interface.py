"""The interface of a layout: what it finds in a class folder, and helpers for every layout.

A layout only reads names, and metadata that the platform wrote beside them; no submission is opened here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from grader.intake import parcel
from grader.intake.choice import PREFERENCE
from grader.intake.parcel import belongs
from grader.records import LeftOut

READ = (*(kind for kind in PREFERENCE if kind.startswith(".")), ".zip")


@dataclass(frozen=True)
class Item:
    """One thing that one student handed in, according to the layout.

    ``person`` distinguishes students (a platform's number, or the name itself); ``label`` is what an id is
    made of. Of several items of one person and one ``slot``, the one with the largest ``rank`` counts;
    without a rank (None) no order is known. Items with different slots are different files, not versions of
    one. ``parts`` are the files, with the names they were handed in under.
    """

    person: str
    label: str
    name: str
    parts: tuple[tuple[Path, str], ...]
    email: str = ""
    submitted_at: str = ""
    late: bool = False
    keys: dict[str, str] = field(default_factory=dict)
    rank: tuple[str, int] | None = None
    slot: str = ""


class Layout(Protocol):
    """A module with these two functions; see `grader.intake.discover.LAYOUTS`."""

    def recognises(self, folder: Path) -> bool:
        """Whether ``folder`` has this layout."""

    def items(self, folder: Path, assignment: str) -> Iterator[Item | LeftOut]:
        """Yield what each student handed in, and what is left out.

        ``assignment`` is empty, or names one of several.
        """


def entries(folder: Path) -> list[Path]:
    """List what lies in a folder by name, without hidden files and what operating systems leave behind."""
    return sorted((p for p in folder.iterdir() if belongs(p.name)), key=lambda p: p.name)


def is_folder(path: Path) -> bool:
    """Whether ``path`` is a folder and not a link to one."""
    return path.is_dir() and not path.is_symlink()


def is_file(path: Path) -> bool:
    """Whether ``path`` is a plain file and not a link to one."""
    return path.is_file() and not path.is_symlink()


def fault(place: Path) -> str:
    """Return the reason why ``place`` can be no submission; empty if it may be one."""
    if place.is_symlink():
        return "a link; only files and folders themselves are graded"
    if place.is_dir():
        return _folder_fault(place)
    if not place.is_file():
        return "neither a file nor a folder"
    if not os.access(place, os.R_OK):
        return "it cannot be read: check its permissions"
    if place.suffix.lower() not in READ:
        return f"the wrong type: grader does not read {place.suffix.lower() or 'files without a suffix'}"
    return "" if place.stat().st_size else "an empty file"


def _folder_fault(folder: Path) -> str:
    if (folder / "results.sqlite").is_file():
        return "results of grader's own"
    names: list[str] = []
    suffixes: set[str] = set()
    problems: list[OSError] = []
    for here, folders, files in os.walk(folder, onerror=problems.append):
        folders[:] = filter(belongs, folders)
        files = list(filter(belongs, files))
        if any(not os.access(Path(here) / f, os.R_OK) for f in files if not (Path(here) / f).is_symlink()):
            return "a file in it cannot be read: check the permissions"
        names += files
        suffixes |= {Path(f).suffix.lower() for f in files if not (Path(here) / f).is_symlink()}
        if len(names) > parcel.MAX_SEEN:
            break  # `parcel` reports it
    if problems:
        return "it cannot be read in full: check the permissions"
    if not names or names == ["timestamp.txt"]:
        return "an empty folder"
    if not suffixes & {*READ, ".pb"}:
        shown = ", ".join(sorted(names)[:3])
        return f"nothing of a type that grader reads, only {shown[:100]}"
    return ""
