"""Every error that grader raises on purpose, by whose mistake it is.

GraderError
├── StudentError       the submission is at fault: becomes a verdict, never stops a class
├── InstructorError    rubric, data set or command line: stops before any grading (exit code 2)
├── Unsupported        nobody's fault: grader cannot do this; the submission goes to a person
└── BrokenError        grader's own fault: flagged for review, never costs a student points
"""

from __future__ import annotations

from types import TracebackType


class GraderError(Exception):
    """Base of the tree; ``message`` says what is wrong, ``hint`` what to do about it."""

    def __init__(self, message: str, hint: str = "", *, cell: int | None = None, excerpt: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.cell = cell
        self.excerpt = excerpt


class StudentError(GraderError):
    """The submission cannot be graded as handed in, and its author can mend it."""


class InstructorError(GraderError):
    """Something the person who runs grader gave it cannot be used."""


class Unsupported(GraderError):
    """The submission may well be right, but grader cannot judge it: a person must."""


class BrokenError(GraderError):
    """A fault of grader or of the machine it runs on."""


class StudentsCode:
    """Around a call into objects of a submission, which may raise anything.

    An exception ends the block and is kept as ``error``; what is none for `except Exception` (^C, the end of
    a cell) goes on. What is done about it stands behind the block::

        with StudentsCode() as call:
            return layer.get_config()
        note(f"its settings cannot be read: {call.said}")
    """

    error: BaseException | None = None

    def __enter__(self) -> StudentsCode:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is None or kind is None or not issubclass(kind, Exception):
            return False
        # Its traceback would keep alive what the call had in its hands.
        self.error = BaseException.with_traceback(error, None)
        return True

    @property
    def said(self) -> str:
        """The text of the error; empty if there is none, or if its own class fails to give one."""
        return text_of(self.error) if self.error is not None else ""


def text_of(error: BaseException) -> str:
    """What an exception says; empty where a class of the student's raises in `__str__`."""
    with StudentsCode():
        return str.__str__(str(error))  # what `__str__` gives may be of a class of the student's too
    return ""
