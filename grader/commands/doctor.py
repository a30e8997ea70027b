"""`grader doctor`: what this machine can do."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from grader.commands.console import screen, show
from grader.commands.options import AsJson


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
        json.dumps([f.model_dump() for f in findings], indent=2) if as_json else as_text(findings, screen())
    )
    show(shown)
    needed = ("strangers' code", "limits of a box", "retraining", "data")
    raise typer.Exit(3 if any(f.state == "fails" and f.subject in needed for f in findings) else 0)
