"""Checks that no layer has one of some types, with given properties."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from grader import records as r
from grader.judge.checks.interface import (
    BaseCriterion,
    Finding,
    Selector,
    Subject,
    known_properties,
    known_types,
    named,
    unseen,
)


class ForbiddenLayer(BaseCriterion):
    """No layer may have one of the types ``layers``, with these ``properties`` where there are any."""

    kind: Literal["forbidden_layer"] = "forbidden_layer"
    layers: tuple[str, ...]
    properties: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _known(self) -> ForbiddenLayer:
        known_properties(known_types(self.layers), self.properties)
        return self


def check(criterion: ForbiddenLayer, subject: Subject) -> Finding:
    """Fail for any layer of these types; unknown where an unsupported layer might be one."""
    selector = Selector(criterion.layers, criterion.properties)
    found = tuple(selector.select(subject.network))
    if found:
        evidence = tuple(r.Evidence(text=f"{x.name} is a {x.type}", layer=x.name) for x in found[:20])
        return Finding(
            "fail", f"{selector} is not allowed: {named(found)}", f"Replace {named(found)}.", evidence
        )
    if subject.network.unsupported:
        return Finding("unknown", f"no {selector} seen, but {unseen(subject)}")
    return Finding("pass", f"no {selector}")
