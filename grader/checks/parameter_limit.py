"""At most, or fewer than, so many parameters: total or trainable."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from grader import records as r
from grader.checks.interface import BaseCriterion, Finding, Subject, unseen
from grader.errors import StudentError
from grader.shapes import Analysis, LayerShape, analyse


class ParameterLimit(BaseCriterion):
    kind: Literal["parameter_limit"] = "parameter_limit"
    limit: Annotated[int, Field(ge=1)]
    count: Literal["total", "trainable"] = "total"
    comparison: Literal["fewer than", "at most"] = "fewer than"

    def holds(self, analysis: Analysis) -> bool:
        n = self.counted(analysis)
        return n is not None and (n < self.limit or (self.comparison == "at most" and n == self.limit))

    def counted(self, analysis: Analysis) -> int | None:
        return analysis.total if self.count == "total" else analysis.trainable

    def heaviest(self, analysis: Analysis) -> list[tuple[LayerShape, int]]:
        """The three layers that hold the most of what is counted, and how much."""
        held = [(x, (x.parameters if self.count == "total" else x.trainable) or 0) for x in analysis.layers]
        return sorted((x for x in held if x[1]), key=lambda x: x[1], reverse=True)[:3]


def check(criterion: ParameterLimit, subject: Subject) -> Finding:
    counted = criterion.counted(subject.analysis)
    if counted is None:
        return Finding("unknown", f"parameters cannot be counted: {unseen(subject)}")
    said = f"{counted:,} {criterion.count} parameters"
    wanted = f"{criterion.comparison} {criterion.limit:,}"
    evidence = (
        r.Evidence(
            text=f"total {subject.analysis.total:,}, "
            f"trainable {subject.analysis.trainable:,}, "
            f"non-trainable {subject.analysis.non_trainable:,}"
        ),
    )
    if criterion.holds(subject.analysis):
        return Finding("pass", f"{said}, {wanted}", evidence=evidence)
    over = counted - criterion.limit
    message = f"{said}, not {wanted}" + (f": {over:,} too many" if over else "")
    return Finding("fail", message, _advice(criterion, subject), (*evidence, *_hot_spots(criterion, subject)))


def _hot_spots(criterion: ParameterLimit, subject: Subject) -> list[r.Evidence]:
    counted = criterion.counted(subject.analysis) or 1
    return [
        r.Evidence(text=f"{x.layer.name} holds {n:,} parameters ({n / counted:.0%})", layer=x.layer.name)
        for x, n in criterion.heaviest(subject.analysis)
    ]


def _advice(criterion: ParameterLimit, subject: Subject) -> str:
    """What would fit: fewer filters or units in one of the layers that hold the most parameters."""
    counted = criterion.counted(subject.analysis) or 1
    shares = []
    for shape, n in criterion.heaviest(subject.analysis):
        layer = shape.layer
        name = "units" if isinstance(layer, r.Dense) else "filters"
        width = getattr(layer, name, None)
        shares.append(f"{layer.name} holds {n / counted:.0%} of the parameters")
        if width and (fits := _largest_fit(criterion, subject, layer, name, width)):
            return f"{shares[-1]}; {fits} {name} instead of {width} there would fit."
    return f"{shares[0]}." if shares else ""


def _largest_fit(
    criterion: ParameterLimit, subject: Subject, layer: r.Layer, name: str, width: int
) -> int | None:
    """Parameters grow with the width, so the largest width that fits is found by bisection."""
    low, high = 0, width
    while high - low > 1:
        middle = (low + high) // 2
        if _fits(criterion, subject, layer, name, middle):
            low = middle
        else:
            high = middle
    return low or None


def _fits(criterion: ParameterLimit, subject: Subject, layer: r.Layer, name: str, width: int) -> bool:
    """Within the limit, and still with one output per class."""
    network = subject.network
    layers = tuple(x.model_copy(update={name: width}) if x is layer else x for x in network.layers)
    try:
        changed = analyse(network.model_copy(update={"layers": layers}))
    except StudentError:
        return False
    same = all(changed.of(x).output == subject.analysis.of(x).output for x in network.outputs)
    return same and criterion.holds(changed)
