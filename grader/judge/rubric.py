"""Reads TOML -> `Rubric`: all that an instructor decides, as data.

Every error names the file, the key, and what is allowed there. A name with a separator in it or with the
suffix `.toml` is a path; any other name is that of a rubric that ships with grader (`assignment4`), whatever
file of that name a submission has put into the current folder.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, ValidationError, model_validator

from grader.data import datasets
from grader.errors import InstructorError
from grader.judge.checks import Criterion
from grader.records import (
    Adam,
    DatasetSpec,
    InputScaling,
    Loss,
    Name,
    NonNegative,
    Optimizer,
    Record,
    TrainingPolicy,
    TrainingRecipe,
)

_HERE = Path(__file__).parents[1]
# Beside the package in a checkout, inside it when installed from a wheel.
SHIPPED = next((p for p in (_HERE / "rubrics", _HERE.parent / "rubrics") if p.is_dir()), _HERE)


class DefaultRecipe(Record):
    """The recipe for a submission that has none: no compile, no fit, or a saved model.

    The learning rate of epoch e (from 0) is ``learning_rate / (1 + decay * e)``.
    """

    optimizer: Optimizer = Adam()
    learning_rate: Annotated[float, Field(gt=0)] = 0.003
    decay: NonNegative = 0.319
    batch_size: Annotated[int, Field(ge=1, le=100_000)] = 128
    loss: Loss = Loss()
    scaling: InputScaling = InputScaling()

    def recipe(self, epochs: int) -> TrainingRecipe:
        """Return the recipe for a number of epochs."""
        rates = tuple(round(self.learning_rate / (1 + self.decay * e), 10) for e in range(epochs))
        return TrainingRecipe(
            optimizer=self.optimizer,
            loss=self.loss,
            batch_size=self.batch_size,
            epochs=epochs,
            learning_rates=rates,
            scaling=self.scaling,
        )


class DatasetChoice(Record):
    """A data set of the course's own: an npz (path relative to the rubric) and its SHA-256."""

    name: Name
    path: str
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    served_as: tuple[Name, ...] = ()


class Rubric(Record):
    """One assignment: its data, its training policy and its criteria."""

    title: Name
    description: str = ""
    dataset: Literal["mnist"] | DatasetChoice = "mnist"
    graded_model: Annotated[str, Field(pattern=r"^(last_fitted|best|variable:\w+)$")] = "last_fitted"
    pass_points: NonNegative | None = None
    describe_seconds: Annotated[float, Field(ge=1, le=3600)] = 180
    training: TrainingPolicy = TrainingPolicy()
    default_recipe: DefaultRecipe = DefaultRecipe()
    criterion: Annotated[tuple[Criterion, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _consistent(self) -> Rubric:
        seen: set[str] = set()
        for criterion in self.criterion:
            if criterion.id in seen:
                raise ValueError(f"two criteria have the id {criterion.id!r}")
            if unknown := set(criterion.needs) - seen:
                raise ValueError(
                    f"criterion {criterion.id!r} needs {sorted(unknown)[0]!r}, which is not listed before it"
                )
            if criterion.needs and not criterion.hidden:
                self._seen_by_students(criterion.id, criterion.needs)
            seen.add(criterion.id)
        if sum(c.kind == "validation_accuracy" for c in self.criterion) > 1:
            raise ValueError("only one criterion may be a validation_accuracy")
        return self

    def _seen_by_students(self, name: str, needs: tuple[str, ...]) -> None:
        """Raise `ValueError` for a visible criterion that needs a hidden one and would reveal its outcome."""
        hidden = [c.id for c in self.criterion if c.hidden and c.id in needs]
        if hidden:
            raise ValueError(f"criterion {name!r} needs the hidden {hidden[0]!r}: hide it as well")

    @property
    def max_points(self) -> float:
        """The sum of the criteria's points, hidden ones among them."""
        return sum(c.points for c in self.criterion)


class LoadedRubric(Record):
    """A rubric with the path it was read from and the digest of its text."""

    rubric: Rubric
    path: str
    digest: str

    @property
    def dataset(self) -> DatasetSpec:
        """The data set that the rubric names, with an absolute path."""
        chosen = self.rubric.dataset
        if isinstance(chosen, str):
            return datasets.BUILT_IN[chosen]
        path = Path(self.path).parent / chosen.path
        return DatasetSpec(
            name=chosen.name,
            path=str(path.resolve()),
            sha256=chosen.sha256,
            served_as=chosen.served_as or (chosen.name,),
        )


def shipped() -> list[Path]:
    """List the files of the rubrics that ship with grader."""
    return sorted(SHIPPED.glob("*.toml"))


def load(name: str) -> LoadedRubric:
    """Load a rubric by path, or by the name of one that ships with grader. Raises `InstructorError`."""
    path = Path(name) if _is_path(name) else SHIPPED / f"{name}.toml"
    try:
        raw = path.read_bytes()
        data = tomllib.loads(raw.decode("utf-8"))
        repr(data)  # raises for a value that cannot be shown, such as a number of 5,000 digits
    except OSError:
        known = ", ".join(p.stem for p in shipped())
        raise InstructorError(
            f"{name}: no such rubric", f"Give a path (./ in front makes it one), or one of: {known}."
        ) from None
    except (ValueError, RecursionError) as error:
        raise InstructorError(
            f"{path}: not valid TOML: {error}", "See https://toml.io; strings need quotes."
        ) from None
    try:
        rubric = Rubric.model_validate(data)
    except ValidationError as error:
        raise InstructorError(_explain(path, error, data), "See `grader rubric schema`.") from None
    return LoadedRubric(rubric=rubric, path=str(path), digest=hashlib.sha256(raw).hexdigest())


def _is_path(name: str) -> bool:
    return name.endswith(".toml") or any(mark in name for mark in (os.sep, os.altsep) if mark)


# --- error messages -----------------------------------------------------------------------------


def _explain(path: Path, error: ValidationError, data: dict[str, Any]) -> str:
    problems = [p for p in error.errors(include_url=False) if not _follows_from(p, error, data)]
    lines = [f"{path}: {_where(p, data)}: {_what(p)}" for p in problems[:5]]
    return "\n".join(dict.fromkeys(lines))


def _follows_from(problem: Any, error: ValidationError, data: dict[str, Any]) -> bool:
    """Whether pydantic added this problem to the mistake itself: "too short", or another type of a union."""
    if problem["type"] == "too_short":
        return error.error_count() > 1
    table = isinstance(data.get("dataset"), dict)
    return problem["loc"][:2] == ("dataset", "literal['mnist']" if table else "DatasetChoice")


def _where(problem: Any, data: Any) -> str:
    """Return a place as `criterion[parameters].limit` instead of `criterion.2.parameter_limit.limit`."""
    words, place = [], data
    for part in problem["loc"]:
        if isinstance(part, int) and isinstance(place, list) and part < len(place):
            place = place[part]
            name = place.get("id", part + 1) if isinstance(place, dict) else part + 1
            words.append(f"[{name}]")
        elif isinstance(place, dict) and part in place:
            place = place[part]
            words.append(str(part))
    if problem["type"] == "missing":
        words.append(str(problem["loc"][-1]))
    return ".".join(words).replace(".[", "[") or "rubric"


def _what(problem: Any) -> str:
    kind, context = problem["type"], problem.get("ctx", {})
    if kind == "extra_forbidden":
        return f"no such key{_suggestion(problem['loc'])}"
    if kind == "missing":
        return "this key is missing"
    if kind == "union_tag_not_found":
        return f"the key {context['discriminator']} is missing"
    if kind == "union_tag_invalid":
        allowed = context["expected_tags"]
        return f"no such {context['discriminator']}: {context['tag']!r}; allowed are {allowed}"
    given = f", not {problem['input']!r:.60}" if not isinstance(problem["input"], dict | list) else ""
    return f"{problem['msg'].removeprefix('Value error, ')}{given}"


def _suggestion(location: tuple[int | str, ...]) -> str:
    wrong = str(location[-1])
    allowed = _keys_at(location[:-1])
    close = difflib.get_close_matches(wrong, allowed, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; allowed are {', '.join(sorted(allowed))}"


def _keys_at(location: tuple[int | str, ...]) -> set[str]:
    """Return the keys that are allowed in the table at this place of a rubric."""
    tables: list[type[Record]] = [Rubric]
    for part in location:
        fields = [t.model_fields[str(part)].annotation for t in tables if part in t.model_fields]
        if fields:
            tables = [inner for annotation in fields for inner in _tables_in(annotation)]
        else:  # an index, or the kind that picks one of several tables
            tables = [t for t in tables if part in _tags(t)] or tables
    return set().union(*(t.model_fields for t in tables))


def _tables_in(annotation: Any) -> list[type[Record]]:
    if isinstance(annotation, type) and issubclass(annotation, Record):
        return [annotation]
    return [table for part in get_args(annotation) for table in _tables_in(part)]


def _tags(table: type[Record]) -> set[Any]:
    return {table.model_fields[key].default for key in ("kind", "type") if key in table.model_fields}
