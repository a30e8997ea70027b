"""Arguments and options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from grader.box.isolation import Wanted

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
Quietly = Annotated[bool, typer.Option("--quiet", "-q", help="No progress display.")]
Formats = Annotated[
    list[str] | None,
    typer.Option(
        "--format",
        "-f",
        metavar="NAME[=PATH]",
        help="A report format, printed or written to PATH; may be given several times.",
        show_default=False,
    ),
]
Throwaway = Annotated[
    bool,
    typer.Option(
        "--throwaway-container",
        help="The container in which grader runs holds one submission only, as on Gradescope: accept it as "
        "isolation for that platform's format.",
    ),
]


def wanted_box(isolation: bool | None, throwaway: bool = False) -> Wanted:
    """Return which isolation the options ask for.

    In a ``throwaway`` container too, no process that a submission starts may outlive the submission.
    """
    if isolation is None:
        return "contained" if throwaway else "preferred"
    return "required" if isolation else "none"
