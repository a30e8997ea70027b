"""Pages of the documentation that are made of the code: commands, and the reference of rubrics.

`make docs` runs it; a test fails when the pages are out of date.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from grader.cli import app
from grader.judge.checks import Criterion
from grader.judge.rubric import DatasetChoice, DefaultRecipe, Rubric
from grader.records import Record, TrainingPolicy

DOCS = Path(__file__).parents[1] / "docs"
MADE = "<!-- made by scripts/make_docs.py: change the code, then run `make docs` -->"


def commands() -> str:
    """docs/commands.md: what `--help` says of every command, from the same objects."""
    root = typer.main.get_command(app)
    lines = [MADE, "# Commands", "", _text(root.help), ""]
    lines += [
        "```",
        "grader --install-completion    # completion for your shell: bash, zsh, fish, PowerShell",
        "```",
    ]
    for path, command in _walk(root, ("grader",)):
        lines += ["", f"## {' '.join(path)}", "", _text(command.help), "", *_usage(path, command)]
    return "\n".join(lines) + "\n"


def _walk(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, inner in sorted(getattr(command, "commands", {}).items()):
        if getattr(inner, "commands", None):
            yield from _walk(inner, (*path, name))
        else:
            yield (*path, name), inner


def _usage(path: tuple[str, ...], command: Any) -> Iterator[str]:
    arguments = [_argument(x) for x in command.params if x.param_type_name == "argument"]
    yield from ("```", " ".join([*path, "[OPTIONS]", *arguments]), "```", "")
    yield from ("| argument or option | |", "|---|---|")
    for parameter in command.params:
        names = parameter.opts + parameter.secondary_opts
        shown = ", ".join(f"`{name}`" for name in names)
        if parameter.param_type_name == "argument":
            shown = f"`{_argument(parameter)}`"
        yield f"| {shown} | {_cell(getattr(parameter, 'help', '') or '')}{_default(parameter)} |"


def _argument(parameter: Any) -> str:
    name = str(parameter.name).upper()
    return name if parameter.required else f"[{name}]"


def _default(parameter: Any) -> str:
    value = parameter.default
    plain = isinstance(value, str | int | float) and not isinstance(value, bool) and value != ""
    return f" Default: `{value}`." if plain else ""


def rubric() -> str:
    """docs/rubric.md: every key of a rubric, from the models that read it."""
    lines = [MADE, "# Rubric reference", "", INTRODUCTION, "", "## The rubric", "", _text(Rubric.__doc__), ""]
    lines += _table(Rubric)
    for title, model in TABLES.items():
        lines += ["", f"## `[{title}]`", "", _text(model.__doc__), "", *_table(model)]
    lines += ["", "## `[[criterion]]`", "", CRITERIA, ""]
    for kind, model in kinds().items():
        lines += ["", f"### `{kind}`", "", _text(getattr(inspect.getmodule(model), "__doc__", ""))]
        own = model.__doc__ or ""
        lines += ["", *([_text(own), ""] if own and "Record" not in own else []), *_table(model)]
    return "\n".join(lines) + "\n"


TABLES: dict[str, type[Record]] = {
    "training": TrainingPolicy,
    "default_recipe": DefaultRecipe,
    "dataset": DatasetChoice,
}
INTRODUCTION = (
    "A rubric is a TOML file. `grader rubric new mine.toml` writes a commented one, `grader rubric "
    "validate` says what is wrong in yours, and editors complete it with `grader rubric schema`. An example "
    "that passes and one that fails of each kind of criterion: [Criteria by example](criteria.md)."
)
CRITERIA = (
    "Each criterion has the keys of its kind. A submission passes if every `required` criterion does. One "
    "that `needs` others is not reached unless they passed. A `hidden` one counts, and no student sees it."
)


def kinds() -> dict[str, type[Record]]:
    """Kinds of criteria and their settings, in the order of the code."""
    union = Criterion.__origin__.__args__  # type: ignore[attr-defined]
    return {model.model_fields["kind"].default: model for model in union}


def _table(model: type[Record]) -> list[str]:
    schema = model.model_json_schema()
    wanted = schema.get("required", [])
    rows = ["| key | value | default |", "|---|---|---|"]
    for name, field in schema["properties"].items():
        default = "**required**" if name in wanted else f"`{_toml(field.get('default'))}`"
        if "default" not in field and name not in wanted:
            default = ""
        rows.append(f"| `{name}` | {_cell(_type(field, schema.get('$defs', {})))} | {default} |")
    return rows


def _type(field: dict[str, Any], defs: dict[str, Any]) -> str:
    if "const" in field:
        return f"`{_toml(field['const'])}`"
    if "enum" in field:
        return ", ".join(f"`{_toml(x)}`" for x in field["enum"])
    if "$ref" in field:
        name = field["$ref"].rsplit("/", 1)[-1]
        return _type(defs[name], defs) if "enum" in defs[name] else f"a table, {name}"
    if "anyOf" in field or "oneOf" in field:
        given = field.get("anyOf") or field["oneOf"]
        if len(given) > 3 and all("$ref" in x for x in given):
            return "a table: " + ", ".join(x["$ref"].rsplit("/", 1)[-1] for x in given)
        choices = [_type(x, defs) for x in given]
        return " or ".join(dict.fromkeys(x for x in choices if x != "nothing"))
    if field.get("type") == "array":
        return f"list of {_type(field.get('items') or {}, defs)}"
    words = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false",
             "object": "a table", "null": "nothing"}  # fmt: skip
    return words.get(str(field.get("type")), "any value") + _limits(field)


def _limits(field: dict[str, Any]) -> str:
    signs = {
        "minimum": "at least",
        "exclusiveMinimum": "above",
        "maximum": "at most",
        "exclusiveMaximum": "below",
    }
    told = [
        f"{words} {_count(field[key])}" for key, words in signs.items() if abs(field.get(key, 1e30)) < 1e30
    ]
    return f", {' and '.join(told)}" if told else ""


def _count(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,g}"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, dict):
        return "…" if len(value) > 2 else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_toml(x) for x in value)}]"
    return "nothing" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _text(said: str | None) -> str:
    return re.sub(r"``(.+?)``", r"`\1`", inspect.cleandoc(said or ""))


def _cell(said: str) -> str:
    return " ".join(_text(said).split()).replace("|", "\\|")


PAGES = {"commands.md": commands, "rubric.md": rubric}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), encoding="utf-8")
