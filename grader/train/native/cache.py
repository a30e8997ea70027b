"""Where Numba keeps what it compiles. Imported before Numba, which looks for its folder only then."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from pathlib import Path

from grader.data.cache import folder

_VARIABLE = "NUMBA_CACHE_DIR"
_KEPT = 30 * 24 * 3600  # seconds that kernels of another version stay


def prepare(home: Path | None = None) -> Path | None:
    """Have Numba keep its files below ``home`` (the user's); None where that cannot be.

    Then everything is compiled once for each run. A folder that is set already stays. It is named after the
    kernels' source: another version of them compiles anew, and old ones go.
    """
    if _VARIABLE in os.environ:
        return Path(os.environ[_VARIABLE])
    found = folder(f"kernels-{_digest()}", home)
    if found is not None:
        os.environ[_VARIABLE] = str(found)
        _forget(found)
    return found


def _forget(current: Path) -> None:
    """Remove the kernels of other versions that nobody has added to for long."""
    for other in current.parent.glob("kernels-*"):
        if other != current and time.time() - other.stat().st_mtime > _KEPT:
            shutil.rmtree(other, ignore_errors=True)


def _digest() -> str:
    total = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        total.update(path.read_bytes())
    return total.hexdigest()[:16]
