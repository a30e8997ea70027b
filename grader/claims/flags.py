"""Notes what a person should know about the saved outputs, and about the data that a claim rests on."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from grader.claims.compare import FEW_IMAGES
from grader.claims.read import numbered
from grader.records import DescribedModel, Note, Program

_INTERRUPTED = "KeyboardInterrupt"


def flags(program: Program, model: DescribedModel) -> Iterator[Note]:
    """Yield notes on the submission as it was saved, and on the data of the graded model."""
    yield from _order(program)
    yield from _errors(program, model)
    yield from _data(model)


def _order(program: Program) -> Iterator[Note]:
    """Yield a note on the first cell that was run before the cell above it."""
    counted = [(n, c.execution_count) for n, c in numbered(program) if c.kind == "code" and c.execution_count]
    behind = [(above, below) for above, below in pairwise(counted) if (above[1] or 0) > (below[1] or 0)]
    if behind:
        (above, first), (below, second) = behind[0]
        more = f", and {len(behind) - 1} more like it" if len(behind) > 1 else ""
        yield Note(
            message=f"the cells were not run from top to bottom: cell {below} (In [{second}]) before "
            f"cell {above} (In [{first}]){more}; saved outputs may be of other code",
            cell=below,
        )


def _errors(program: Program, model: DescribedModel) -> Iterator[Note]:
    """Yield notes on saved tracebacks; the log of an interrupted fit is no whole run."""
    fits = {fit.cell for fit in model.training}
    for number, cell in numbered(program):
        if number in fits and cell.raised.startswith(_INTERRUPTED):
            message = f"the saved fit was interrupted ({_INTERRUPTED}): its log is not a whole run"
            yield Note(message=message, cell=number)
        elif cell.raised:
            yield Note(message=f"the saved output ends with {cell.raised}", cell=number)


def _data(model: DescribedModel) -> Iterator[Note]:
    if not model.training:
        return
    fit = model.training[-1]
    if fit.trained_on.split in ("test", "mixed"):
        which = "the test split" if fit.trained_on.split == "test" else "images of both splits"
        yield Note(message=f"trained on {which}: accuracy on test images is no validation", cell=fit.cell)
    if fit.validated_on.split != "test" and 0 < (images := fit.validated_on.images) < FEW_IMAGES:
        message = f"validated on {images:,} images only: each counts for {1 / images:.2%}"
        yield Note(message=message, cell=fit.cell)
