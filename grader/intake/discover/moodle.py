"""The layout of a Moodle bulk download.

A folder `Full name_<id>_assignsubmission_file` for each student (with a trailing `_` in older versions), or
flat files `…_assignsubmission_file_<name>`. The number is the participant's in this assignment.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from grader.intake.discover.interface import Item, entries, is_folder
from grader.records import LeftOut

_NAMED = re.compile(
    r"(?P<name>.*?)_(?P<id>\d+)_assignsubmission_(?P<kind>[a-z]+)(?:_(?P<rest>.*))?", re.DOTALL
)


def recognises(folder: Path) -> bool:
    """Whether any entry has a name such as Moodle gives."""
    return any(_NAMED.fullmatch(p.name) for p in entries(folder))


def items(folder: Path, assignment: str) -> Iterator[Item | LeftOut]:
    """Yield each folder or flat file with its student, and leave out typed text and foreign names."""
    for place in entries(folder):
        match = _NAMED.fullmatch(place.name)
        if match is None:
            yield LeftOut(path=place.name, reason="its name is not one that Moodle gives")
        elif match["kind"] != "file":
            yield LeftOut(path=place.name, reason="text typed into Moodle, no file")
        else:
            flat = "" if is_folder(place) else match["rest"] or place.name
            yield Item(
                person=match["id"],
                label=f"{match['name']} {match['id']}",
                name=match["name"],
                parts=((place, flat or place.name),),
                keys={"participant": match["id"], "name": place.name},
                slot=flat,
            )
