"""`grader check`: one submission."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from grader.commands.console import screen
from grader.commands.options import (
    AsJson,
    Formats,
    Isolated,
    Quietly,
    RubricName,
    Submission,
    Throwaway,
    wanted_box,
)
from grader.commands.report import fallback, outputs


def check(
    submission: Submission,
    rubric: RubricName = "assignment4",
    retrain: Annotated[
        bool, typer.Option("--retrain/--no-retrain", help="Retrain, or answer the structural criteria only.")
    ] = True,
    isolation: Isolated = None,
    as_json: AsJson = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Also write the report to this file.")
    ] = None,
    quiet: Quietly = False,
    formats: Formats = None,
    throwaway: Throwaway = False,
) -> None:
    """Grade one submission and print its rubric report.

    Exit code 0: passed. 1: graded and not passed. 2: wrong usage or rubric. 3: a person must look, or no
    isolation works where it is required: by --isolation, or by a format that a program reads.
    """
    from grader.commands import display
    from grader.grade import one
    from grader.grade.session import prepare
    from grader.judge import score
    from grader.judge.rubric import load
    from grader.report import deliver
    from grader.report.interface import Context

    asked = deliver.wanted((formats or []) + ["json"] * as_json)
    if output is not None:
        asked.append(("json" if as_json or output.suffix == ".json" else "terminal", output))
    context = Context(**vars(screen()), submission=submission, throwaway=throwaway, environment=os.environ)
    wanted = deliver.isolation_for(asked, context, wanted_box(isolation, throwaway))
    with (
        fallback(asked, submission, context),
        display.watcher(Console(stderr=True), quiet) as watcher,
        prepare(load(rubric), retrain, watcher, wanted) as grading,
    ):
        grade = one.grade_one(submission, grading)
    outputs(grade, asked, context)
    raise typer.Exit(score.exit_code(grade))
