"""Describe a submission: which reading of it fits, and which of the models it builds count.

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
from grader.records import DescribeAnswer, DescribedModel, Description, Problem, Program, Reading

SECOND_LOOK = 10.0  # seconds that the other reading gets at least


class Kept(Protocol):
    """Where descriptions are kept between two times that a class is graded."""

    def description(self, key: str) -> DescribeAnswer | None: ...
    def keep_description(self, key: str, answer: DescribeAnswer) -> None: ...


class _Nothing:
    def description(self, key: str) -> DescribeAnswer | None:
        return None

    def keep_description(self, key: str, answer: DescribeAnswer) -> None:
        return None


NOTHING = _Nothing()


def describe_once(loaded: Loaded, asker: Asker, seconds: float, kept: Kept) -> Description:
    """`describe`, unless the same submission was described before under the same conditions.

    What was the submission's own doing is kept as well; a fault of ours is not.
    """
    key = _key(loaded.program, asker, seconds)
    answer = kept.description(key)
    if answer is None:
        answer = _answer(loaded, asker, seconds)
        kept.keep_description(key, answer)
    if answer.description is not None:
        return answer.description
    assert answer.problem is not None
    kind = StudentError if answer.problem.kind == "student" else Unsupported
    raise kind(
        answer.problem.message, answer.problem.hint, cell=answer.problem.cell, excerpt=answer.problem.excerpt
    )


def _answer(loaded: Loaded, asker: Asker, seconds: float) -> DescribeAnswer:
    try:
        return DescribeAnswer(description=describe(loaded, asker, seconds))
    except (StudentError, Unsupported) as error:
        kind = "student" if isinstance(error, StudentError) else "unsupported"
        return DescribeAnswer(
            problem=Problem(
                kind=kind, message=error.message, hint=error.hint, cell=error.cell, excerpt=error.excerpt
            )
        )


def _key(program: Program, asker: Asker, seconds: float) -> str:
    """The name counts, for messages speak of it: nobody is shown the name of another's file."""
    spec = asker.dataset.spec
    told = (program.digest, program.name, spec.sha256, spec.served_as, seconds, __version__)
    return hashlib.sha256(json.dumps((*told, asker.isolation.closed)).encode()).hexdigest()


def describe(loaded: Loaded, asker: Asker, seconds: float) -> Description:
    """Describe every model of the submission.

    Where `Conv2D(16, 3, 3)` can be read in two ways, the reading that gives the parameter count of
    the saved summary wins; without one, the reading under which a network comes out at all.
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
    """Without what a failing cell left half-built. Nothing left is the student's error."""
    models = _usable(description, classes)
    fitted = any(m.fit_order for m in models)
    if not models or (not fitted and _fit_failed(description, program)):
        raise _no_model(description, program)
    return description.model_copy(update={"models": models})


def _usable(description: Description, classes: int) -> tuple[DescribedModel, ...]:
    """Models that were fitted, or whose cell ran through, or that end in the classes all the same."""
    failed = {failure.cell for failure in description.failures}
    return tuple(m for m in description.models if m.fit_order or m.cell not in failed or _ends_in(m, classes))


def _ends_in(model: DescribedModel, classes: int) -> bool:
    try:
        analysis = shapes.analyse(model.network)
    except StudentError:
        return False
    return [analysis.of(name).output for name in model.network.outputs] == [(classes,)]


def _fit_failed(description: Description, program: Program) -> bool:
    """Whether a cell that was to train a model raised before it did."""
    code = [cell.source for cell in program.cells if cell.kind == "code"]
    failed = {failure.cell for failure in description.failures}
    return any(re.search(r"\.fit(_generator)?\(", x) for n, x in enumerate(code, 1) if n in failed)


def _of_a_stand_in(error: str) -> bool:
    """Whether it speaks of a stand-in of ours, which is no fault of the student's."""
    return ": not run by grader>" in error


_MEMORY = (
    "MemoryError",
    "ResourceExhaustedError",
    "numpy._core._exceptions._ArrayMemoryError",
    "_ArrayMemoryError",
)


def _absent(description: Description, program: Program) -> str:
    """A library that is not here, and which the cell that failed mentions; if none failed, any cell."""
    code = [cell.source for cell in program.cells if cell.kind == "code"]
    failed = [code[f.cell - 1] for f in description.failures[:1] if f.cell and f.cell <= len(code)]
    for note in description.notes:
        found = re.match(r"the library '(\w+)' is not installed here", note.message)
        if found and any(re.search(rf"\b{found[1]}\b", cell) for cell in failed or code):
            return found[1]
    return ""


def _no_model(description: Description, program: Program) -> StudentError | Unsupported:
    """Nothing was built: the first cell that failed says why, if one did."""
    if library := _absent(description, program):
        return Unsupported(
            f"no model comes of the cells, which use {library!r}: that is not installed here",
            "A person should look at the submission, or install the library beside grader.",
        )
    for failure in description.failures:
        if _of_a_stand_in(failure.error):
            return Unsupported(
                f"code cell {failure.cell} builds on a library that is not installed here: {failure.error}"[
                    :500
                ],
                "A person should look at the submission, or install the library beside grader.",
            )
        if failure.error.startswith(_MEMORY):  # the box is small, which is no fault of the student's
            return Unsupported(
                f"code cell {failure.cell} needs more memory than there is in a box: {failure.error}"[:500],
                "A person should look at the submission.",
            )
        if "KerasTensor" in failure.error:  # Keras 2 let TensorFlow's functions take a network's tensors
            return Unsupported(
                f"code cell {failure.cell} needs an older Keras: {failure.error}"[:500],
                "A person should look at the submission, or use Keras's layers and keras.ops instead.",
            )
    if not description.failures:
        return StudentError("no cell builds a Keras model", "Hand in the cells that build the network.")
    first = description.failures[0]
    where = f"code cell {first.cell}" + (f", line {first.line}" if first.line else "")
    return StudentError(
        f"{where}: {first.error}",
        "Restart the kernel and run all cells from the top.",
        cell=first.cell,
        excerpt=first.excerpt,
    )


# --- the two readings of Conv2D(16, 3, 3) -------------------------------------------------------


def _totals(description: Description, classes: int) -> set[int]:
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
    """Whether the saved summaries contradict this reading, or nothing came out under it."""
    if not description.ambiguous_calls:
        return False
    claimed = set(claims.read(program).total_parameters)
    totals = _totals(description, classes)
    return not totals or bool(claimed and not claimed & totals)


def _better(second: Description, first: Description, program: Program, classes: int) -> bool:
    if not _totals(second, classes):
        return False
    claimed = set(claims.read(program).total_parameters)
    return bool(claimed & _totals(second, classes)) or not _totals(first, classes)
