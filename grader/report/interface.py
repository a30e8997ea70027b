"""What every report format is: functions from stored results to text or files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast

from grader.errors import InstructorError
from grader.records import ClassResults, Grade
from grader.report.clean import CleanGrade, CleanResults, clean, inert, line, marked, plain
from grader.report.view import View, Whole, for_student, whole

__all__ = [
    "CleanResults", "Context", "Files", "Format", "Report", "Screen", "View", "Whole",
    "clean", "for_student", "inert", "line", "marked", "plain", "whole",
]  # fmt: skip


@dataclass(frozen=True)
class Screen:
    """Where text will be read: its width in characters, and whether it may have colour."""

    width: int = 100
    colour: bool = False


@dataclass(frozen=True)
class Context(Screen):
    """What a format may know besides the results.

    ``submission`` is where the work lies, ``gradebook`` the file that a platform exported and
    ``column`` the assignment in it, ``environment`` the variables in which platforms say who and
    what is graded. ``throwaway``: a container that runs one submission only counts as isolation.
    """

    submission: Path | None = None
    gradebook: Path | None = None
    column: str = ""
    throwaway: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)


Report = str | bytes
Files = dict[str, Report]  # by relative path; see `grader.report.deliver` for what a path may be
OfOne = Callable[[View, Context], Report]
OfWhole = Callable[[Whole, Context], Report]
OfClass = Callable[[CleanResults, Context], Report | Files]
# Who reads it. Programs take no grade that was made without isolation: a gradebook none at all; a
# container's platform and a CI job run every submission in a throw-away container of its own, which the
# instructor may let count. A platform waits for its file also where grading failed; a CI job has failed then.
Reader = Literal["person", "gradebook", "container", "job"]


@dataclass(frozen=True)
class Format:
    """One format: what it makes of one student's grade, and of a class.

    ``one`` writes for that student and is handed no hidden criterion. ``everything`` is for a format that
    only an instructor reads, or whose platform itself hides criteria. All are handed clean text; the
    ``record`` itself, which is ASCII, keeps what was said. ``appended`` ones are added to a file that holds
    other lines already.
    """

    suffix: str
    one: OfOne | None = None
    everything: OfWhole | None = None
    many: OfClass | None = None
    reader: Reader = "person"
    appended: bool = False
    record: bool = False

    @property
    def single(self) -> bool:
        """Whether it makes a report of one grade."""
        return self.one is not None or self.everything is not None

    def __call__(self, grade: Grade, context: Screen) -> Report:
        """Of one grade. Raises `InstructorError` for a format that needs a class."""
        full = context if isinstance(context, Context) else Context(**vars(context))
        if self.one is not None:
            return self.one(for_student(clean(grade)), full)
        if self.everything is not None:
            return self.everything(whole(cast("CleanGrade", grade) if self.record else clean(grade)), full)
        raise InstructorError(
            "this format is made of a whole class", "Use `grader report RESULTS -f … -o …`."
        )

    def of_class(self, results: ClassResults, context: Context) -> Report | Files:
        """Of a class. Raises `InstructorError` for a format of single grades."""
        if self.many is None:
            raise InstructorError("this format is one file for each student", "Name a folder behind -o.")
        return self.many(cast("CleanResults", results) if self.record else clean(results), context)
