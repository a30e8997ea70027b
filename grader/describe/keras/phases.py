"""Several fits of one model: the same network all the time, with other layers frozen perhaps."""

from __future__ import annotations

from grader import records as r
from grader.describe.keras.arguments import Tracked
from grader.describe.keras.refusals import Refusals


def compare(tracked: Tracked, before: r.ModelDescription, unsupported: Refusals) -> None:
    """Compare the network with that of the fit before.

    Where other layers are frozen now, every fit names its frozen layers from here on; any other change is
    refused.
    """
    now = tracked.network
    if now is None or before == now:
        return
    if _thawed(before) != _thawed(now):
        unsupported.add("network_changed")
        return
    tracked.training[:] = [
        fit if fit.frozen is not None else fit.model_copy(update={"frozen": frozen(before)})
        for fit in tracked.training
    ]


def within(tracked: Tracked, recipe: r.TrainingRecipe) -> r.TrainingRecipe:
    """Return the recipe of a further fit; it names its frozen layers if the fits before do."""
    if tracked.network is None or not any(fit.frozen is not None for fit in tracked.training):
        return recipe
    return recipe.model_copy(update={"frozen": frozen(tracked.network)})


def frozen(network: r.ModelDescription) -> tuple[str, ...]:
    """Return the names of the layers that do not train."""
    return tuple(layer.name for layer in network.layers if not layer.trainable)


def _thawed(network: r.ModelDescription) -> tuple[r.Layer, ...]:
    return tuple(layer.model_copy(update={"trainable": True}) for layer in network.layers)
