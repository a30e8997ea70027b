"""A graded class on disk: one SQLite file that is whole at any moment, whatever ends the process.

Results are written as soon as they exist, each in a transaction of its own (write-ahead log, synced). One
batch writes at a time; anyone may read meanwhile. `read` returns all that a report can show.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from grader import records as r
from grader.ask.attempt import Attempt, Made, made, usable
from grader.errors import InstructorError
from grader.judge import score
from grader.judge.rubric import Rubric
from grader.records.results import ClassResults, Entry, HandedIn, LeftOut, Similar, Student
from grader.store.file import check_room, hold, now, open_store, read_only, unreadable, unwritable

NAME = "results.sqlite"
_R = TypeVar("_R", bound=r.Record)


class Store:
    """An open store that only this process writes to; safe to use from several threads."""

    def __init__(self, folder: Path) -> None:
        """Open or make the store in ``folder``. Raises `InstructorError` where that is not possible."""
        self.path = folder / NAME
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._held = hold(folder)
        except OSError as error:
            raise InstructorError(
                f"{folder} cannot be written: {error.strerror or error}", "Name another place with --out."
            ) from None
        self._lock = threading.Lock()
        self._batch = self._since = 0
        try:
            check_room(folder)
            self._base = open_store(self.path)
        except BaseException:
            os.close(self._held)
            raise

    def close(self) -> None:
        """Close the file and give up the lock; a second call does nothing."""
        with self._lock, suppress(sqlite3.Error):
            self._base.close()
        if self._held >= 0:
            os.close(self._held)
        self._held = -1

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """Run one transaction: all of it or nothing.

        Raises `InstructorError` for a disk that takes no more.
        """
        with self._lock:
            try:
                self._base.execute("BEGIN IMMEDIATE")
                yield self._base
                self._base.execute("COMMIT")
            except BaseException as error:
                with suppress(sqlite3.Error):
                    self._base.execute("ROLLBACK")
                if isinstance(error, sqlite3.Error):
                    raise unwritable(self.path, error) from None
                raise

    def _value(self, query: str, *values: object) -> Any:
        with self._lock:
            row = self._base.execute(query, values).fetchone()
        return row[0] if row else None

    # --- the class ------------------------------------------------------------------------------

    def put_class(
        self,
        rubric: Rubric,
        entries: Iterable[tuple[Student, HandedIn | None]],
        left_out: Iterable[LeftOut],
        notes: Iterable[str],
    ) -> None:
        """Store who is in the class now.

        Students of earlier batches keep their rows and are no longer shown.
        """
        with self._writing() as base:
            _set(base, "rubric", rubric.model_dump_json())
            base.execute("UPDATE student SET present = 0")
            base.executemany(
                "INSERT INTO student (id, record, handed_in, present) VALUES (?, ?, ?, 1) ON CONFLICT (id) "
                "DO UPDATE SET record = excluded.record, handed_in = excluded.handed_in, present = 1",
                [(s.id, s.model_dump_json(), h.model_dump_json() if h else None) for s, h in entries],
            )
            _fill(base, "left_out", "record", [x.model_dump_json() for x in left_out])
            _fill(base, "note", "text", notes)

    def put_similar(self, found: Iterable[Similar], remarks: Iterable[str] = ()) -> None:
        """Store the pairs that resemble each other; ``remarks`` on the search join the class's notes."""
        with self._writing() as base:
            _fill(base, "resemblance", "record", [x.model_dump_json() for x in found])
            cut = [(r.writable(text[:2_000]),) for text in remarks]
            base.executemany("INSERT INTO note (text) VALUES (?)", cut)

    def put_grade(self, student: str, grade: r.Grade) -> None:
        """Store the grade of a student, in place of an earlier one."""
        source = grade.provenance
        with self._writing() as base:
            base.execute(
                "INSERT OR REPLACE INTO grade (student, submission_digest, rubric_digest, record) "
                "VALUES (?, ?, ?, ?)",
                (student, source.submission_digest, source.rubric_digest, grade.model_dump_json()),
            )

    def results(self) -> ClassResults:
        """Return the class as it stands now."""
        with self._lock:
            return _results(self._base, self.path)

    # --- results that are used again ------------------------------------------------------------

    def description(self, key: str) -> r.DescribeAnswer | None:
        """Return the stored description under ``key``; None if there is none that this batch may use."""
        query = "SELECT answer FROM description WHERE key = ? AND batch >= ?"
        found = self._value(query, key, self._since)
        return _whole(r.DescribeAnswer, zlib.decompress(found)) if found else None

    def keep_description(self, key: str, answer: r.DescribeAnswer) -> None:
        """Store a description under ``key``, a digest of all that the description depends on."""
        packed = zlib.compress(answer.model_dump_json().encode(), 1)
        with self._writing() as base:
            base.execute("INSERT OR REPLACE INTO description VALUES (?, ?, ?)", (key, packed, self._batch))

    def run(self, attempt: Attempt) -> r.TrainingRun | None:
        """Return the stored run of an attempt; None if none was stored or none went far enough."""
        query = "SELECT record FROM attempt WHERE key = ? AND batch >= ?"
        found = self._value(query, attempt.key, self._since)
        kept = _whole(Made, found) if found else None
        return usable(kept, attempt.job) if kept else None

    def keep_run(self, attempt: Attempt, run: r.TrainingRun) -> None:
        """Store the run of an attempt under the attempt's key."""
        row = (attempt.key, made(attempt, run).model_dump_json(), run.seed, self._batch)
        with self._writing() as base:
            base.execute("INSERT OR REPLACE INTO attempt VALUES (?, ?, ?, ?)", row)

    # --- batches --------------------------------------------------------------------------------

    def begin(self, settings: str, fresh: bool = False) -> None:
        """Begin a batch; a ``fresh`` one uses no description or run of earlier batches, and deletes none."""
        with self._writing() as base:
            query = "INSERT INTO batch (began, settings) VALUES (?, ?)"
            self._batch = base.execute(query, (now(), settings)).lastrowid or 0
        self._since = self._batch if fresh else 0

    def end(self, how: str) -> None:
        """Store when and ``how`` the batch ended."""
        with self._writing() as base:
            base.execute("UPDATE batch SET ended = ?, how = ? WHERE number = ?", (now(), how, self._batch))


# --- reading, and what a person sets ------------------------------------------------------------


def read(path: Path) -> ClassResults:
    """Read the class in a store, or in the folder that holds one, also while it is being graded.

    Raises `InstructorError` for what is no store.
    """
    path = _place(path)
    with closing(read_only(path)) as base:
        return _results(base, path)


def set_by_hand(path: Path, student: str, criterion: str, points: float, reason: str) -> r.Verdict:
    """Store a person's verdict on one criterion of one student, which replaces grader's for good.

    Returns the verdict as reports will show it. Raises `InstructorError` for an unknown student or criterion,
    for points out of range, and for an empty reason.
    """
    path = _place(path)
    reason = reason.strip()
    entry = _entry(read(path), student)
    if entry.grade is None:
        raise InstructorError(f"{student} has no grade yet", "Grade the class first.")
    verdict = next((v for v in entry.grade.verdicts if v.criterion == criterion), None)
    if verdict is None:
        known = ", ".join(v.criterion for v in entry.grade.verdicts)
        raise InstructorError(f"no criterion has the id {criterion!r}", f"There are: {known}.")
    if not 0 <= points <= verdict.max_points:
        raise InstructorError(f"{points:g} points: {criterion} has 0 to {verdict.max_points:g}")
    if not reason:
        raise InstructorError("a verdict by hand needs a reason", 'Say why: --reason "…".')
    with closing(open_store(path)) as base:
        try:
            row = (student, criterion, points, r.writable(reason[:5_000]), now())
            base.execute("INSERT OR REPLACE INTO by_hand VALUES (?, ?, ?, ?, ?)", row)
        except sqlite3.Error as error:
            raise unwritable(path, error) from None
        changed = next(e.grade for e in _results(base, path).entries if e.student.id == student)
    assert changed is not None
    return next(v for v in changed.verdicts if v.criterion == criterion)


def confirm(path: Path, student: str, reason: str) -> tuple[r.Verdict, ...]:
    """Give a student the points that replays have earned; return the verdicts.

    Raises `InstructorError` where no replay waits for a person's word.
    """
    entry = _entry(read(path), student)
    waiting = [v for v in entry.grade.verdicts if v.to_confirm is not None] if entry.grade else []
    if not waiting:
        raise InstructorError(
            f"{student} has no replay that waits for a person's word",
            "`grader set` sets any other verdict by hand.",
        )
    return tuple(set_by_hand(path, student, v.criterion, v.to_confirm or 0.0, reason) for v in waiting)


def _entry(results: ClassResults, student: str) -> Entry:
    entry = next((e for e in results.entries if e.student.id == student), None)
    if entry is None:
        known = ", ".join(e.student.id for e in results.entries)[:500]
        raise InstructorError(f"no student has the id {student!r}", f"There are: {known}.")
    return entry


def _place(path: Path) -> Path:
    path = path / NAME if path.is_dir() else path
    if not path.is_file():
        raise InstructorError(f"{path}: there are no results", "Grade a class with `grader batch` first.")
    return path


def _results(base: sqlite3.Connection, path: Path) -> ClassResults:
    try:
        base.execute("BEGIN")
        setting = base.execute("SELECT value FROM setting WHERE name = 'rubric'").fetchone()
        students = base.execute(
            "SELECT id, record, handed_in FROM student WHERE present ORDER BY id"
        ).fetchall()
        grades = dict(base.execute("SELECT student, record FROM grade"))
        by_hand: dict[str, dict[str, tuple[float, str]]] = {}
        for student, criterion, points, reason in base.execute(
            "SELECT student, criterion, points, reason FROM by_hand"
        ):
            by_hand.setdefault(student, {})[criterion] = (points, reason)
        lists = [
            [row[0] for row in base.execute(f"SELECT {column} FROM {table} ORDER BY number")]
            for table, column in (("left_out", "record"), ("resemblance", "record"), ("note", "text"))
        ]
        base.execute("COMMIT")
    except sqlite3.Error as error:
        raise unreadable(path, error) from None
    if setting is None:
        raise InstructorError(f"{path}: no class has been graded into it yet", "Run `grader batch` first.")
    rubric = _whole(Rubric, setting[0])
    if rubric is None:
        raise InstructorError(
            f"{path}: this version of grader cannot read its rubric", "Run `grader batch` again."
        )
    entries = tuple(
        Entry(
            student=Student.model_validate_json(record),
            handed_in=HandedIn.model_validate_json(handed_in) if handed_in else None,
            grade=_with_hand(rubric, grades.get(student) if handed_in else None, by_hand.get(student, {})),
        )
        for student, record, handed_in in students
    )
    left_out, similar, notes = lists
    return ClassResults(
        rubric=rubric.title,
        max_points=rubric.max_points,
        entries=entries,
        left_out=tuple(map(LeftOut.model_validate_json, left_out)),
        similar=tuple(map(Similar.model_validate_json, similar)),
        notes=tuple(notes),
    )


def _with_hand(rubric: Rubric, record: str | None, set_: Mapping[str, tuple[float, str]]) -> r.Grade | None:
    grade = _whole(r.Grade, record) if record else None
    return score.by_hand(rubric, grade, set_) if grade and set_ else grade


def _whole(kind: type[_R], text: str | bytes) -> _R | None:
    """Parse a record; None for one that another version wrote in another form."""
    try:
        return kind.model_validate_json(text)
    except ValidationError:
        return None


def _fill(base: sqlite3.Connection, table: str, column: str, texts: Iterable[str]) -> None:
    base.execute(f"DELETE FROM {table}")
    base.executemany(f"INSERT INTO {table} ({column}) VALUES (?)", [(r.writable(t),) for t in texts])


def _set(base: sqlite3.Connection, name: str, value: str) -> None:
    base.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", (name, value))
