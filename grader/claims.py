"""Saved outputs -> claims, held against what was recomputed and reproduced.

A number printed in a notebook is a claim. A contradiction is shown and costs nothing by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from grader.records import ClaimCheck, Claims, Program, TrainingRun

_TOTAL = re.compile(r"Total params:\s*([\d,_.]{1,20})(?!\d)")
_OPTIMIZER = re.compile(r"Optimizer params:\s*([\d,_.]{1,20})(?!\d)")
_VALIDATION = re.compile(
    r"\bval_(?:acc|accuracy|categorical_accuracy|sparse_categorical_accuracy)\w*:\s*"
    r"(\d*\.?\d+(?:e-?\d+)?)"
)
_EPOCH = re.compile(r"^[^\S\n]*Epoch (\d{1,9})/(\d{1,9})", re.MULTILINE)
# Spaces, but no line feeds: across lines these would take time with the square of their number.
_SCORE = re.compile(
    r"^[^\S\n]*\[[^\S\n]*(?:\d+(?:\.\d*)?|\.\d+)(?:e-?\d+)?[^\S\n]*,"
    r"[^\S\n]*(\d*\.\d+)[^\S\n]*\][^\S\n]*$",
    re.MULTILINE,
)
_PROSE = re.compile(r"(?<![\d.])(?:0?\.(99\d{1,3}|98\d{1,3}|97\d{1,3})|(9[5-9]\.\d{1,3})\s*%?)(?!\.?\d)")

# Runs of one network differ by about this much (assignment facts): less is no contradiction.
SPREAD = 0.001


def read(program: Program) -> Claims:
    """What the saved outputs say of parameters, epochs and the best validation accuracy."""
    outputs = "\n".join(cell.output for cell in program.cells if cell.kind == "code")
    totals = tuple(_totals(outputs))
    epochs = [int(n) for n, _ in _EPOCH.findall(outputs)]
    best, source = _accuracy(program, outputs)
    return Claims(
        total_parameters=totals[:100],
        epochs_logged=max(epochs, default=None),
        best_accuracy=best,
        accuracy_source=source,
    )


def _totals(outputs: str) -> Iterator[int]:
    """The count of every summary; Keras 3 adds the optimizer's variables once a model is trained."""
    for summary in re.split(r"(?=Total params:)", outputs):
        if (total := _number(_TOTAL.match(summary))) is not None:
            yield total - (_number(_OPTIMIZER.search(summary)) or 0)


def _number(match: re.Match[str] | None) -> int | None:
    digits = re.sub(r"[,_.]", "", match[1]) if match else ""
    return int(digits) if digits else None


def _accuracy(program: Program, outputs: str) -> tuple[float | None, str]:
    """Training log first, then what `evaluate` printed, then the prose."""
    prose = "\n".join(c.source for c in program.cells if c.kind == "markdown")
    for source, found in (
        ("training log", [float(x) for x in _VALIDATION.findall(outputs)]),
        ("printed score", [float(x) for x in _SCORE.findall(outputs)]),
        ("text", list(_percentages(prose))),
    ):
        if possible := [x for x in found if 0.0 <= x <= 1.0]:
            return max(possible), source
    return None, ""


def _percentages(prose: str) -> Iterator[float]:
    """Numbers that look like a result. A sentence that states a goal is no claim."""
    sentences = re.split(r"(?<=[.!?])\s|\n", prose)
    said = [s for s in sentences if not re.search(r"\b(goal|target|require|at least|must|should)", s, re.I)]
    for fraction, percent in _PROSE.findall("\n".join(said)):
        yield float(f"0.{fraction}") if fraction else round(float(percent) / 100, 6)


def compare(
    claims: Claims, total: int | None, epochs: int | None, runs: Sequence[TrainingRun]
) -> tuple[ClaimCheck, ...]:
    """Every claim with what was found; ``agrees`` is None where nothing can be said."""
    return tuple(
        check
        for check in (
            _parameters(claims, total),
            _epochs(claims, epochs),
            _validation(claims, runs),
        )
        if check is not None
    )


def _parameters(claims: Claims, total: int | None) -> ClaimCheck | None:
    if not claims.total_parameters or total is None:
        return None
    shown = ", ".join(f"{n:,}" for n in dict.fromkeys(claims.total_parameters))
    agrees = total in claims.total_parameters
    return ClaimCheck(
        claim=f"the saved summary says {shown} parameters",
        found=f"the code builds a network of {total:,}",
        agrees=agrees,
        remark=""
        if agrees
        else "The saved output is not of the code beside it: run the notebook again before handing it in.",
    )


def _epochs(claims: Claims, epochs: int | None) -> ClaimCheck | None:
    if claims.epochs_logged is None or epochs is None:
        return None
    return ClaimCheck(
        claim=f"the saved log reaches epoch {claims.epochs_logged}",
        found=f"the code trains for {epochs}",
        agrees=claims.epochs_logged <= epochs,
        remark="" if claims.epochs_logged <= epochs else "The log is of another run.",
    )


def _validation(claims: Claims, runs: Sequence[TrainingRun]) -> ClaimCheck | None:
    bests = [run.best.correct / run.best.images for run in runs if run.best is not None]
    if claims.best_accuracy is None or not bests:
        return None
    low, high = min(bests), max(bests)
    within = claims.best_accuracy <= high + SPREAD
    stopped = any(run.ended == "threshold_reached" for run in runs)
    spread = f"{low:.4f}" if low == high else f"{low:.4f} to {high:.4f}"
    return ClaimCheck(
        claim=f"best validation accuracy {claims.best_accuracy:.4f} ({claims.accuracy_source})",
        found=f"retraining reached {spread} in {len(bests)} run{'s' * (len(bests) > 1)}"
        + (", stopped at the threshold" if stopped else ""),
        agrees=True if within else (None if stopped else False),
        remark="" if within or stopped else "The claim was not reproduced.",
    )
