"""The command line, put together: one file of `grader.commands` for each command."""

from __future__ import annotations

from typing import Annotated

import typer

from grader import __version__
from grader.commands import console, gradescope, rubric
from grader.commands.batch import batch
from grader.commands.check import check
from grader.commands.describe import describe
from grader.commands.doctor import doctor
from grader.commands.report import report
from grader.commands.schema import schema
from grader.commands.verdicts import confirm, set_verdict
from grader.commands.with_pytest import pytest_items

app = typer.Typer(
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Describe, check and retrain the convolutional networks that students hand in.",
)
app.command()(check)
app.command()(batch)
app.command()(report)
app.command("set")(set_verdict)
app.command()(confirm)
app.command()(describe)
app.add_typer(rubric.app, name="rubric")
app.command()(doctor)
app.command("pytest", add_help_option=False, context_settings={"ignore_unknown_options": True})(pytest_items)
app.add_typer(gradescope.app, name="gradescope")
app.command()(schema)


@app.callback(invoke_without_command=True)
def _global(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        console.show(f"grader {__version__}")
        raise typer.Exit()


def main() -> None:
    """Run, and turn every error into a message and an exit code."""
    console.run(app)
