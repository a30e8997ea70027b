"""Ask the untrusted child for a description, and make nothing of it that is not validated.

The child gets a folder of its own with a copy of the files that came with the submission, and the
data set with permuted test labels. Its answer is parsed strictly and of limited size.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from grader import claims, isolation, shapes
from grader.datasets import Dataset, write_blinded
from grader.errors import BrokenError, StudentError, Unsupported
from grader.load import Loaded
from grader.records import (
    DescribeAnswer,
    DescribedModel,
    DescribeJob,
    Description,
    Problem,
    Program,
    Reading,
)
from grader.sandbox import Ended, Limits, run_child

ANSWER_BYTES = 64_000_000
MAX_COPIED = 300_000_000


def describe(loaded: Loaded, dataset: Dataset, seconds: float) -> Description:
    """Describe every model of the submission.

    Where `Conv2D(16, 3, 3)` can be read in two ways, the reading that gives the parameter count of
    the saved summary wins; without one, the reading under which a network comes out at all.
    Raises `StudentError` when no model can be described.
    """
    first = _ask(loaded, dataset, seconds, None)
    if _worth_another(first, loaded.program, dataset.classes):
        other: Reading = "strides" if first.reading == "rows_columns" else "rows_columns"
        with suppress(StudentError, Unsupported):
            second = _ask(loaded, dataset, seconds, other)
            if _better(second, first, loaded.program, dataset.classes):
                return _checked(second, loaded.program, dataset.classes)
    return _checked(first, loaded.program, dataset.classes)


def _checked(description: Description, program: Program, classes: int) -> Description:
    """Without what a failing cell left half-built. Nothing left is the student's error."""
    models = _usable(description, classes)
    fitted = any(m.fit_order for m in models)
    if not models or (not fitted and _fit_failed(description, program)):
        raise _no_model(description)
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


def _no_model(description: Description) -> StudentError:
    """Nothing was built: the first cell that failed says why, if one did."""
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


# --- one child ----------------------------------------------------------------------------------


def _ask(loaded: Loaded, dataset: Dataset, seconds: float, reading: Reading | None) -> Description:
    """Start a child and read its answer. Raises `StudentError`, `Unsupported` or `BrokenError`."""
    with tempfile.TemporaryDirectory(prefix="grader-") as scratch:
        home, files = Path(scratch) / "home", Path(scratch) / "files"
        data = Path(scratch) / Path(dataset.spec.path).name
        home.mkdir()
        _copy(loaded.beside, files)
        box = isolation.box(home)
        if loaded.program.model_file is None:
            write_blinded(dataset, data)
        job = _job(loaded.program, dataset, box, files, data, seconds, reading)
        last: list[bytes] = []

        def keep_last(line: bytes) -> None:
            last[:] = [line]

        ended = run_child(
            ["-m", "grader.describe"],
            job.model_dump_json().encode(),
            home,
            Limits(seconds, ANSWER_BYTES),
            keep_last,
            {"CUDA_VISIBLE_DEVICES": "-1", "HOME": box.home, "TMPDIR": box.home},
            box.command,
        )
    return _read_answer(last[0] if last else b"", ended, seconds)


def _job(
    program: Program,
    dataset: Dataset,
    box: isolation.Box,
    files: Path,
    data: Path,
    seconds: float,
    reading: Reading | None,
) -> DescribeJob:
    """The job, with every path as the child sees it."""
    model = Path(program.model_file) if program.model_file is not None else None
    shown = box.show(model, model.name) if model is not None else None
    return DescribeJob(
        program=program.model_copy(update={"model_file": shown, "path": ""}),
        files=box.show(files, "files"),
        data=box.show(data, Path(dataset.spec.path).name) if model is None else "",
        dataset=dataset.spec.served_as,
        image_shape=dataset.image_shape,
        seconds=int(seconds),
        reading=reading,
    )


def _copy(beside: Path | None, folder: Path) -> None:
    """The submission's own files, without links and within bounds."""
    folder.mkdir()
    left = MAX_COPIED
    for file in sorted(beside.rglob("*")) if beside else ():
        if file.is_file() and not file.is_symlink() and (left := left - file.stat().st_size) > 0:
            target = folder / file.relative_to(beside or file)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)


def _read_answer(line: bytes, ended: Ended, seconds: float) -> Description:
    if not line:
        raise _silent(ended, seconds)
    try:
        answer = DescribeAnswer.model_validate_json(line)
    except ValidationError as error:
        raise Unsupported(
            f"the description of this submission is not valid: {error.errors()[0]['msg']}",
            "A person should look at the submission.",
        ) from None
    if answer.description is not None:
        return answer.description.model_copy(update={"incomplete": _cut_short(ended, seconds)})
    problem = answer.problem or Problem(kind="unsupported", message="the description is empty")
    kind = Unsupported if problem.kind == "unsupported" else StudentError
    raise kind(problem.message, problem.hint)


def _cut_short(ended: Ended, seconds: float) -> str:
    if ended.timed_out:
        return f"the submission ran longer than {seconds:.0f} s and was stopped after its last fit"
    if ended.flooded:
        return "the description grew too large and was cut"
    if ended.returncode != 0:
        return f"the submission ended its own process (status {ended.returncode}) after its last fit"
    return ""


def _silent(ended: Ended, seconds: float) -> StudentError:
    """No answer at all: whose fault it is shows in how the child ended."""
    if ended.timed_out:
        return StudentError(
            f"the submission ran longer than {seconds:.0f} s before any fit",
            "grader does not train while it reads a submission: look for a loop that never ends.",
        )
    if ended.flooded:
        return StudentError("the submission floods the answer of its process")
    if "grader/describe" in ended.log and "Traceback" in ended.log:
        raise BrokenError(
            f"grader failed while describing:\n{ended.log[-3_000:]}",
            "Please report this with the submission.",
        )
    how = f"signal {-ended.returncode}" if ended.returncode < 0 else f"status {ended.returncode}"
    return StudentError(
        f"the submission ended its own process ({how}) before any model was built",
        "Remove exit() and os._exit(); a signal 9 or 11 means that memory ran out or a library crashed.",
    )
