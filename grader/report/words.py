"""The words and numbers that all formats share, so that no two of them say a thing differently."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_HALF_EVEN, Decimal

from grader import records as r

OUTCOME = {
    "pass": "pass",
    "fail": "fail",
    "borderline": "borderline",
    "not_reached": "not reached",
    "broken": "broken",
}
STATUS = {
    "passed": "passed",
    "not_passed": "not passed",
    "structure_only": "structure passes (not retrained)",
    "needs_person": "needs a person",
    "interrupted": "interrupted",
}
PROBLEM = {
    "student": "The submission cannot be graded",
    "unsupported": "grader cannot judge this",
    "broken": "grader failed; this costs the student nothing",
    "interrupted": "Interrupted",
}
ENDED = {
    "finished": "all epochs",
    "threshold_reached": "threshold reached",
    "early_stopping": "early stopping",
    "diverged": "the loss was no number",
    "interrupted": "interrupted",
}
RECIPE = {
    "submission": "as handed in",
    "compile": "compiled as handed in",
    "rubric": "the rubric's default",
}
CLAIM = {True: "agrees", False: "contradicted", None: "not compared"}
UNISOLATED = "made without isolation: for the author's own eyes, not for a gradebook"


def exact(points: float | Decimal) -> Decimal:
    """Points as they are shown and added up everywhere: two decimals, no binary fractions."""
    return Decimal(str(points)).quantize(Decimal("0.01"), ROUND_HALF_EVEN)


def points(value: float) -> str:
    """`7`, `7.5`, `33.33`."""
    text = f"{exact(value):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def number(value: float) -> float | int:
    """The same value for formats that hold numbers: an integer where it is one."""
    rounded = exact(value)
    return int(rounded) if rounded == rounded.to_integral_value() else float(rounded)


def total(verdicts: tuple[r.Verdict, ...]) -> tuple[float, float]:
    """Points and possible points of some verdicts."""
    earned = sum((exact(v.points) for v in verdicts), Decimal(0))
    possible = sum((exact(v.max_points) for v in verdicts), Decimal(0))
    return float(earned), float(possible)


def duration(seconds: float) -> str:
    """Minutes and seconds: `8:59`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"


def recipe(model: r.GradedModel) -> str:
    """`Adam, learning rate 0.003 to 0.0004, batch size 128, 20 epochs, categorical_crossentropy`."""
    fit = model.recipe[0]
    rates = [rate for x in model.recipe for rate in x.learning_rates]
    rate = f"{rates[0]:g}" if len(set(rates)) == 1 else f"{rates[0]:g} to {rates[-1]:g}"
    fits = f", {len(model.recipe)} fits" if len(model.recipe) > 1 else ""
    said = (
        f"{fit.optimizer.type}, learning rate {rate}, batch size {fit.batch_size}, "
        f"{sum(x.epochs for x in model.recipe)} epochs{fits}, {fit.loss.name}"
    )
    return ", ".join([said, *dict.fromkeys(word for x in model.recipe for word in _besides(x))])


def _besides(fit: r.TrainingRecipe) -> Iterator[str]:
    """What goes beyond the plain recipe."""
    if fit.augmentation is not None:
        yield "augmentation"
    if fit.geometry != r.Geometry():
        yield "resized or padded images"
    if fit.steps_per_epoch is not None:
        yield f"{fit.steps_per_epoch:,} steps an epoch"
    if fit.rows:
        yield f"{sum(last - first for first, last in fit.rows):,} of the training images"
    if fit.class_weights or fit.sample_weights:
        yield "class weights" if fit.class_weights else "sample weights"
    if fit.frozen:
        yield f"{len(fit.frozen)} layers frozen in a fit"
    if fit.loss.label_smoothing:
        yield f"label smoothing {fit.loss.label_smoothing:g}"
    if fit.keeps is not None:
        yield "best weights restored" if fit.keeps.epoch is None else f"back to epoch {fit.keeps.epoch}"


def retraining(grade: r.Grade) -> str:
    """`Retrained on CPU, 2 threads (native)`: how and where the attempts were made."""
    environment = grade.runs[0].environment
    if grade.runs[0].replayed:
        return f"Replayed, a lower assurance than retraining, on {environment.device}"
    note = f": {environment.engine_note}" if environment.engine_note else ""
    engine = f"{environment.engine}{note}"
    return f"Retrained on {environment.device}, {environment.threads} threads ({engine})"


def learning(grade: r.Grade) -> str:
    """Return what was seen beside the accuracy of the attempts, or nothing.

    `At most 8.6% of the test images were right before learning; renumbered classes in attempt 2.`
    """
    known = [run.untrained.accuracy for run in grade.runs if run.untrained is not None]
    before = f"at most {max(known):.1%} of the test images were right before learning" if known else ""
    renumbered = [n for n, run in enumerate(grade.runs, 1) if run.symmetry.classes]
    turned = [n for n, run in enumerate(grade.runs, 1) if run.symmetry.transposed]
    classes = f"renumbered classes in {_attempts(renumbered)}" if renumbered else ""
    images = f"transposed images in {_attempts(turned)}" if turned else ""
    said = "; ".join(part for part in (before, classes, images) if part)
    return f"{said[0].upper()}{said[1:]}." if said else ""


def _attempts(numbers: list[int]) -> str:
    """`attempt 2`, `attempts 2, 3 and 4`."""
    *most, last = map(str, numbers)
    return f"attempts {', '.join(most)} and {last}" if most else f"attempt {last}"


def shape(sizes: tuple[int, ...] | None) -> str:
    """Return `28×28×1`, or `?` where it is not known."""
    return "?" if sizes is None else "×".join(str(n) for n in sizes)
