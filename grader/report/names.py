"""File names from what students are called: nothing that leads elsewhere, hides or is too long."""

from __future__ import annotations

import re

from grader.report.interface import plain

_UNSAFE = re.compile(r'[/\\:*?"<>|\x00-\x1f�]')
_RESERVED = re.compile(r"^(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)


def file_name(text: str, most: int = 200) -> str:
    """One part of a path that every system can hold."""
    safe = _UNSAFE.sub("_", plain(text).replace("\n", "_").replace("\t", "_")).strip()
    while len(safe.encode()) > most:
        safe = safe[:-1]
    if set(safe) <= {"."} or _RESERVED.match(safe) or safe.startswith(("~", "-")):
        safe = f"_{safe}"
    return safe
