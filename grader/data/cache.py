"""The user's own folders below ``~/.cache/grader``, which nobody else can write.

What lies there is loaded without a check, so it is never a folder of a submission's, nor one of all users.
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path


def folder(name: str = "", home: Path | None = None) -> Path | None:
    """The folder of this name (without one: that of them all), made where it is not there yet.

    None where it cannot be made, or others could write to it. ``home`` is the user's, unless told.
    """
    try:
        ours = (home or _home()) / ".cache" / "grader"
        place = ours / name
        for made in (ours.parent, ours, place):
            made.mkdir(mode=0o700, parents=True, exist_ok=True)
        private = all(_private(x.stat()) for x in (ours, place))
    except (OSError, KeyError, RuntimeError):
        return None
    return place if os.access(place, os.W_OK) and private else None


def _home() -> Path:
    """The user's home by the user database: HOME of a training child is a temporary folder."""
    if sys.platform == "win32":
        return Path.home()
    import pwd

    return Path(pwd.getpwuid(os.getuid()).pw_dir)


def _private(found: os.stat_result) -> bool:
    if sys.platform == "win32":
        return True
    return found.st_uid == os.getuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
