"""What this engine says when it does not train a network or a recipe."""

from __future__ import annotations

from grader import records as r


class NotCovered(Exception):
    """This engine does not train such a network or recipe; the message says why."""


def refuse_unknown(record: r.Record, handled: set[str], owner: str) -> None:
    """Raise for a field that is set and not in ``handled``: also one that records will have later."""
    for name, info in type(record).model_fields.items():
        if name not in handled and getattr(record, name) != info.get_default(call_default_factory=True):
            raise NotCovered(f"{owner} with {name}")
