"""The kinds of criteria: one file each, listed in one dict.

A new kind is a module with its settings and a `check`, a line in `CHECKS`, a word in `Criterion`, and a test.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from grader.judge.checks import (
    accuracy_gap,
    explanation,
    forbidden_layer,
    layer_order,
    manual,
    parameter_limit,
    receptive_field,
    required_layer,
    training_limits,
    validation_accuracy,
)
from grader.judge.checks.interface import Check

Criterion = Annotated[
    parameter_limit.ParameterLimit
    | required_layer.RequiredLayer
    | forbidden_layer.ForbiddenLayer
    | layer_order.LayerOrder
    | receptive_field.ReceptiveField
    | training_limits.TrainingLimits
    | accuracy_gap.AccuracyGap
    | validation_accuracy.ValidationAccuracy
    | explanation.Explanation
    | manual.Manual,
    Field(discriminator="kind"),
]

CHECKS: dict[str, Check] = {
    "parameter_limit": parameter_limit.check,
    "required_layer": required_layer.check,
    "forbidden_layer": forbidden_layer.check,
    "layer_order": layer_order.check,
    "receptive_field": receptive_field.check,
    "training_limits": training_limits.check,
    "accuracy_gap": accuracy_gap.check,
    "validation_accuracy": validation_accuracy.check,
    "explanation": explanation.check,
    "manual": manual.check,
}

# The kinds that need a retrained network.
MEASURED = {"validation_accuracy", "accuracy_gap"}
