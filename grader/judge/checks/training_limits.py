"""Checks limits on the submitted recipe: epochs, passes over the images, batch size, learning rate."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from grader import records as r
from grader.judge.checks.interface import BaseCriterion, Finding, Subject


class TrainingLimits(BaseCriterion):
    """``passes_at_most`` limits passes over the training images; by default it equals ``epochs_at_most``.

    The two differ where an epoch is longer than one pass: by ``steps_per_epoch`` or repeated images.
    """

    kind: Literal["training_limits"] = "training_limits"
    epochs_at_most: Annotated[int, Field(ge=1)] | None = None
    passes_at_most: Annotated[float, Field(gt=0)] | None = None
    batch_size_at_least: Annotated[int, Field(ge=1)] | None = None
    batch_size_at_most: Annotated[int, Field(ge=1)] | None = None
    learning_rate_at_most: Annotated[float, Field(gt=0)] | None = None


def check(criterion: TrainingLimits, subject: Subject) -> Finding:
    """Compare the submitted recipe with each limit; a rubric's own recipe passes."""
    if not subject.own_recipe:
        return Finding("pass", "no training handed in; the rubric's own recipe keeps the limits")
    epochs = sum(x.epochs for x in subject.recipe)
    passes = sum(x.epochs * x.passes(subject.images) for x in subject.recipe)
    most_passes = criterion.passes_at_most or criterion.epochs_at_most
    batches = [x.batch_size for x in subject.recipe]
    rate = max(max(x.learning_rates) for x in subject.recipe)
    broken = []
    if criterion.epochs_at_most and epochs > criterion.epochs_at_most:
        broken.append(f"{epochs} epochs, at most {criterion.epochs_at_most} allowed")
    elif most_passes and passes > most_passes + r.PASSES_SLACK:
        broken.append(f"{_passes(epochs, passes)}, at most {most_passes:g} passes allowed")
    if criterion.batch_size_at_least and min(batches) < criterion.batch_size_at_least:
        broken.append(f"batch size {min(batches)}, at least {criterion.batch_size_at_least} required")
    if criterion.batch_size_at_most and max(batches) > criterion.batch_size_at_most:
        broken.append(f"batch size {max(batches)}, at most {criterion.batch_size_at_most} allowed")
    if criterion.learning_rate_at_most and rate > criterion.learning_rate_at_most:
        broken.append(f"learning rate {rate:g}, at most {criterion.learning_rate_at_most:g} allowed")
    evidence = tuple(
        r.Evidence(
            text=f"fit: {x.epochs} epochs, batch size {x.batch_size}, learning rate {x.learning_rates[0]:g}",
            cell=x.cell,
        )
        for x in subject.recipe
    )
    if broken:
        return Finding("fail", "; ".join(broken), "Change the arguments of fit and compile.", evidence)
    return Finding(
        "pass",
        f"{_passes(epochs, passes)}, batch size {_span(batches)}, learning rate at most {rate:g}",
        evidence=evidence,
    )


def _passes(epochs: int, passes: float) -> str:
    """Return the epochs in words, with the passes over the images where the two numbers differ."""
    alike = abs(passes - epochs) <= r.PASSES_SLACK
    return f"{epochs} epochs" if alike else f"{epochs} epochs, {passes:.3g} passes over the images"


def _span(sizes: list[int]) -> str:
    return str(sizes[0]) if min(sizes) == max(sizes) else f"{min(sizes)} to {max(sizes)}"
