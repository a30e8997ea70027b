"""A roster: a CSV with a row for each student, as every platform exports one.

Columns are known by their names (Canvas's, Moodle's and Gradescope's exports among them); the delimiter is a
comma, a semicolon or a tab. It tells who handed in nothing; it does not change who is graded.
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
    """A row: the student, and all that a platform may call this student."""

    student: Student
    called: frozenset[str]


def read(path: Path) -> tuple[Person, ...]:
    """Raises `InstructorError` for a file that holds no roster."""
    rows = list(_rows(path))
    header = [_COLUMNS.get(_simple(cell)) for cell in rows[0]] if rows else []
    if not {"id", "name", "email", "last", "login"} & set(header):
        told = (", ".join(rows[0]) if rows else "it is empty")[:400]
        raise InstructorError(
            f"{path}: its first line names no column for students: {told}",
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
    """UTF-8, UTF-16 with a mark, or what Excel writes where neither is set."""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw.decode("utf-16", "replace")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


def _simple(text: str) -> str:
    """For comparing: without case, accents, punctuation and double spaces."""
    bare = unicodedata.normalize("NFKD", text)
    kept = "".join(c for c in bare if not unicodedata.combining(c)).casefold()
    return " ".join(re.sub(r"[^\w]+|_", " ", kept).split())


def _person(header: list[str | None], row: list[str]) -> Person | None:
    """None for a row that is about no student, such as Canvas's `Points Possible`."""
    told = {key: value for key, value in zip(header, row, strict=False) if key and value}
    name = told.get("name") or " ".join(filter(None, (told.get("first"), told.get("last"))))
    if _simple(name) in ("points possible", "student test", "test student"):
        return None
    key = next((told[k] for k in ("id", "sis", "login", "email", "participant") if k in told), name)
    if not key:
        return None
    number = re.sub(r"\D", "", told.get("participant", ""))
    email = told.get("email", "")
    called = {*told.values(), number, name, email.split("@")[0], *_turned(name)} - {""}
    called -= {told.get("first", ""), told.get("last", "")}
    student = Student(id=plain_id(key), name=(name or key)[:1_000], email=email[:1_000])
    return Person(student, frozenset(filter(None, map(_simple, called))))


def _turned(name: str) -> Iterator[str]:
    """`Smith, Anna` and `Anna Smith` are one; Canvas writes `smithanna`."""
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
    """Who of the found ``students`` (with their platform's keys) is who on the roster, and who is left over.

    What would fit two people fits nobody.
    """
    by_name: dict[str, list[Person]] = {}
    for person in people:
        for name in person.called | {_simple(person.student.id)}:
            by_name.setdefault(name, []).append(person)
    matched: dict[str, Person] = {}
    for student, keys in students:
        told = (*keys.values(), student.email, student.id, student.name)
        fits = (by_name.get(_simple(text), []) for text in told if text)
        one = next((found[0] for found in fits if len(found) == 1), None)
        if one is not None:
            matched[student.id] = one
    present = {person.student.id for person in matched.values()}
    return matched, tuple(p for p in people if p.student.id not in present)
