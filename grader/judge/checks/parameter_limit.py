"""Checks the number of parameters, total or trainable, against a limit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import Field

from grader import records as r
from grader.judge.checks import advice
from grader.judge.checks.interface import BaseCriterion, Finding, Subject, unseen
from grader.layers.shapes import LARGEST, Analysis, LayerShape


class ParameterLimit(BaseCriterion):
    """A ``limit`` on the parameters of the kind ``count``."""

    kind: Literal["parameter_limit"] = "parameter_limit"
    limit: Annotated[int, Field(ge=1)]
    count: Literal["total", "trainable"] = "total"
    comparison: Literal["fewer than", "at most"] = "fewer than"

    def holds(self, analysis: Analysis) -> bool:
        """Whether the count keeps the limit; False where parameters cannot be counted."""
        n = self.counted(analysis)
        return n is not None and (n < self.limit or (self.comparison == "at most" and n == self.limit))

    def counted(self, analysis: Analysis) -> int | None:
        """Return the number that the limit is about; None where parameters cannot be counted."""
        return analysis.total if self.count == "total" else analysis.trainable

    def heaviest(self, analysis: Analysis) -> list[tuple[LayerShape, int]]:
        """Return the three layers that hold most of the counted parameters, with how many each holds."""
        held = [(x, (x.parameters if self.count == "total" else x.trainable) or 0) for x in analysis.layers]
        return sorted((x for x in held if x[1]), key=lambda x: x[1], reverse=True)[:3]


def check(criterion: ParameterLimit, subject: Subject) -> Finding:
    """Compare the count with the limit; a fail comes with the smallest change found that keeps the limit."""
    counted = criterion.counted(subject.analysis)
    if counted is None:
        return Finding("unknown", f"parameters cannot be counted: {unseen(subject)}")
    found = f"{counted:,} {criterion.count} parameters"
    wanted = f"{criterion.comparison} {criterion.limit:,}"
    evidence = (
        r.Evidence(
            text=f"total {subject.analysis.total:,}, "
            f"trainable {subject.analysis.trainable:,}, "
            f"non-trainable {subject.analysis.non_trainable:,}"
        ),
    )
    if criterion.holds(subject.analysis):
        return Finding("pass", f"{found}, {wanted}", evidence=evidence)
    over = counted - criterion.limit
    message = f"{found}, not {wanted}" + (f": {over:,} too many" if over else "")
    return Finding("fail", message, _advice(criterion, subject), (*evidence, *_hot_spots(criterion, subject)))


def _hot_spots(criterion: ParameterLimit, subject: Subject) -> list[r.Evidence]:
    counted = criterion.counted(subject.analysis) or 1
    return [
        r.Evidence(text=f"{x.layer.name} holds {n:,} parameters ({n / counted:.0%})", layer=x.layer.name)
        for x, n in criterion.heaviest(subject.analysis)
    ]


def _advice(criterion: ParameterLimit, subject: Subject) -> str:
    """Say where the parameters are, and the smallest change found that keeps the limit."""
    heaviest = criterion.heaviest(subject.analysis)
    if not heaviest:
        return ""
    shape, n = heaviest[0]
    held = f"{shape.layer.name} holds {n:,} of {criterion.counted(subject.analysis):,} parameters"
    ways = (
        _pooled(criterion, subject),
        _one_narrower(criterion, subject, 4),
        _all_narrower(criterion, subject),
    )
    found = next(filter(None, ways), "") or _one_narrower(criterion, subject, LARGEST)
    return f"{held}; with {found}." if found else f"{held}."


def _pooled(criterion: ParameterLimit, subject: Subject) -> str:
    """Suggest pooling where a Dense layer on a flattened map holds the most parameters."""
    shape, _ = criterion.heaviest(subject.analysis)[0]
    layers = {x.name: x for x in subject.network.layers}
    before = layers[shape.layer.inbound[0]]
    if not isinstance(shape.layer, r.Dense) or not isinstance(before, r.Flatten):
        return ""
    pooling = r.GlobalAveragePooling2D(name=before.name, inbound=before.inbound)
    analysis = advice.changed(subject, lambda x: pooling if x.name == before.name else x)
    if analysis is None or not criterion.holds(analysis):
        return ""
    return f"GlobalAveragePooling2D instead of {before.name} the network has {criterion.counted(analysis):,}"


def _one_narrower(criterion: ParameterLimit, subject: Subject, most: int) -> str:
    """Suggest a smaller width for one of the heaviest layers, at least its width divided by ``most``."""
    for shape, _ in criterion.heaviest(subject.analysis):
        width = advice.width_of(shape.layer)
        fits = _largest(criterion, width[1], _narrowed(subject, shape.layer)) if width else None
        if width and fits and fits[0] * most >= width[1]:
            where = f"{width[1]} {width[0]} in {shape.layer.name}"
            return f"{fits[0]} instead of {where} the network has {fits[1]:,}"
    return ""


def _all_narrower(criterion: ParameterLimit, subject: Subject) -> str:
    fits = _largest(criterion, 100, lambda percent: advice.scaled(subject, percent))
    return f"{fits[0]}% of the width of every hidden layer the network has {fits[1]:,}" if fits else ""


def _narrowed(subject: Subject, layer: r.Layer) -> Callable[[int], Analysis | None]:
    return lambda width: advice.with_width(subject, layer, width)


def _largest(
    criterion: ParameterLimit, width: int, at: Callable[[int], Analysis | None]
) -> tuple[int, int] | None:
    """Return the largest width below ``width`` that keeps the limit, and the count that it gives.

    Parameters grow with the width, so bisection finds it.
    """
    low, high, count = 0, width, 0
    while high - low > 1:
        middle = (low + high) // 2
        analysis = at(middle)
        if analysis is not None and criterion.holds(analysis):
            low, count = middle, criterion.counted(analysis) or 0
        else:
            high = middle
    return (low, count) if low else None
