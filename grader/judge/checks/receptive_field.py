"""Checks how much of the image one output sees."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from grader import records as r
from grader.judge.checks import advice
from grader.judge.checks.interface import BaseCriterion, Finding, Subject, unseen


class ReceptiveField(BaseCriterion):
    """The output must see ``at_least`` pixels along both axes."""

    kind: Literal["receptive_field"] = "receptive_field"
    at_least: Annotated[int, Field(ge=1)]


def check(criterion: ReceptiveField, subject: Subject) -> Finding:
    """Compare the smaller axis of the output's receptive field with the limit; unknown without a field."""
    field = subject.analysis.of(subject.network.outputs[0]).field
    if field is None:
        return Finding("unknown", f"the receptive field cannot be computed: {unseen(subject)}")
    rows, columns = field.rounded()
    message = f"the output sees {rows}×{columns} pixels; {criterion.at_least} required"
    growth = tuple(
        r.Evidence(text=f"{x.layer.name}: {x.field.rounded()[0]}", layer=x.layer.name)
        for x in subject.analysis.layers
        if x.field
    )
    if min(rows, columns) >= criterion.at_least:
        return Finding("pass", message, evidence=growth[-1:])
    return Finding(
        "fail",
        message,
        _hint(subject),
        growth,
    )


def _hint(subject: Subject) -> str:
    """Suggest one more convolution where it widens the field the most: behind all pooling."""
    found = advice.another_convolution(subject)
    if found is None:
        return "Add a convolution, or pool earlier."
    (rows, columns), name = found[1], found[0]
    return f"Add a convolution, or pool earlier: another 3×3 behind {name} makes it {rows}×{columns} pixels."
