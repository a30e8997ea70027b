"""Compares claims with the described network, the recipe and the reproduced runs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from grader.claims import owners, tables
from grader.claims.read import numbered, read
from grader.layers.shapes import Analysis
from grader.records import (
    ClaimCheck,
    Claims,
    DescribedModel,
    Description,
    Program,
    SavedLog,
    SavedSummary,
    TrainingRun,
)

# Runs of one network differ by about 0.1 percentage points (assignment facts): less is no contradiction.
SPREAD = 0.001
# Logs show four digits: a number that differs by less is the same.
ROUNDING = 1.1e-4
FEW_IMAGES = 1_000
OTHER_RUN = "The saved output is not of the code beside it: run the notebook again before handing it in."


def check(
    program: Program,
    description: Description,
    model: DescribedModel,
    analysis: Analysis,
    runs: Sequence[TrainingRun],
) -> tuple[ClaimCheck, ...]:
    """Compare every claim about ``model`` with what was found; ``agrees`` is None where nothing is known."""
    claims = read(program)
    own = owners.of(claims, description.models, model)
    return (
        *_parameters(own, claims, analysis),
        *_epochs(own, model),
        *_validation(own, description, model, runs),
        *_stale(own, program, model),
    )


# --- the network --------------------------------------------------------------------------------


def _parameters(own: Claims, claims: Claims, analysis: Analysis) -> Iterator[ClaimCheck]:
    """Compare the saved summary with the network; a fitting summary anywhere in the document is preferred."""
    if not own.summaries or analysis.total is None:
        return
    fitting = [s for s in (*claims.summaries, *own.summaries) if s.total == analysis.total]
    shown = fitting[-1:] or list({s.total: s for s in own.summaries}.values())
    totals = ", ".join(f"{s.total:,}" for s in shown[-5:])
    yield ClaimCheck(
        claim=f"the saved summary ({_cells(shown[-5:])}) says {totals} parameters",
        found=f"the code builds a network of {analysis.total:,}",
        agrees=bool(fitting),
        remark=_trainable(shown[-1], analysis) if fitting else OTHER_RUN,
    )
    yield from tables.compare(shown[-1], analysis)


def _trainable(summary: SavedSummary, analysis: Analysis) -> str:
    """Remark on another count of trainable parameters; a frozen layer changes that count, not the total."""
    if summary.trainable in (None, analysis.trainable) or analysis.trainable is None:
        return ""
    return (
        f"It counts {summary.trainable:,} of them as trainable, the code as handed in {analysis.trainable:,}."
    )


def _cells(claims: Sequence[SavedSummary | SavedLog]) -> str:
    numbers = list(dict.fromkeys(claim.cell for claim in claims))
    return ("cell " if len(numbers) == 1 else "cells ") + ", ".join(map(str, numbers))


# --- the training -------------------------------------------------------------------------------


def _epochs(own: Claims, model: DescribedModel) -> Iterator[ClaimCheck]:
    """Compare each log with the fit that it belongs to, where the document shows which."""
    logs = [log for log in own.logs if log.reached]
    if not logs or not model.training:
        return
    planned = [fit.epochs for fit in model.training]
    if len(logs) == len(planned):
        fits = all(map(_fits, logs, planned))
    else:  # some fits printed nothing, or were run again
        fits = all(any(_fits(log, epochs) for epochs in (*planned, sum(planned))) for log in logs)
    reached = _listed([log.reached for log in logs])
    announced = _listed([log.announced or log.reached for log in logs])
    way = "" if announced == reached else f" of {announced}"
    yield ClaimCheck(
        claim=f"the saved log ({_cells(logs)}) reaches epoch {reached}{way}",
        found=f"the code trains for {_listed(planned)}",
        agrees=fits,
        remark="" if fits else "The log is of another run.",
    )


def _fits(log: SavedLog, epochs: int) -> bool:
    """Whether ``log`` can come from a fit of ``epochs`` epochs, which may have stopped early.

    A log that begins with a later epoch was continued with `initial_epoch`, or its beginning was cut off.
    """
    going_to = log.announced if log.announced is not None else log.reached
    return epochs in (going_to, going_to - (log.first - 1)) and log.reached <= going_to


def _listed(numbers: Sequence[int], most: int = 6) -> str:
    words = [str(n) for n in numbers[:most]]
    if len(numbers) > most:
        return ", ".join(words) + f" and {len(numbers) - most} more"
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]


# --- the accuracy -------------------------------------------------------------------------------


def _best(own: Claims) -> tuple[float, str, str] | None:
    """Return the best accuracy, its place, and the log's name for it.

    The log comes before scores, and scores before the text.
    """
    logged = [(log.best.accuracy or 0.0, -i, log) for i, log in enumerate(own.logs) if log.best is not None]
    if logged:
        accuracy, _, log = max(logged)
        epoch = log.best.number if log.best else 0
        where = f"epoch {epoch} of the training log" if epoch else "training log"
        return accuracy, f"{where}, cell {log.cell}", log.metric
    for kinds in (("evaluate", "printed score"), ("text",)):
        if found := [(s.accuracy, -i, s) for i, s in enumerate(own.scores) if s.source in kinds]:
            accuracy, _, score = max(found)
            return accuracy, f"{score.source}, cell {score.cell}" if score.cell else score.source, ""
    return None


def _validation(
    own: Claims, description: Description, model: DescribedModel, runs: Sequence[TrainingRun]
) -> Iterator[ClaimCheck]:
    bests = [run.best.correct / run.best.images for run in runs if run.best is not None]
    claimed = _best(own)
    if claimed is None or not bests:
        return
    accuracy, where, metric = claimed
    low, high = min(bests), max(bests)
    within = accuracy <= high + SPREAD
    stopped = any(run.ended == "threshold_reached" for run in runs)
    spread = f"{low:.4f}" if low == high else f"{low:.4f} to {high:.4f}"
    why = list(_reasons(own, description, model, metric))
    yield ClaimCheck(
        claim=f"best validation accuracy {accuracy:.4f} ({where})",
        found=f"retraining reached {spread} in {len(bests)} run{'s' * (len(bests) > 1)}"
        + (", stopped at the threshold" if stopped else ""),
        agrees=True if within else (None if stopped and not why else False),
        remark="" if within else " ".join(why) or ("" if stopped else "The claim was not reproduced."),
    )


def _reasons(own: Claims, description: Description, model: DescribedModel, metric: str) -> Iterator[str]:
    """Yield reasons why a claim may be higher than what retraining counts."""
    fit = model.training[-1] if model.training else None
    by_loss = fit is not None and fit.loss.name == "binary_crossentropy" and metric in ("acc", "accuracy")
    if metric == "binary_accuracy" or (by_loss and description.keras_era == "keras2"):
        yield "The claim counts binary accuracy: each of the outputs by itself, not the image."
    elif by_loss:
        yield "The claim may count binary accuracy: each of the outputs by itself, not the image."
    if fit is None:
        return
    if fit.trained_on.split in ("test", "mixed"):
        yield "The network was trained on test images."
    shown = [log.validated_on for log in own.logs if log.validated_on]
    images = shown[-1] if shown else fit.validated_on.images
    if 0 < images < FEW_IMAGES:
        yield f"The claim counts {images:,} validation images only."
    elif fit.validated_on.split == "train":
        yield "The claim counts images held out of the training split."


def _stale(own: Claims, program: Program, model: DescribedModel) -> Iterator[ClaimCheck]:
    """Compare `evaluate` with the log's last epoch: the same test images give the same accuracy.

    Weights that were restored in between make a difference, so such code is left out.
    """
    logged = [log for log in own.logs if log.last is not None]
    scores = [s for s in own.scores if s.source == "evaluate"]
    if not logged or not scores or not _comparable(program, model, scores[-1].cell):
        return
    log, score = logged[-1], scores[-1]
    last = log.last.accuracy if log.last else None
    if last is None or score.cell < log.cell or not _finished(log) or abs(score.accuracy - last) <= ROUNDING:
        return
    yield ClaimCheck(
        claim=f"evaluate printed {score.accuracy:.4f} (cell {score.cell})",
        found=f"the log (cell {log.cell}) ends with {last:.4f} on the same images",
        agrees=False,
        remark="One of the two is left over from another run.",
    )


def _finished(log: SavedLog) -> bool:
    return log.last is not None and log.last.number == log.reached == log.announced


_RESTORED = re.compile(
    r"load_weights|load_model|set_weights|restore_best|\b(?:swa|ema)\b|_(?:swa|ema)\b", re.IGNORECASE
)


def _comparable(program: Program, model: DescribedModel, cell: int) -> bool:
    """Whether the log and `evaluate` are about the same weights and the same images."""
    fit = model.training[-1] if model.training else None
    if fit is None or fit.validated_on.split != "test" or not fit.validated_on.whole_split:
        return False
    code = "\n".join(c.source for number, c in numbered(program) if c.kind == "code" and number <= cell)
    asked = re.findall(r"evaluate(?:_generator)?\(([^)\n]{0,200})", code)
    return bool(asked) and "train" not in asked[-1].lower() and not _RESTORED.search(code)
