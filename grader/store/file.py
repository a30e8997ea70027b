"""Opens the file of a store: who may write it, whether it is grader's, which version its tables have."""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

from grader.errors import BrokenError, InstructorError
from grader.store.tables import STEPS

APPLICATION = 0x67726164  # marks the file as ours
ROOM = 200_000_000  # bytes that must be free to begin


def hold(folder: Path) -> int:
    """Lock a folder and return the lock's descriptor; the lock ends with this process in every case.

    Raises `InstructorError` if another process holds the lock.
    """
    held = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        other = os.read(held, 100).decode("utf-8", "replace").strip()
        os.close(held)
        raise InstructorError(
            f"another batch is writing to {folder}: {other or 'a process that has just begun'}",
            "Wait for it, or name another folder with --out.",
        ) from None
    os.ftruncate(held, 0)
    os.write(held, f"process {os.getpid()} since {now()}\n".encode())
    return held


def check_room(folder: Path) -> None:
    """Raise `InstructorError` where the disk of ``folder`` has fewer than `ROOM` bytes free."""
    free = shutil.disk_usage(folder).free
    if free < ROOM:
        raise InstructorError(
            f"{folder}: {free / 1e6:,.0f} MB are free on its disk; a class needs {ROOM / 1e6:,.0f} MB",
            "Make room, or name another place with --out.",
        )


def open_store(path: Path) -> sqlite3.Connection:
    """Open or make the file for writing, and bring its tables to this version.

    Raises `InstructorError` for a file that is not grader's or cannot be written.
    """
    base: sqlite3.Connection | None = None
    try:
        base = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
        _check(base, path)
        for setting in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            base.execute(f"PRAGMA {setting}")
        _bring_up(base)
    except sqlite3.Error as error:
        if base is not None:
            base.close()
        raise unwritable(path, error) from None
    except InstructorError:
        if base is not None:
            base.close()
        raise
    return base


def read_only(path: Path) -> sqlite3.Connection:
    """Open the file for reading, also on a disk that cannot be written.

    There the write-ahead log beside the file cannot be opened. Raises `InstructorError` for what is no store
    of this version.
    """
    for how in ("mode=ro", "mode=ro&immutable=1"):
        base = sqlite3.connect(f"{path.resolve().as_uri()}?{how}", uri=True, timeout=30, isolation_level=None)
        try:
            _check(base, path)
            if version := base.execute("PRAGMA user_version").fetchone()[0]:
                if version < len(STEPS):
                    raise InstructorError(
                        f"{path} was written by an older grader",
                        "Run `grader batch` on it once, to bring it up.",
                    )
                return base
            raise InstructorError(f"{path} is empty", "Grade a class with `grader batch` first.")
        except sqlite3.OperationalError as error:
            base.close()
            problem = error
        except sqlite3.Error as error:
            base.close()
            raise unreadable(path, error) from None
        except InstructorError:
            base.close()
            raise
    raise unreadable(path, problem)


def _check(base: sqlite3.Connection, path: Path) -> None:
    """Raise `InstructorError` unless the file is grader's, and of a version that this grader reads."""
    mark, version = (base.execute(f"PRAGMA {x}").fetchone()[0] for x in ("application_id", "user_version"))
    tables = base.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if tables and mark != APPLICATION:
        raise InstructorError(f"{path} is a database, but not grader's", "Name another folder with --out.")
    if version > len(STEPS):
        raise InstructorError(
            f"{path} was written by a newer grader (version {version} of its tables; "
            f"this one reads up to {len(STEPS)})",
            "Update grader, or name another folder with --out.",
        )


def _bring_up(base: sqlite3.Connection) -> None:
    """Run each missing step of the tables in one transaction with the version that it leads to."""
    version = base.execute("PRAGMA user_version").fetchone()[0]
    for number, step in enumerate(STEPS[version:], version + 1):
        marks = f"PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {number};"
        base.executescript(f"BEGIN IMMEDIATE; {step} {marks} COMMIT;")


def unwritable(path: Path, error: sqlite3.Error) -> InstructorError | BrokenError:
    """Return the error to raise where SQLite cannot write: the disk's fault, or a damaged file."""
    if isinstance(error, sqlite3.OperationalError):
        return InstructorError(
            f"the results in {path} cannot be written: {error}",
            "Make room or give permission, then run the same command again: what was written is kept.",
        )
    return unreadable(path, error)


def unreadable(path: Path, error: sqlite3.Error) -> InstructorError:
    """Return the error to raise for a file that SQLite cannot read."""
    return InstructorError(
        f"{path} is no results file of grader, or it is damaged: {error}",
        "Move it away, or name another folder with --out.",
    )


def now() -> str:
    """Return the present time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
