"""Where what engines compile is kept between runs: folders that only this user can write.

What lies there is loaded without a check, so it is never a folder of a submission's, nor one of all users.
Imports neither Numba nor JAX, which look for their folders when they are imported.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from pathlib import Path

_VARIABLE = "NUMBA_CACHE_DIR"


def prepare(home: Path | None = None) -> Path | None:
    """Have Numba keep its files below ``home`` (the user's); None where that cannot be.

    Then everything is compiled once for each run. A folder that is set already stays. It is named after the
    kernels' source: another version of them compiles anew.
    """
    if _VARIABLE in os.environ:
        return Path(os.environ[_VARIABLE])
    found = folder(f"kernels-{_digest()}", home)
    if found is not None:
        os.environ[_VARIABLE] = str(found)
    return found


def folder(name: str, home: Path | None = None) -> Path | None:
    """The user's own folder of this name, made where it is not there yet; None where that cannot be."""
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


def _digest() -> str:
    total = hashlib.sha256()
    for path in sorted((Path(__file__).parent / "native").glob("*.py")):
        total.update(path.read_bytes())
    return total.hexdigest()[:16]
