"""Describe a submission: choose which reading of it fits, and which of the models it builds count.

The work itself is done in an untrusted child, see `grader.ask.asker`.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from contextlib import suppress
from typing import Protocol

from grader import __version__, claims
from grader.ask.asker import Asker
from grader.errors import StudentError, Unsupported
from grader.intake.load import Loaded
from grader.layers import shapes
from grader.records import (
    DescribeAnswer,
    DescribedModel,
    Description,
    Problem,
    Program,
    Reading,
    because,
)

DESCRIBER = 2  # raised whenever a submission's description would become another one
SECOND_LOOK = 10.0  # seconds at least for the other reading


class Kept(Protocol):
    """Where descriptions are kept, so that a class can be graded again without describing it again."""

    def description(self, key: str) -> DescribeAnswer | None:
        """Return the answer that is kept under ``key``; None if there is none."""

    def keep_description(self, key: str, answer: DescribeAnswer) -> None:
        """Keep ``answer`` under ``key``."""


class _Nothing:
    def description(self, key: str) -> DescribeAnswer | None:
        return None

    def keep_description(self, key: str, answer: DescribeAnswer) -> None:
        return None


NOTHING = _Nothing()


def describe_once(loaded: Loaded, asker: Asker, seconds: float, kept: Kept) -> Description:
    """`describe`, unless the same submission was described before under the same conditions.

    An error of the submission's is kept as well; a fault of ours is not.
    """
    key = _key(loaded.program, asker, seconds)
    answer = kept.description(key)
    if answer is None:
        answer = _answer(loaded, asker, seconds)
        kept.keep_description(key, answer)
    if answer.description is not None:
        return answer.description
    assert answer.problem is not None
    raise answer.problem.error()


def _answer(loaded: Loaded, asker: Asker, seconds: float) -> DescribeAnswer:
    try:
        return DescribeAnswer(description=describe(loaded, asker, seconds))
    except (StudentError, Unsupported) as error:
        return DescribeAnswer(problem=Problem.of(error))


def _key(program: Program, asker: Asker, seconds: float) -> str:
    """Return a digest of all that a description depends on; the name counts, because messages contain it."""
    spec = asker.dataset.spec
    parts = (program.digest, program.name, spec.sha256, spec.served_as, seconds, __version__, DESCRIBER)
    return hashlib.sha256(json.dumps((*parts, asker.isolation.closed)).encode()).hexdigest()


def describe(loaded: Loaded, asker: Asker, seconds: float) -> Description:
    """Describe every model of the submission.

    Where `Conv2D(16, 3, 3)` can be read in two ways, the reading that gives the parameter count of
    the saved summary wins; without a summary, the reading that gives a network at all.
    Both readings together get ``seconds``. Raises `StudentError` when no model can be described.
    """
    classes = asker.dataset.classes
    begun = time.monotonic()
    first = asker.ask(loaded, seconds)
    if _worth_another(first, loaded.program, classes):
        other: Reading = "strides" if first.reading == "rows_columns" else "rows_columns"
        with suppress(StudentError, Unsupported):
            second = asker.ask(loaded, max(SECOND_LOOK, seconds - (time.monotonic() - begun)), other)
            if _better(second, first, loaded.program, classes):
                return _checked(second, loaded.program, classes)
    return _checked(first, loaded.program, classes)


def _checked(description: Description, program: Program, classes: int) -> Description:
    """Drop what a failing cell left half-built. Raises `StudentError` or `Unsupported` if nothing is left."""
    models = _usable(description, classes)
    fitted = any(m.fit_order for m in models)
    if not models or (not fitted and _fit_failed(description, program)):
        raise _no_model(description, program)
    return description.model_copy(update={"models": models})


def _usable(description: Description, classes: int) -> tuple[DescribedModel, ...]:
    """Return the models that were fitted, whose cell ran through, or whose output has one value per class."""
    failed = {failure.cell for failure in description.failures}
    return tuple(m for m in description.models if m.fit_order or m.cell not in failed or _ends_in(m, classes))


def _ends_in(model: DescribedModel, classes: int) -> bool:
    try:
        analysis = shapes.analyse(model.network)
    except StudentError:
        return False
    return [analysis.of(name).output for name in model.network.outputs] == [(classes,)]


def _fit_failed(description: Description, program: Program) -> bool:
    """Whether a cell that calls `fit` raised an error."""
    code = [cell.source for cell in program.cells if cell.kind == "code"]
    failed = {failure.cell for failure in description.failures}
    return any(re.search(r"\.fit(_generator)?\(", x) for n, x in enumerate(code, 1) if n in failed)


def _absent(description: Description, program: Program) -> str:
    """Return the library, not installed here, that the failing cell mentions (any cell, if none failed)."""
    code = [cell.source for cell in program.cells if cell.kind == "code"]
    failed = [code[f.cell - 1] for f in description.failures[:1] if 0 < f.cell <= len(code)]
    mentioned = "\n".join(failed or code)
    return next((name for name in description.absent if re.search(rf"\b{re.escape(name)}\b", mentioned)), "")


def _no_model(description: Description, program: Program) -> StudentError | Unsupported:
    """Return the error for a submission that built nothing: the first cell that failed says why."""
    if library := _absent(description, program):
        return because("library_absent", library).error()
    for failure in description.failures:
        if failure.cause is not None:
            return because(failure.cause, f"code cell {failure.cell}", failure.error[:500]).error()
    if not description.failures:
        return because("no_model").error()
    first = description.failures[0]
    where = f"code cell {first.cell}" + (f", line {first.line}" if first.line else "")
    return because("cell_failed", where, first.error).error(cell=first.cell, excerpt=first.excerpt)


# --- the two readings of Conv2D(16, 3, 3) -------------------------------------------------------


def _totals(description: Description, classes: int) -> set[int]:
    """Return the parameter counts of the usable models."""
    found = set()
    for model in _usable(description, classes):
        try:
            total = shapes.analyse(model.network).total
        except StudentError:
            continue
        if total is not None:
            found.add(total)
    return found


def _worth_another(description: Description, program: Program, classes: int) -> bool:
    """Whether the saved summaries contradict this reading, or it gave no parameter count."""
    if not description.ambiguous_calls:
        return False
    claimed = set(claims.read(program).total_parameters)
    totals = _totals(description, classes)
    return not totals or bool(claimed and not claimed & totals)


def _better(second: Description, first: Description, program: Program, classes: int) -> bool:
    """Whether ``second`` gives a count of the saved summaries, or gives one where ``first`` gives none."""
    if not _totals(second, classes):
        return False
    claimed = set(claims.read(program).total_parameters)
    return bool(claimed & _totals(second, classes)) or not _totals(first, classes)
