"""The layout of a plain folder: `<student>.ipynb`, or `<student>/…`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from grader.intake.discover.interface import Item, entries, is_folder
from grader.records import LeftOut

_NOT_STUDENTS = {"readme", "license", "licence", "notes", "index", "changelog"}


def recognises(folder: Path) -> bool:
    """Always true: this layout is the last one tried."""
    return True


def items(folder: Path, assignment: str) -> Iterator[Item | LeftOut]:
    """Yield each file and folder under its own name; leave out files about the folder, such as a readme."""
    for place in entries(folder):
        name = place.name if is_folder(place) else place.stem
        if not is_folder(place) and name.casefold() in _NOT_STUDENTS:
            yield LeftOut(path=place.name, reason="a file about the folder, not a student's")
        else:
            # `anna.ipynb` and `anna.keras` are one submission; a folder beside a file may be another.
            slot = "" if is_folder(place) else place.suffix.lower()
            yield Item(name, name, name, ((place, place.name),), slot=slot)
