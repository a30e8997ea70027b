"""`grader schema`: the JSON Schema of reports and results."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from grader.commands.console import show


def schema(
    of_class: Annotated[bool, typer.Option("--class", help="Of a class instead of one submission.")] = False,
) -> None:
    """Print the JSON Schema of the report that `check --json` prints."""
    from grader.records import ClassResults, Grade

    record = ClassResults if of_class else Grade
    show(json.dumps(record.model_json_schema(mode="serialization"), indent=2))
