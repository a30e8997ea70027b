"""Records of a submission as text, and of what the untrusted child reports about it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from grader.record import CutText, Name, Record, Text
from grader.records.network import ModelDescription
from grader.records.training import TrainingRecipe

MAX_MODELS, MAX_FITS = 200, 2_000  # of a submission, and of one model
MAX_ANSWER = 8_000_000  # bytes of one answer of a child
MAX_PRINTS = 10_000  # hashes that represent the code of one submission


class Note(Record):
    """A remark on a submission: something was skipped, read in one of two ways, or failed without harm."""

    message: Text
    cell: int | None = None


class CellFailure(Record):
    """A cell that raised an error: its number among the code cells (from 1), and the line in it."""

    cell: int
    line: int | None
    error: Text
    excerpt: Text


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
    """All that the untrusted child reports about a submission."""

    models: Annotated[tuple[DescribedModel, ...], Field(fail_fast=True, max_length=MAX_MODELS)] = ()
    notes: Annotated[tuple[Note, ...], Field(fail_fast=True, max_length=1_000)] = ()
    failures: Annotated[tuple[CellFailure, ...], Field(fail_fast=True, max_length=200)] = ()
    keras_era: Literal["keras2", "keras3"] = "keras3"
    ambiguous_calls: Annotated[int, Field(ge=0)] = 0
    reading: Reading | None = None
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
    """Why a submission could not be graded in full, and by whose fault."""

    kind: Literal["student", "unsupported", "broken", "interrupted"]
    message: CutText
    hint: CutText = ""
    cell: int | None = None
    excerpt: CutText = ""


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
