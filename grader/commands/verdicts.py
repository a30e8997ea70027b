"""`grader set` and `grader confirm`: what a person decides."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from grader.commands.console import show


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
    show(
        f"{line(student)}: {criterion} is {verdict.points:g}/{verdict.max_points:g} by hand: "
        f"{line(verdict.message)}"
    )


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
        show(f"{line(student)}: {verdict.criterion} is {points} by hand: {line(verdict.message)}")
