"""Every error that grader raises on purpose, by whose mistake it is.

GraderError
├── StudentError       the submission is at fault: becomes a verdict, never stops a class
├── InstructorError    rubric, data set or command line: stops before any grading (exit code 2)
├── Unsupported        nobody's fault: grader cannot do this; the submission goes to a person
└── BrokenError        grader's own fault: flagged for review, never costs a student points
"""


class GraderError(Exception):
    """Base of the tree; ``message`` says what is wrong, ``hint`` what to do about it.

    ``code`` is that of `grader.records.reasons`, where there is one.
    """

    def __init__(
        self, message: str, hint: str = "", *, cell: int | None = None, excerpt: str = "", code: str = ""
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.cell = cell
        self.excerpt = excerpt
        self.code = code


class StudentError(GraderError):
    """The submission cannot be graded as handed in, and its author can mend it."""


class InstructorError(GraderError):
    """Something the person who runs grader gave it cannot be used."""


class Unsupported(GraderError):
    """The submission may well be right, but grader cannot judge it: a person must."""


class BrokenError(GraderError):
    """A fault of grader or of the machine it runs on."""
