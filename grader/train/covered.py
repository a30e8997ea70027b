"""What this engine says when it does not train a network or a recipe."""

from __future__ import annotations

from grader import records as r

# Of a recipe, what the trainer sees to for every engine, and what is noted about the submission.
_SHARED = {
    "batch_size", "epochs", "steps_per_epoch", "shuffle", "rows", "held_out", "learning_rates", "rates_per",
    "callbacks", "keeps", "continues", "trained_on", "validated_on", "cell", "unsupported",
}  # fmt: skip


class NotCovered(Exception):
    """This engine does not train such a network or recipe; the message says why."""


def refuse_unknown(record: r.Record, handled: set[str], owner: str) -> None:
    """Raise `NotCovered` for a field that is set and not in ``handled``: also one that records get later."""
    for name, info in type(record).model_fields.items():
        if name not in handled and getattr(record, name) != info.get_default(call_default_factory=True):
            raise NotCovered(f"{owner} with {name}")


def refuse_other_settings(recipe: r.TrainingRecipe, handled: set[str]) -> None:
    """Raise `NotCovered` for what neither this engine ``handled`` nor the trainer, which does so for all."""
    refuse_unknown(recipe, _SHARED | handled, "a recipe")
