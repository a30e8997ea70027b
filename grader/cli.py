"""The command line: arguments, exit codes, and the only place that prints."""

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
from grader.commands import gradescope
from grader.commands.report import Formats, Throwaway, fallback, outputs, report
from grader.errors import BrokenError, GraderError, InstructorError, Unsupported

if TYPE_CHECKING:
    from grader.isolation import Wanted
    from grader.report.interface import Report, Screen

app = typer.Typer(
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Describe, check and retrain the convolutional networks that students hand in.",
)
rubric_app = typer.Typer(no_args_is_help=True, help="Work with rubrics.")
app.add_typer(rubric_app, name="rubric")
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

    Exit code 0: passed. 1: graded and not passed. 2: wrong usage or rubric. 3: a person must look.
    """
    from grader import pipeline, progress, score
    from grader.report import deliver
    from grader.report.interface import Context
    from grader.rubric import load

    asked = deliver.wanted((formats or []) + ["json"] * as_json)
    if output is not None:
        asked.append(("json" if as_json or output.suffix == ".json" else "terminal", output))
    context = Context(**vars(_screen()), submission=submission, throwaway=throwaway, environment=os.environ)
    wanted = _wanted(isolation)
    with (
        fallback(asked, submission, context),
        progress.watcher(Console(stderr=True), quiet) as watcher,
        pipeline.prepare(load(rubric), retrain, watcher, wanted) as grading,
    ):
        grade = pipeline.grade_one(submission, grading)
    outputs(grade, asked, context, _print)
    raise typer.Exit(score.exit_code(grade))


@app.command()
def describe(
    submission: Submission,
    rubric: RubricName = "assignment4",
    isolation: Isolated = None,
    as_json: AsJson = False,
) -> None:
    """Show every model of a submission as the grader sees it; nothing is trained."""
    from grader import describing, load, pipeline, progress
    from grader.report import description as report
    from grader.rubric import load as load_rubric

    rules = load_rubric(rubric)
    with (
        tempfile.TemporaryDirectory(prefix="grader-") as scratch,
        progress.watcher(Console(stderr=True), True) as watcher,
        pipeline.prepare(rules, False, watcher, _wanted(isolation)) as grading,
    ):
        loaded = load.load(submission, Path(scratch))
        found = describing.describe(loaded, grading.asker, rules.rubric.describe_seconds)
        graded = pipeline.candidates(found, rules.rubric.graded_model)
    shown = report.as_dict(found, graded)
    _print(json.dumps(shown, indent=2) if as_json else report.as_text(shown, _screen()))


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Say what this machine can do: isolation, fork server, device, data. Each is tried.

    Exit code 0: ready for strangers' code. 3: something a class needs does not work; the remedy is shown.
    """
    from grader import doctor
    from grader.report.doctor import as_text

    findings = tuple(doctor.examine())
    shown = (
        json.dumps([f.model_dump() for f in findings], indent=2) if as_json else as_text(findings, _screen())
    )
    _print(shown)
    needed = ("strangers' code", "limits of a box", "retraining", "data")
    raise typer.Exit(3 if any(f.state == "fails" and f.subject in needed for f in findings) else 0)


@rubric_app.command("validate")
def rubric_validate(rubric: Annotated[str, typer.Argument(help="Path or name.")]) -> None:
    """Check a rubric and its data set; say what is wrong and what is allowed."""
    from grader import datasets
    from grader.rubric import load

    loaded = load(rubric)
    data = datasets.load(loaded.dataset)
    _print(
        f"{loaded.path}: {len(loaded.rubric.criterion)} criteria, {loaded.rubric.max_points:g} points, "
        f"{len(data.x_train):,} training and {len(data.x_test):,} test images"
    )


@rubric_app.command("show")
def rubric_show(rubric: Annotated[str, typer.Argument(help="Path or name.")] = "") -> None:
    """Print a rubric with all its settings, defaults included; without a name, list what ships."""
    from grader.rubric import load, shipped

    if not rubric:
        _print("\n".join(f"{path.stem:16} {load(str(path)).rubric.title}" for path in shipped()))
        return
    _print(load(rubric).rubric.model_dump_json(indent=2))


@rubric_app.command("schema")
def rubric_schema() -> None:
    """Print the JSON Schema of rubrics, for editors and for `taplo`."""
    from grader.rubric import Rubric

    _print(json.dumps(Rubric.model_json_schema(), indent=2))


@rubric_app.command("new")
def rubric_new(path: Annotated[Path, typer.Argument(help="The file to write.")]) -> None:
    """Write a commented rubric to start from."""
    from grader.report import deliver
    from grader.rubric import SHIPPED

    if path.exists():
        raise InstructorError(f"{path} exists already", "Name another file.")
    deliver.write((SHIPPED / "assignment4.toml").read_text(encoding="utf-8"), path)
    _print(f"{path}: written; check it with `grader rubric validate {path}`")


@app.command()
def schema(
    of_class: Annotated[bool, typer.Option("--class", help="Of a class instead of one submission.")] = False,
) -> None:
    """Print the JSON Schema of the report that `check --json` prints."""
    from grader.records import ClassResults, Grade

    record = ClassResults if of_class else Grade
    _print(json.dumps(record.model_json_schema(mode="serialization"), indent=2))


def _wanted(isolation: bool | None) -> Wanted:
    return {True: "required", False: "none", None: "preferred"}[isolation]  # type: ignore[return-value]


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
    """Run, and turn the errors of the tree into messages and exit codes."""
    try:
        app()
    except InstructorError as error:
        _fail(error, 2)
    except (BrokenError, Unsupported) as error:
        _fail(error, 3)
    except GraderError as error:
        _fail(error, 1)


def _fail(error: GraderError, code: int) -> None:
    from grader.report.interface import plain

    lines = [f"grader: {plain(error.message)}"]
    lines += [f"    > {plain(error.excerpt)}"] if error.excerpt else []
    lines += [f"  {plain(error.hint)}"] if error.hint else []
    print("\n".join(lines), file=sys.stderr)
    sys.exit(code)
