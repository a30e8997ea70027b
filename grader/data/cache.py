"""The user's own folders below ``~/.cache/grader``, which nobody else can write.

Files in them are loaded without a check, so such a folder is never a submission's, nor one that all users
share.
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path


def folder(name: str = "", home: Path | None = None) -> Path | None:
    """Make the folder ``name`` where needed and return it; without a name, the folder of them all.

    None where the folder cannot be made, or others could write to it. ``home`` is the user's home folder by
    default.
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
