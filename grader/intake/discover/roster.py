"""Reads a roster: a CSV with a row for each student, as every platform exports one.

Columns are known by their names (Canvas's, Moodle's and Gradescope's exports among them); the delimiter is a
comma, a semicolon or a tab. A roster shows who handed in nothing; it does not change who is graded.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from grader.errors import InstructorError
from grader.intake.discover.identity import plain_id
from grader.records import Student

_COLUMNS = {
    "id": "id", "student id": "id", "student": "name", "student name": "name", "sid": "id", "user": "id",
    "username": "id", "user id": "id", "userid": "id", "login": "id", "login id": "id", "number": "id",
    "sis login id": "login", "sis user id": "sis", "id number": "sis", "matriculation number": "sis",
    "email": "email", "email address": "email", "e mail": "email", "mail": "email",
    "name": "name", "full name": "name", "display name": "name",
    "first name": "first", "given name": "first", "firstname": "first",
    "last name": "last", "surname": "last", "lastname": "last", "family name": "last",
    "identifier": "participant",
}  # fmt: skip
_MOST = 10_000_000  # bytes


@dataclass(frozen=True)
class Person:
    """A row: the student, and every name, number or address that a platform may use for this student."""

    student: Student
    called: frozenset[str]


def read(path: Path) -> tuple[Person, ...]:
    """Read the rows of a roster, each id once. Raises `InstructorError` for a file that holds no roster."""
    rows = list(_rows(path))
    header = [_COLUMNS.get(_simple(cell)) for cell in rows[0]] if rows else []
    if not {"id", "name", "email", "last", "login"} & set(header):
        found = (", ".join(rows[0]) if rows else "it is empty")[:400]
        raise InstructorError(
            f"{path}: its first line names no column for students: {found}",
            "Call one column id, name or email; exports of Canvas, Moodle and Gradescope will do.",
        )
    people = {p.student.id: p for row in rows[1:] if (p := _person(header, row)) is not None}
    return tuple(people.values())


def _rows(path: Path) -> Iterator[list[str]]:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InstructorError(f"the roster {path} cannot be read: {error}", "Check the path.") from None
    if len(raw) > _MOST:
        raise InstructorError(f"the roster {path} has {len(raw):,} bytes; at most {_MOST:,} are read")
    text = _decoded(raw)
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(",;\t", key=first.count)
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            if any(cell.strip() for cell in row):
                yield [cell.strip() for cell in row]
    except csv.Error as error:
        raise InstructorError(f"the roster {path} is no CSV: {error}", "Export it again as CSV.") from None


def _decoded(raw: bytes) -> str:
    """Decode UTF-8, UTF-16 with a byte order mark, or else what Excel writes on Windows (cp1252)."""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw.decode("utf-16", "replace")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


def _simple(text: str) -> str:
    """Strip case, accents, punctuation and double spaces, for comparing."""
    bare = unicodedata.normalize("NFKD", text)
    kept = "".join(c for c in bare if not unicodedata.combining(c)).casefold()
    return " ".join(re.sub(r"[^\w]+|_", " ", kept).split())


def _person(header: list[str | None], row: list[str]) -> Person | None:
    """Make a person of a row; None for a row that is about no student, such as Canvas's `Points Possible`."""
    cells = {key: value for key, value in zip(header, row, strict=False) if key and value}
    name = cells.get("name") or " ".join(filter(None, (cells.get("first"), cells.get("last"))))
    if _simple(name) in ("points possible", "student test", "test student"):
        return None
    key = next((cells[k] for k in ("id", "sis", "login", "email", "participant") if k in cells), name)
    if not key:
        return None
    number = re.sub(r"\D", "", cells.get("participant", ""))
    email = cells.get("email", "")
    called = {*cells.values(), number, name, email.split("@")[0], *_turned(name)} - {""}
    called -= {cells.get("first", ""), cells.get("last", "")}
    student = Student(id=plain_id(key), name=(name or key)[:1_000], email=email[:1_000])
    return Person(student, frozenset(filter(None, map(_simple, called))))


def _turned(name: str) -> Iterator[str]:
    """Yield the name in both orders: `Smith, Anna` and `Anna Smith` are one; Canvas writes `smithanna`."""
    last, comma, first = name.partition(",")
    if not comma:
        first, _, last = name.rpartition(" ")
    words = [first.strip(), last.strip()]
    yield " ".join(words)
    yield " ".join(reversed(words))
    yield re.sub(r"\W", "", "".join(reversed(words)))


def match(
    students: Iterable[tuple[Student, dict[str, str]]], people: tuple[Person, ...]
) -> tuple[dict[str, Person], tuple[Person, ...]]:
    """Match the found ``students`` (with their platform's keys) with the people on the roster.

    Returns the person for each matched student's id, and the people who match no student. A name that fits
    two people fits nobody.
    """
    by_name: dict[str, list[Person]] = {}
    for person in people:
        for name in person.called | {_simple(person.student.id)}:
            by_name.setdefault(name, []).append(person)
    matched: dict[str, Person] = {}
    for student, keys in students:
        names = (*keys.values(), student.email, student.id, student.name)
        fits = (by_name.get(_simple(text), []) for text in names if text)
        one = next((found[0] for found in fits if len(found) == 1), None)
        if one is not None:
            matched[student.id] = one
    present = {person.student.id for person in matched.values()}
    return matched, tuple(p for p in people if p.student.id not in present)
