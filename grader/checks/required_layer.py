"""At least so many layers of a type, with given properties."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from grader import records as r
from grader.checks import advice
from grader.checks.interface import (
    BaseCriterion,
    Finding,
    Selector,
    Subject,
    known_properties,
    known_types,
    named,
    unseen,
)


class RequiredLayer(BaseCriterion):
    """``layer`` is one type or several that count alike; ``properties`` as the records name them."""

    kind: Literal["required_layer"] = "required_layer"
    layer: str | tuple[str, ...]
    properties: dict[str, Any] = Field(default_factory=dict)
    at_least: Annotated[int, Field(ge=1)] = 1

    @model_validator(mode="after")
    def _known(self) -> RequiredLayer:
        known_properties(known_types(self.types), self.properties)
        return self

    @property
    def types(self) -> tuple[str, ...]:
        return (self.layer,) if isinstance(self.layer, str) else self.layer


def check(criterion: RequiredLayer, subject: Subject) -> Finding:
    selector = Selector(criterion.types, criterion.properties)
    found = tuple(selector.select(subject.network))
    evidence = tuple(r.Evidence(text=x.name, layer=x.name) for x in found[:20])
    if len(found) >= criterion.at_least:
        return Finding("pass", f"{len(found)} × {selector}: {named(found)}", evidence=evidence)
    if subject.network.unsupported:
        return Finding("unknown", f"{len(found)} × {selector} found, but {unseen(subject)}")
    few = f"only {len(found)} × {selector}" if found else f"no {selector}"
    return Finding(
        "fail",
        f"{few}; {criterion.at_least} required",
        _hint(criterion, subject, bool(found)),
        evidence,
    )


def _hint(criterion: RequiredLayer, subject: Subject, some: bool) -> str:
    selector = Selector(criterion.types, criterion.properties)
    hint = f"Add more {selector} layers." if some else f"Add a {selector} layer."
    where = advice.missing_normalization(subject) if criterion.types == ("BatchNormalization",) else ()
    return " ".join([hint, *where])
