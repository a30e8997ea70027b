"""A job under its symmetry: classes renumbered, images transposed."""

from __future__ import annotations

from typing import Any

import numpy as np

from grader import records as r


def applied(job: r.TrainJob, arrays: dict[str, Any]) -> tuple[r.TrainJob, dict[str, Any]]:
    """Return the job and its arrays under its symmetry.

    Arrays are images ``x_*`` (n, rows, columns, channels) and class numbers ``y_*`` (n,).
    """
    numbers, changed = job.symmetry.classes, dict(arrays)
    for split in ("train", "test"):
        if numbers:
            changed[f"y_{split}"] = np.asarray(numbers)[arrays[f"y_{split}"]].astype(
                arrays[f"y_{split}"].dtype
            )
        if job.symmetry.transposed:
            changed[f"x_{split}"] = np.ascontiguousarray(arrays[f"x_{split}"].swapaxes(1, 2))
    fits = tuple(_renumbered(fit, numbers) for fit in job.training)
    return job.model_copy(update={"training": fits}), changed


def _renumbered(fit: r.TrainingRecipe, numbers: tuple[int, ...]) -> r.TrainingRecipe:
    """Give each class weight to the class's new number; classes without a weight count 1."""
    if not numbers or not fit.class_weights:
        return fit
    weights = [1.0] * max(len(numbers), len(fit.class_weights))
    for old, weight in enumerate(fit.class_weights):
        weights[numbers[old] if old < len(numbers) else old] = weight
    return fit.model_copy(update={"class_weights": tuple(weights)})
