"""What every kind of criterion has in common, and what a check may look at.

A check is a function from its own settings and a `Subject` to a `Finding`. A check is pure: no files, no
clock, no TensorFlow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from grader import records as r
from grader.layers.shapes import Analysis

Result = Literal["pass", "fail", "borderline", "unknown", "manual"]


class BaseCriterion(r.Record):
    """Settings that every criterion has.

    ``needs`` lists criteria that must have passed; else this one is not reached. A submission passes only if
    every ``required`` criterion does. A ``hidden`` criterion counts like any other and is left out of all
    that a student gets to see.
    """

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]
    title: str = ""
    points: Annotated[float, Field(ge=0)] = 0
    required: bool = True
    needs: tuple[str, ...] = ()
    hidden: bool = False

    @property
    def label(self) -> str:
        """The title for reports; without one, the id in words."""
        return self.title or self.id.replace("_", " ")


@dataclass(frozen=True)
class Subject:
    """One submission's model as the checks see it. Every value is recomputed; none is a claim."""

    network: r.ModelDescription
    analysis: Analysis
    recipe: tuple[r.TrainingRecipe, ...]
    own_recipe: bool
    cells: tuple[r.Cell, ...]
    policy: r.TrainingPolicy
    images: int = 60_000  # of the training split
    runs: tuple[r.TrainingRun, ...] = ()
    obstacle: str = ""  # why there was no retraining, if there was none


@dataclass(frozen=True)
class Finding:
    """The result of a check. ``unknown`` means that a person must look, ``manual`` that a person should.

    A borderline result earns ``fraction`` of the points.
    """

    result: Result
    message: str
    hint: str = ""
    evidence: tuple[r.Evidence, ...] = ()
    fraction: float = 0.0


Check = Callable[[Any, Subject], Finding]


@dataclass(frozen=True)
class Selector:
    """Selects layers of some types, with some properties, e.g. Conv2D with kernel_size (1, 1)."""

    types: tuple[str, ...]
    properties: dict[str, Any] = field(default_factory=dict)

    def select(self, network: r.ModelDescription) -> Iterator[r.Layer]:
        """Yield the layers of ``network`` that fit, in the network's order."""
        for layer in network.layers:
            if layer.type in self.types and all(
                _equal(getattr(layer, name, None), wanted) for name, wanted in self.properties.items()
            ):
                yield layer

    def __str__(self) -> str:
        words = " or ".join(self.types)
        settings = [f"{name} {_shown(value)}" for name, value in self.properties.items()]
        return words + (f" with {', '.join(settings)}" if settings else "")


def _equal(found: Any, wanted: Any) -> bool:
    if isinstance(found, tuple) and isinstance(wanted, list | tuple):
        return len(found) == len(wanted) and all(map(_equal, found, wanted))
    return bool(found == wanted)


def _shown(value: Any) -> str:
    return "×".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


LAYER_TYPES: dict[str, type[r.BaseLayer]] = {}
for _cls in r.Layer.__origin__.__args__:  # type: ignore[attr-defined]
    for _name in _cls.model_fields["type"].annotation.__args__:
        LAYER_TYPES[_name] = _cls


def known_types(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return ``names``.

    Raises `ValueError` for a layer type that no record has, and lists those that exist.
    """
    for name in names:
        if name not in LAYER_TYPES:
            raise ValueError(f"{name!r} is no layer type; allowed are {', '.join(sorted(LAYER_TYPES))}")
    return names


def known_properties(types: tuple[str, ...], properties: dict[str, Any]) -> None:
    """Raise `ValueError` for a property that one of the layer types lacks, or a value that it cannot have."""
    for name, value in properties.items():
        for kind in types:
            allowed = set(LAYER_TYPES[kind].model_fields) - {"name", "inbound", "type"}
            if name not in allowed:
                raise ValueError(f"{kind} has no property {name!r}; allowed are {', '.join(sorted(allowed))}")
            _possible(LAYER_TYPES[kind], name, value)


def _possible(kind: type[r.BaseLayer], name: str, value: Any) -> None:
    """Raise `ValueError` for a value that no layer can match, such as `kernel_size = 1`.

    Otherwise the rubric would fail a whole class.
    """
    try:
        field: Any = kind.model_fields[name].annotation
        found = TypeAdapter(field).validate_python(value)
    except ValidationError as error:
        raise ValueError(f"{name} cannot be {value!r}: {error.errors()[0]['msg']}") from None
    if not _equal(found, value):
        raise ValueError(f"{name} cannot be compared with {value!r}")


def named(layers: Sequence[r.BaseLayer], most: int = 3) -> str:
    """Return the layers' names as `a, b and 3 more`."""
    names = [layer.name for layer in layers[:most]]
    more = len(layers) - len(names)
    return ", ".join(names) + (f" and {more} more" if more > 0 else "")


def unseen(subject: Subject) -> str:
    """Return the phrase for a network in which an unsupported layer might hide the answer."""
    names = sorted({layer.class_name for layer in subject.network.unsupported})
    shown = ", ".join(name[:60] for name in names[:5]) + (", …" if len(names) > 5 else "")
    return f"the network has layers grader cannot describe: {shown}"
