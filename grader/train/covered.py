"""The refusal of an engine that does not train a network or a recipe."""

from __future__ import annotations

from grader import records as r

# Fields of a recipe that the trainer handles for every engine, and notes about the submission.
_SHARED = {
    "batch_size", "epochs", "steps_per_epoch", "shuffle", "rows", "held_out", "learning_rates", "rates_per",
    "callbacks", "keeps", "continues", "trained_on", "validated_on", "cell", "unsupported",
}  # fmt: skip


class NotCovered(Exception):
    """This engine does not train such a network or recipe; the message says why."""


def refuse_unknown(record: r.Record, handled: set[str], owner: str) -> None:
    """Raise `NotCovered` for a field that is set and not in ``handled``, also one added to records later."""
    for name, info in type(record).model_fields.items():
        if name not in handled and getattr(record, name) != info.get_default(call_default_factory=True):
            raise NotCovered(f"{owner} with {name}")


def refuse_other_settings(recipe: r.TrainingRecipe, handled: set[str]) -> None:
    """Raise `NotCovered` for a setting that neither this engine ``handled`` nor the trainer does."""
    refuse_unknown(recipe, _SHARED | handled, "a recipe")
