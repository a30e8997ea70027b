"""Where compiled kernels are kept between runs: a folder that only this user can write.

Numba loads what lies there without a check, so it is never a folder of a submission's, nor one of all
users. It is named after the kernels' source: another version of them compiles anew. Imports no Numba, which
looks for its folder when it is imported.
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

    Then everything is compiled once for each run. A folder that is set already stays.
    """
    if _VARIABLE in os.environ:
        return Path(os.environ[_VARIABLE])
    try:
        folder = (home or _home()) / ".cache" / "grader" / f"kernels-{_digest()}"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
    except (OSError, KeyError, RuntimeError):
        return None
    if not os.access(folder, os.W_OK) or not _private(found):
        return None
    os.environ[_VARIABLE] = str(folder)
    return folder


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
    for path in sorted(Path(__file__).parent.glob("*.py")):
        total.update(path.read_bytes())
    return total.hexdigest()[:16]
