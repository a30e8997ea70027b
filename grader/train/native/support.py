"""Decides whether this engine trains a job as Keras would; otherwise gives the reason.

A setting that is not known here, and is not at its default, is refused: so are settings that records get
later.
"""

from __future__ import annotations

from grader import records as r
from grader.train.covered import NotCovered, refuse_other_settings, refuse_unknown
from grader.train.native import optimizers
from grader.train.native.network import planned

_LOSSES = ("categorical_crossentropy", "sparse_categorical_crossentropy")
_JOB = {"network", "training", "dataset", "seed", "beside", "max_epochs", "stop_at", "engine",
        "symmetry"}  # images and labels arrive with the symmetry applied  # fmt: skip


def obstacle(job: r.TrainJob) -> str:
    """Return the reason why Keras must train this job; empty if the engine covers it."""
    try:
        refuse_unknown(job, _JOB, "a job")
        refuse_unknown(job.network, {"inputs", "layers", "outputs"}, "a network")
        for recipe in job.training:
            _check(recipe, job.network)
    except NotCovered as reason:
        return str(reason)
    return ""


def _check(recipe: r.TrainingRecipe, network: r.ModelDescription) -> None:
    refuse_other_settings(recipe, {"optimizer", "loss", "scaling"})
    refuse_unknown(recipe.scaling, {"scale", "offset"}, "a scaling")
    refuse_unknown(recipe.loss, {"name", "from_logits", "label_smoothing"}, "a loss")
    if recipe.loss.name not in _LOSSES:
        raise NotCovered(f"the loss {recipe.loss.name}")
    optimizers.check(recipe.optimizer)
    planned(network, recipe)
