"""Records of a submission as text, and of what the untrusted child reports about it."""

from __future__ import annotations

import traceback
from typing import Annotated, Any, Literal, Self

from pydantic import Field

from grader.errors import BrokenError, GraderError, StudentError, Unsupported
from grader.layers.network import ModelDescription
from grader.reasons import Code
from grader.record import CutText, Name, Record, Text
from grader.records.training import TrainingRecipe

MAX_MODELS, MAX_FITS = 200, 2_000  # of a submission, and of one model
MAX_ANSWER = 8_000_000  # bytes of one answer of a child
MAX_PRINTS = 10_000  # hashes that represent the code of one submission


class Note(Record):
    """A remark on a submission: something was skipped, read in one of two ways, or failed without harm."""

    message: Text
    cell: int | None = None


Cause = Literal["stand_in", "memory", "older_keras"]
"""A code of `grader.reasons` for a cell that fails by no fault of its author's."""


class CellFailure(Record):
    """A cell that raised an error: its number among the code cells (from 1), and the line in it.

    ``cause`` says why the error is no fault of its author's, where it is none.
    """

    cell: int
    line: int | None
    error: Text
    excerpt: Text
    cause: Cause | None = None


class DescribedModel(Record):
    """One model of a submission: its network and the fits it went through, in order.

    ``number`` counts the models of a submission in the order in which they were first seen.
    """

    name: Name
    number: Annotated[int, Field(ge=1)] = 1
    network: ModelDescription
    training: Annotated[tuple[TrainingRecipe, ...], Field(fail_fast=True, max_length=MAX_FITS)] = ()
    fit_order: Annotated[int, Field(ge=0)] = 0  # 0: never fitted; else the rank of its last fit
    cell: int | None = None  # where it was first seen
    compiled: TrainingRecipe | None = None  # of a model compiled but never fitted; epochs are void


Reading = Literal["rows_columns", "strides"]


class Description(Record):
    """All that the untrusted child reports about a submission.

    ``absent`` are the libraries that are not installed here, and whose place stand-ins took.
    """

    models: Annotated[tuple[DescribedModel, ...], Field(fail_fast=True, max_length=MAX_MODELS)] = ()
    notes: Annotated[tuple[Note, ...], Field(fail_fast=True, max_length=1_000)] = ()
    failures: Annotated[tuple[CellFailure, ...], Field(fail_fast=True, max_length=200)] = ()
    keras_era: Literal["keras2", "keras3"] = "keras3"
    ambiguous_calls: Annotated[int, Field(ge=0)] = 0
    reading: Reading | None = None
    absent: Annotated[tuple[Name, ...], Field(fail_fast=True, max_length=500)] = ()
    incomplete: Text = ""  # why models or fits may be missing: a limit of grader's, or how the child ended


class Cell(Record):
    """A cell of code (with its saved text output) or prose, in document order.

    ``execution_count`` is the number in `In [31]`; ``raised`` the error with which its saved output ends.
    """

    kind: Literal["code", "markdown"]
    source: str
    output: str = ""
    execution_count: int | None = None
    raised: str = ""


class Program(Record):
    """A submission as text: cells to run, or the path of a saved model."""

    name: str
    path: str
    digest: str
    cells: tuple[Cell, ...] = ()
    model_file: str | None = None
    python: str | None = None
    notes: tuple[Note, ...] = ()


class Problem(Record):
    """Why a submission could not be graded in full, and by whose fault.

    Exceptions become records here, and records exceptions, and nowhere else.
    """

    kind: Literal["student", "unsupported", "broken", "interrupted"]
    message: CutText
    hint: CutText = ""
    cell: int | None = None
    excerpt: CutText = ""
    code: Code | None = None

    @classmethod
    def of(cls, error: GraderError) -> Self:
        """The record of an error; an `InstructorError` that comes this late is grader's own fault."""
        kind: Any = next((kind for kind, known in _ERRORS.items() if isinstance(error, known)), "broken")
        return cls(
            kind=kind, message=error.message, hint=error.hint, cell=error.cell, excerpt=error.excerpt,
            code=error.code or None,
        )  # fmt: skip

    @classmethod
    def fault(cls) -> Self:
        """The exception under way, which nobody foresaw."""
        return cls(kind="broken", message=traceback.format_exc()[-3_000:])

    def error(self) -> GraderError:
        """The exception that this is the record of."""
        kind = _ERRORS.get(self.kind, BrokenError)
        return kind(self.message, self.hint, cell=self.cell, excerpt=self.excerpt, code=self.code or "")


_ERRORS: dict[str, type[GraderError]] = {
    "student": StudentError, "unsupported": Unsupported, "broken": BrokenError,
}  # fmt: skip


class DescribeJob(Record):
    """The job of the describing child: a program, and data without test labels.

    ``files`` is a folder with the files beside the program, ``data`` an npz whose test labels are permuted,
    ``dataset`` the names under which `keras.datasets` serves it; ``reading`` forces one reading of
    `Conv2D(16, 3, 3)`.
    """

    program: Program
    files: str
    data: str
    dataset: tuple[str, ...]
    image_shape: tuple[int, ...]
    seconds: Annotated[int, Field(ge=1)]
    reading: Reading | None = None


class DescribeAnswer(Record):
    """Either a description or the reason why there is none."""

    description: Description | None = None
    problem: Problem | None = None
