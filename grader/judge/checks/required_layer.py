"""Checks for a number of layers of a type, with given properties, that have an effect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from grader import records as r
from grader.judge.checks import advice, effect
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


class RequiredLayer(BaseCriterion):
    """``layer`` is one type or several that count alike; ``properties`` are named as in the records.

    A layer without effect on the class scores (`grader.judge.checks.effect`) does not count.
    """

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
        """``layer`` as a tuple."""
        return (self.layer,) if isinstance(self.layer, str) else self.layer


def check(criterion: RequiredLayer, subject: Subject) -> Finding:
    """Count the layers with an effect; unknown where an unsupported layer might be a missing one."""
    selector = Selector(criterion.types, criterion.properties)
    idle = effect.idle(subject.network, subject.analysis, subject.runs)
    there = tuple(selector.select(subject.network))
    found = tuple(layer for layer in there if layer.name not in idle)
    without = tuple(layer for layer in there if layer.name in idle)
    evidence = tuple(r.Evidence(text=_with_reason(x, idle), layer=x.name) for x in (*found, *without)[:20])
    if len(found) >= criterion.at_least:
        return Finding("pass", f"{len(found)} × {selector}: {named(found)}", evidence=evidence)
    if subject.network.unsupported:
        return Finding("unknown", f"{len(found)} × {selector} found, but {unseen(subject)}")
    few = f"only {len(found)} × {selector}" if found else f"no {selector}"
    few += " that has an effect" if without else ""
    nothing = "".join(f"; {_with_reason(layer, idle)}" for layer in without[:3])
    return Finding(
        "fail",
        f"{few}; {criterion.at_least} required{nothing}",
        _hint(criterion, subject, bool(found), without),
        evidence,
    )


def _with_reason(layer: r.Layer, idle: Mapping[str, str]) -> str:
    return f"{layer.name} does nothing: {idle[layer.name]}" if layer.name in idle else layer.name


def _hint(criterion: RequiredLayer, subject: Subject, some: bool, without: tuple[r.Layer, ...]) -> str:
    if without:
        return f"Let {named(without)} change what the network computes."
    selector = Selector(criterion.types, criterion.properties)
    hint = f"Add more {selector} layers." if some else f"Add a {selector} layer."
    where = advice.missing_normalization(subject) if criterion.types == ("BatchNormalization",) else ()
    return " ".join([hint, *where])
