"""`grader batch`: a class."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from grader.commands.console import screen
from grader.commands.options import Formats, RubricName, wanted_box
from grader.commands.report import of_class


def batch(
    folder: Annotated[
        Path, typer.Argument(help="A class: a folder or a zip, as a learning platform exports it.")
    ],
    rubric: RubricName = "assignment4",
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Where results are kept.  [default: FOLDER's name with -results]"),
    ] = None,
    roster: Annotated[
        Path | None, typer.Option(help="A CSV of the class; tells who handed in nothing.")
    ] = None,
    assignment: Annotated[str, typer.Option(help="Which one, where a folder holds several (nbgrader).")] = "",
    only: Annotated[
        list[str] | None, typer.Option(help="Grade this student only; may be given again.")
    ] = None,
    attempts: Annotated[
        int | None, typer.Option(min=1, max=100, help="Attempts at each network, instead of the rubric's.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what was found, and stop.")] = False,
    structure_only: Annotated[
        bool, typer.Option("--structure-only", help="Make no attempts; those made before count.")
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Do everything again, whatever was done before.")
    ] = False,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, max=256, help="Attempts at a time.")
    ] = None,
    gpus: Annotated[int | None, typer.Option(min=0, help="Use no more GPUs than this.")] = None,
    on: Annotated[
        str, typer.Option(help="Where attempts run: local (this machine), or ray (a cluster).")
    ] = "local",
    address: Annotated[str, typer.Option(help="Of the Ray cluster.")] = "",
    isolation: Annotated[
        bool, typer.Option("--isolation/--no-isolation", help="Without: only for a class of your own code.")
    ] = True,
    fail_under: Annotated[
        float | None,
        typer.Option(min=0, max=100, help="Exit 1 if a submission has less than this percentage."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress; the table at the end.")] = False,
    formats: Formats = None,
) -> None:
    """Grade a class. Results are kept as they come: the same command goes on where it was stopped.

    Exit code 0: done. 1: see --fail-under. 2: wrong usage, rubric or folder. 3: a fault of grader's, shown
    in the table. 130: interrupted.
    """
    from grader.commands import class_job
    from grader.grade.many import Options
    from grader.report import deliver
    from grader.report.interface import Context
    from grader.runners import Settings

    asked = deliver.wanted(formats or [])
    options = Options(
        isolated=deliver.isolation_for(asked, Context(), wanted_box(isolation)),
        structure_only=structure_only,
        fresh=fresh,
        only=tuple(only or ()),
        runner=on,
        settings=Settings(jobs=jobs, gpus=gpus, address=address),
    )
    job = class_job.ClassJob(folder, rubric, out, roster, assignment, attempts, dry_run, options)
    code = class_job.run(job, Console(stderr=True), quiet, screen(), fail_under)
    if asked and not dry_run:
        of_class(job.results, asked, screen())
    raise typer.Exit(code)
