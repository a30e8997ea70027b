"""Finds the claims of a submission that are about the graded model.

A cell's outputs are about the model that was last built, or last fitted, in that cell or before it. So
another model's summary or log never contradicts this one; a claim that belongs to no model may belong to any.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

from grader.records import Claims, DescribedModel, SavedLog


class _Placed(Protocol):
    @property
    def cell(self) -> int: ...


Item = TypeVar("Item", bound=_Placed)
Event = tuple[int, bool]  # a cell, and whether it is about the graded model


def of(claims: Claims, models: Iterable[DescribedModel], graded: DescribedModel) -> Claims:
    """Return the claims about ``graded``, one of ``models``."""
    built: list[Event] = []
    fitted: list[Event] = []
    for model in models:
        fits = [(fit.cell, model == graded) for fit in model.training if fit.cell is not None]
        fitted += fits
        built += [(model.cell, model == graded)] if model.cell is not None else []
        built += fits
    return Claims(
        summaries=_owned(claims.summaries, built),
        logs=_logs(claims.logs, fitted, graded),
        scores=_owned(claims.scores, fitted),
    )


def _owned(items: Sequence[Item], events: list[Event]) -> tuple[Item, ...]:
    """Return items behind an event of the graded model; those before any event, where there are none."""
    owners = [_owner(item.cell, events) for item in items]
    own = [item for item, owner in zip(items, owners, strict=True) if owner is True]
    return tuple(own or [item for item, owner in zip(items, owners, strict=True) if owner is None])


def _owner(cell: int, events: list[Event]) -> bool | None:
    """Whether an output of ``cell`` is about the graded model; None before all events.

    Where several models come from one cell, its outputs may be about any of them.
    """
    last = max((at for at, _ in events if at <= cell), default=None)
    return None if last is None else any(graded for at, graded in events if at == last)


def _logs(logs: Sequence[SavedLog], fits: list[Event], graded: DescribedModel) -> tuple[SavedLog, ...]:
    """Return the logs of the cells in which the model was fitted: the last ones, one for each fit."""
    count = Counter(fit.cell for fit in graded.training)
    own: list[SavedLog] = []
    for cell, number in count.items():
        own += [log for log in logs if log.cell == cell][-number:]
    return tuple(own) or _owned(logs, fits)
