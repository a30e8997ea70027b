"""`grader rubric`: validate, show, start from, and the schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from grader.commands.console import show
from grader.errors import InstructorError

app = typer.Typer(no_args_is_help=True, help="Work with rubrics.")


@app.command("validate")
def rubric_validate(rubric: Annotated[str, typer.Argument(help="Path or name.")]) -> None:
    """Check a rubric and its data set; say what is wrong and what is allowed."""
    from grader.data import datasets
    from grader.judge.rubric import load

    loaded = load(rubric)
    data = datasets.load(loaded.dataset)
    show(
        f"{loaded.path}: {len(loaded.rubric.criterion)} criteria, {loaded.rubric.max_points:g} points, "
        f"{len(data.x_train):,} training and {len(data.x_test):,} test images"
    )


@app.command("show")
def rubric_show(rubric: Annotated[str, typer.Argument(help="Path or name.")] = "") -> None:
    """Print a rubric with all its settings, defaults included; without a name, list what ships."""
    from grader.judge.rubric import load, shipped

    if not rubric:
        show("\n".join(f"{path.stem:16} {load(str(path)).rubric.title}" for path in shipped()))
        return
    show(load(rubric).rubric.model_dump_json(indent=2))


@app.command("schema")
def rubric_schema() -> None:
    """Print the JSON Schema of rubrics, for editors and for `taplo`."""
    from grader.judge.rubric import Rubric

    show(json.dumps(Rubric.model_json_schema(), indent=2))


@app.command("new")
def rubric_new(path: Annotated[Path, typer.Argument(help="The file to write.")]) -> None:
    """Write a commented rubric to start from."""
    from grader.judge.rubric import SHIPPED
    from grader.report import deliver

    if path.exists():
        raise InstructorError(f"{path} exists already", "Name another file.")
    deliver.write((SHIPPED / "assignment4.toml").read_text(encoding="utf-8"), path)
    show(f"{path}: written; check it with `grader rubric validate {path}`")
