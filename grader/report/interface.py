"""What every report format is: functions from stored results to text or files."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from grader.errors import InstructorError
from grader.records import ClassResults, Grade


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
OfOne = Callable[[Grade, Context], Report]
OfClass = Callable[[ClassResults, Context], Report | Files]
# Who reads it. Programs take no grade that was made without isolation: a gradebook none at all; a
# container's platform and a CI job run every submission in a throw-away container of its own, which the
# instructor may let count. A platform waits for its file also where grading failed; a CI job has failed then.
Reader = Literal["person", "gradebook", "container", "job"]


@dataclass(frozen=True)
class Format:
    """One format: what it makes of one student's grade (for that student), and of a class.

    ``appended`` ones are added to a file that holds other lines already.
    """

    suffix: str
    one: OfOne | None = None
    many: OfClass | None = None
    reader: Reader = "person"
    appended: bool = False

    def __call__(self, grade: Grade, context: Screen) -> Report:
        """Of one grade. Raises `InstructorError` for a format that needs a class."""
        if self.one is None:
            raise InstructorError(
                "this format is made of a whole class", "Use `grader report RESULTS -f … -o …`."
            )
        return self.one(grade, context if isinstance(context, Context) else Context(**vars(context)))


_COMMAND = re.compile(r"^([^\S\n]*)(?=::|##)", re.MULTILINE)
_LINES = "\n\t"
_UNSAFE = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def plain(text: str) -> str:
    """Text that came from a submission, safe to print: no control, format or lone surrogate.

    Of control characters the line feed and the tab are left.
    """
    return "".join(c if c in _LINES or unicodedata.category(c) not in _UNSAFE else "�" for c in text)


def inert(log: str) -> str:
    """A report for a terminal, which may be a log: no line that a CI runner takes for a command.

    GitHub's takes lines that begin with `::` or `##[`, Azure's and TeamCity's those with `##`.
    """
    return _COMMAND.sub(r"\1| ", log)


def marked(text: str, mark: str) -> str:
    """Text of several lines that came from a submission, each line behind a mark of ours."""
    return "\n".join(mark + words for words in plain(text).splitlines())


def line(text: str, most: int = 200) -> str:
    """Text that came from a submission, on one line of bounded length: nobody adds lines of their own."""
    words = " ".join(plain(text).split())
    return words if len(words) <= most else words[: most - 1] + "…"
