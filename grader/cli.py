"""The command line: arguments, and the only place that prints results."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from grader import __version__
from grader.commands import console, gradescope, rubric
from grader.commands.report import Formats, Throwaway, fallback, of_class, outputs, report

if TYPE_CHECKING:
    from grader.box.isolation import Wanted
    from grader.report.interface import Report, Screen

app = typer.Typer(
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Describe, check and retrain the convolutional networks that students hand in.",
)
app.add_typer(rubric.app, name="rubric")
app.add_typer(gradescope.app, name="gradescope")
app.command()(report)

Submission = Annotated[
    Path, typer.Argument(help="A notebook, script, write-up, saved model, or a folder or zip with one.")
]
RubricName = Annotated[
    str, typer.Option("--rubric", "-r", help="A rubric's path, or the name of one that ships with grader.")
]
Isolated = Annotated[
    bool | None,
    typer.Option(
        "--isolation/--no-isolation",
        help="Refuse to start without isolation, which the work of strangers needs; or run your own work "
        "without. Without this option: with isolation where there is one.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


@app.command()
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
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress display.")] = False,
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
    context = Context(**vars(_screen()), submission=submission, throwaway=throwaway, environment=os.environ)
    wanted = deliver.isolation_for(asked, context, _wanted(isolation, throwaway))
    with (
        fallback(asked, submission, context),
        display.watcher(Console(stderr=True), quiet) as watcher,
        prepare(load(rubric), retrain, watcher, wanted) as grading,
    ):
        grade = one.grade_one(submission, grading)
    outputs(grade, asked, context, _print)
    raise typer.Exit(score.exit_code(grade))


@app.command()
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
    engine: Annotated[
        str, typer.Option(help="Where attempts are made: local, or ray (a cluster).")
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
        isolated=deliver.isolation_for(asked, Context(), _wanted(isolation)),
        structure_only=structure_only,
        fresh=fresh,
        only=tuple(only or ()),
        engine=engine,
        settings=Settings(jobs=jobs, gpus=gpus, address=address),
    )
    job = class_job.ClassJob(folder, rubric, out, roster, assignment, attempts, dry_run, options)
    code = class_job.run(job, Console(stderr=True), quiet, _screen(), _print, fail_under)
    if asked and not dry_run:
        of_class(job.results, asked, _screen(), _print)
    raise typer.Exit(code)


@app.command("set")
def set_verdict(
    results: Annotated[Path, typer.Argument(help="The folder that `grader batch` wrote.")],
    student: Annotated[str, typer.Argument(help="The student's id, as the table shows it.")],
    criterion: Annotated[str, typer.Argument(help="The criterion's id in the rubric.")],
    points: Annotated[float, typer.Option("--points", help="How many, from 0 to the criterion's.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; shown wherever the verdict is.")],
) -> None:
    """Set a verdict by hand. It is shown as such, and stays when the class is graded again."""
    from grader.report.interface import line
    from grader.store import store

    verdict = store.set_by_hand(results, student, criterion, points, reason)
    _print(
        f"{line(student)}: {criterion} is {verdict.points:g}/{verdict.max_points:g} by hand: "
        f"{line(verdict.message)}"
    )


@app.command()
def confirm(
    results: Annotated[Path, typer.Argument(help="The folder that `grader batch` wrote.")],
    student: Annotated[str, typer.Argument(help="The student's id, as the table shows it.")],
    reason: Annotated[
        str, typer.Option("--reason", help="What was looked at; shown wherever the verdict is.")
    ] = "a person has looked at the replay and confirms it",
) -> None:
    """Confirm what a replay reached: its own code trained, and that passes nobody unattended."""
    from grader.report.interface import line
    from grader.store import store

    for verdict in store.confirm(results, student, reason):
        points = f"{verdict.points:g}/{verdict.max_points:g}"
        _print(f"{line(student)}: {verdict.criterion} is {points} by hand: {line(verdict.message)}")


@app.command()
def describe(
    submission: Submission,
    rubric: RubricName = "assignment4",
    isolation: Isolated = None,
    as_json: AsJson = False,
) -> None:
    """Show every model of a submission as the grader sees it; nothing is trained."""
    from grader.ask import description as asked
    from grader.commands import display
    from grader.grade import examine
    from grader.grade.session import prepare
    from grader.intake import load
    from grader.judge.rubric import load as load_rubric
    from grader.report import description as report

    rules = load_rubric(rubric)
    with (
        tempfile.TemporaryDirectory(prefix="grader-") as scratch,
        display.watcher(Console(stderr=True), True) as watcher,
        prepare(rules, False, watcher, _wanted(isolation)) as grading,
    ):
        loaded = load.load(submission, Path(scratch))
        found = asked.describe(loaded, grading.asker, rules.rubric.describe_seconds)
        graded = examine.candidates(found, rules.rubric.graded_model)
    shown = report.as_dict(found, graded)
    _print(json.dumps(shown, indent=2) if as_json else report.as_text(shown, _screen()))


@app.command()
def doctor(
    as_json: AsJson = False,
    measure: Annotated[
        bool,
        typer.Option("--measure", help="Train with every engine, for minutes, so that the fastest is taken."),
    ] = False,
) -> None:
    """Say what this machine can do: isolation, fork server, device, data. Each is tried.

    Exit code 0: ready for strangers' code. 3: something a class needs does not work; the remedy is shown.
    """
    from grader.machine import doctor
    from grader.machine.measure import measure as measured
    from grader.report.doctor import as_text

    taken = tuple(measured()) if measure else ()
    findings = (*doctor.examine(), *taken)
    shown = (
        json.dumps([f.model_dump() for f in findings], indent=2) if as_json else as_text(findings, _screen())
    )
    _print(shown)
    needed = ("strangers' code", "limits of a box", "retraining", "data")
    raise typer.Exit(3 if any(f.state == "fails" and f.subject in needed for f in findings) else 0)


@app.command("pytest", add_help_option=False, context_settings={"ignore_unknown_options": True})
def pytest_items(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            help="pytest's arguments, --grader-rubric RUBRIC and folders of submissions among them."
        ),
    ] = None,
) -> None:
    """Grade submissions as tests: pytest with grader's plugin, configured by nothing of a submission's.

    `grader pytest --help` is pytest's own help. Exit codes are pytest's; 3: no isolation works.
    """
    from grader.commands import with_pytest

    with_pytest.run(sys.argv[sys.argv.index("pytest") + 1 :])


@app.command()
def schema(
    of_class: Annotated[bool, typer.Option("--class", help="Of a class instead of one submission.")] = False,
) -> None:
    """Print the JSON Schema of the report that `check --json` prints."""
    from grader.records import ClassResults, Grade

    record = ClassResults if of_class else Grade
    _print(json.dumps(record.model_json_schema(mode="serialization"), indent=2))


def _wanted(isolation: bool | None, throwaway: bool = False) -> Wanted:
    """In a ``throwaway`` container, what a submission starts must not outlive it all the same."""
    if isolation is None:
        return "contained" if throwaway else "preferred"
    return "required" if isolation else "none"


@app.callback(invoke_without_command=True)
def _global(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        _print(f"grader {__version__}")
        raise typer.Exit()


# --- printing -----------------------------------------------------------------------------------


def _screen(may_colour: bool = True) -> Screen:
    from grader.report.interface import Screen

    colour = may_colour and sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    return Screen(width=min(120, shutil.get_terminal_size((100, 24)).columns), colour=colour)


def _print(text: Report) -> None:
    raw = text.encode("utf-8", "replace") if isinstance(text, str) else text
    sys.stdout.buffer.write(raw + b"\n" * (not raw.endswith(b"\n")))
    sys.stdout.flush()


def main() -> None:
    """Run, and turn every error into a message and an exit code."""
    console.run(app)
