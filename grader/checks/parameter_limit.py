"""At most, or fewer than, so many parameters: total or trainable."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from grader import records as r
from grader.checks.interface import BaseCriterion, Finding, Subject, unseen
from grader.errors import StudentError
from grader.shapes import Analysis, analyse


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
    return Finding("fail", message, _advice(criterion, subject), (*evidence, *_hot_spots(subject, counted)))


def _hot_spots(subject: Subject, total: int) -> list[r.Evidence]:
    """The three layers that hold the most."""
    ranked = sorted(subject.analysis.layers, key=lambda x: x.parameters or 0, reverse=True)
    return [
        r.Evidence(
            text=f"{x.layer.name} holds {x.parameters:,} parameters "
            f"({(x.parameters or 0) / max(total, 1):.0%})",
            layer=x.layer.name,
        )
        for x in ranked[:3]
        if x.parameters
    ]


def _advice(criterion: ParameterLimit, subject: Subject) -> str:
    """What would fit: fewer filters or units in the layer that holds the most parameters."""
    counted = criterion.counted(subject.analysis) or 1
    shares = sorted(subject.analysis.layers, key=lambda x: x.parameters or 0, reverse=True)
    for shape in shares:
        layer = shape.layer
        name = "units" if isinstance(layer, r.Dense) else "filters"
        width = getattr(layer, name, None)
        if width is None or not shape.parameters or layer.name in subject.network.outputs:
            continue
        share = f"{layer.name} holds {shape.parameters / counted:.0%} of the parameters"
        fits = _largest_fit(criterion, subject.network, layer, name, width)
        return f"{share}; {fits} {name} instead of {width} there would fit." if fits else f"{share}."
    return ""


def _largest_fit(
    criterion: ParameterLimit, network: r.ModelDescription, layer: r.Layer, name: str, width: int
) -> int | None:
    """Parameters grow with the width, so the largest width that fits is found by bisection."""
    low, high = 0, width
    while high - low > 1:
        middle = (low + high) // 2
        if _fits(criterion, network, layer, name, middle):
            low = middle
        else:
            high = middle
    return low or None


def _fits(
    criterion: ParameterLimit, network: r.ModelDescription, layer: r.Layer, name: str, width: int
) -> bool:
    layers = tuple(x.model_copy(update={name: width}) if x is layer else x for x in network.layers)
    try:
        return criterion.holds(analyse(network.model_copy(update={"layers": layers})))
    except StudentError:
        return False
