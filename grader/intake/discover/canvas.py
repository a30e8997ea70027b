"""The layout of a Canvas bulk download.

Files are called `lastnamefirst[_LATE]_<userid>_<fileid>_<name>`, anonymous ones
`[LATE_]anon_<anonid>_<fileid>_<name>`. File ids grow in the order of upload. A file that was handed in again
is called `name-1`, `name-2`; any other name is another file of the same submission.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from grader.intake.discover.interface import Item, entries, is_folder
from grader.records import LeftOut

_NAMED = re.compile(r"(?P<name>[^_]*?)(?P<late>_LATE)?_(?P<user>\d+)_(?P<file>\d+)_(?P<rest>.+)", re.DOTALL)
_ANONYMOUS = re.compile(r"(?P<late>LATE_)?anon_(?P<user>\w+?)_(?P<file>\d+)_(?P<rest>.+)", re.DOTALL)
_TEXT = re.compile(r".*_text\.html?", re.DOTALL)
_AGAIN = re.compile(r"-\d+(?=\.[^.]*$|$)")


def recognises(folder: Path) -> bool:
    """Whether at least half of the entries have names such as Canvas gives."""
    names = [p.name for p in entries(folder) if not is_folder(p)]
    return bool(names) and 2 * sum(map(bool, map(_match, names))) >= len(entries(folder))


def items(folder: Path, assignment: str) -> Iterator[Item | LeftOut]:
    """Yield each file with its student, and leave out typed text and foreign names."""
    for place in entries(folder):
        match = _match(place.name)
        if match is None or is_folder(place):
            text = _TEXT.fullmatch(place.name)
            why = "text typed into Canvas, no file" if text else "its name is not one that Canvas gives"
            yield LeftOut(path=place.name, reason=why)
            continue
        anonymous = "name" not in match.groupdict()
        name = f"anon {match['user']}" if anonymous else match["name"] or match["user"]
        yield Item(
            person=match["user"],
            label=f"{name} {'' if anonymous else match['user']}",
            name=name,
            parts=((place, match["rest"]),),
            late=bool(match["late"]),
            keys={"user": match["user"], "file": match["file"], "name": place.name},
            rank=("", int(match["file"][:18])),
            slot=_AGAIN.sub("", match["rest"]),
        )


def _match(name: str) -> re.Match[str] | None:
    return _ANONYMOUS.fullmatch(name) or _NAMED.fullmatch(name)
