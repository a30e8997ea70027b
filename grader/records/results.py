"""Records of a graded class: who handed in what, and each grade. A store holds them, reports render them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from grader.record import Name, Record, Text
from grader.records.grade import Grade

Layout = Literal["plain", "nbgrader", "gradescope", "canvas", "moodle", "repository"]


class Student(Record):
    """A student; ``id`` is unique in a class, stays the same between runs and is safe in a file name."""

    id: Name
    name: Text
    email: Text = ""


class HandedIn(Record):
    """One student's submission as it lay in the class folder.

    ``path`` is relative to that folder (or inside its zip). ``submitted_at`` is the layout's own timestamp in
    ISO 8601, empty where the layout has none. ``keys`` are the platform's own names for the submission, which
    giving results back needs: Canvas's user id and file name, Moodle's participant number, Gradescope's
    submission id.
    """

    layout: Layout
    path: Text
    submitted_at: Text = ""
    late: bool = False
    keys: dict[str, str] = Field(default_factory=dict)


class LeftOut(Record):
    """Something in the class folder that is not graded, and why."""

    path: Text
    reason: Text


class Similar(Record):
    """Submissions that resemble each other: a pointer for a person, never a verdict."""

    students: Annotated[tuple[Name, ...], Field(min_length=2)]
    kind: Literal["same network and recipe", "nearly the same code"]
    likeness: Annotated[float, Field(ge=0.0, le=1.0)]
    detail: Text = ""


class Entry(Record):
    """One row of the class. No ``handed_in``: on the roster only; no ``grade``: not graded yet."""

    student: Student
    handed_in: HandedIn | None = None
    grade: Grade | None = None


class ClassResults(Record):
    """Everything that a report about a class can show; rows are in the order of `Student.id`."""

    schema_version: Literal["grader/results/1"] = "grader/results/1"
    rubric: str
    max_points: float
    entries: tuple[Entry, ...]
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[Text, ...] = ()  # about the class as a whole
    similar: tuple[Similar, ...] = ()
