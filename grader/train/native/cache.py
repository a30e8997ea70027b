"""Sets the folder for Numba's compiled files. Imported before Numba, which reads the setting only then."""

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
    """Have Numba keep compiled kernels below ``home`` (the user's by default); return the folder.

    None where no such folder can be had; then each run compiles everything once. A folder that is set already
    stays. The folder's name holds a digest of the kernels' source: another version compiles anew, and old
    folders are deleted.
    """
    if _VARIABLE in os.environ:
        return Path(os.environ[_VARIABLE])
    found = folder(f"kernels-{_digest()}", home)
    if found is not None:
        os.environ[_VARIABLE] = str(found)
        _forget(found)
    return found


def _forget(current: Path) -> None:
    """Delete the kernels of other versions that have not changed for `_KEPT` seconds."""
    for other in current.parent.glob("kernels-*"):
        if other != current and time.time() - other.stat().st_mtime > _KEPT:
            shutil.rmtree(other, ignore_errors=True)


def _digest() -> str:
    total = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        total.update(path.read_bytes())
    return total.hexdigest()[:16]
