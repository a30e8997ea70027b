"""What `grader describe` prints: every model of a submission, as JSON or as tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tabulate import tabulate

from grader.errors import StudentError
from grader.layers import shapes
from grader.records import DescribedModel, Description, TrainingRecipe
from grader.report.interface import Screen, inert, line


def as_dict(description: Description, graded: Sequence[DescribedModel]) -> dict[str, Any]:
    """The documented JSON: ``models`` with parameters, layers and recipe, and ``notes``."""
    notes = [{"message": n.message, "cell": n.cell} for n in description.notes]
    notes += [{"message": f"failed: {f.error}", "cell": f.cell} for f in description.failures]
    models = []
    for model in description.models:
        shown, problem = _model(model)
        models.append(shown | {"graded": any(model is chosen for chosen in graded)})
        notes += [{"message": problem, "cell": None}] if problem else []
    return {"models": models, "notes": notes}


def _model(model: DescribedModel) -> tuple[dict[str, Any], str]:
    try:
        analysis, problem = shapes.analyse(model.network), ""
    except StudentError as error:
        analysis, problem = shapes.Analysis(()), f"model {model.name!r}: {error.message}"
    computed = {x.layer.name: x for x in analysis.layers}
    layers = []
    for layer in model.network.layers:
        shape = computed.get(layer.name)
        layers.append(layer.model_dump(mode="json") | {
            "output_shape": shape.output if shape else None,
            "parameters": shape.parameters if shape else None,
            "receptive_field": shape.field.rounded() if shape and shape.field else None,
        })  # fmt: skip
    known = bool(analysis.layers)
    return {
        "name": model.name,
        "parameters": {
            "total": analysis.total if known else None,
            "trainable": analysis.trainable if known else None,
            "non_trainable": analysis.non_trainable if known else None,
        },
        "layers": layers,
        "recipe": _recipe(model.training) if model.training else None,
    }, problem


def _recipe(fits: Sequence[TrainingRecipe]) -> dict[str, Any]:
    """The recipe; of several fits, the first with all epochs and rates, and each one in ``fits``."""
    whole = fits[0].model_dump(mode="json")
    if len(fits) > 1:
        whole["epochs"] = sum(fit.epochs for fit in fits)
        whole["learning_rates"] = [rate for fit in fits for rate in fit.learning_rates]
        whole["fits"] = [fit.model_dump(mode="json") for fit in fits]
    return whole


def as_text(shown: dict[str, Any], screen: Screen) -> str:
    """Return the same as tables, one for each model."""
    parts = [_table(model) for model in shown["models"]]
    notes = [
        f"  {'cell ' + str(n['cell']) + ': ' if n['cell'] else ''}{line(n['message'], 2_000)}"
        for n in shown["notes"]
    ]
    return inert("\n\n".join([*parts, "\n".join(["Notes:", *notes])] if notes else parts))


def _table(model: dict[str, Any]) -> str:
    rows = [
        (line(x["name"]), line(x.get("class_name", x["type"])), _shape(x["output_shape"]),
         "?" if x["parameters"] is None else f"{x['parameters']:,}",
         x["receptive_field"][0] if x["receptive_field"] else "?")
        for x in model["layers"]
    ]  # fmt: skip
    counts = model["parameters"]
    total = ", ".join(
        f"{name.replace('_', '-')} {'?' if n is None else format(n, ',')}" for name, n in counts.items()
    )
    graded = " (graded)" if model["graded"] else ""
    table = tabulate(
        rows,
        headers=("layer", "type", "output shape", "parameters", "receptive field"),
        tablefmt="simple",
        colalign=("left", "left", "left", "right", "right"),
        disable_numparse=True,
    )
    recipe = model["recipe"]
    trained = (
        f"{line(recipe['optimizer']['type'])}, {line(recipe['loss']['name'])}, "
        f"batch size {recipe['batch_size']}, {recipe['epochs']} epochs, "
        f"learning rate {recipe['learning_rates'][0]:g} to {recipe['learning_rates'][-1]:g}"
        if recipe else "no fit"
    )  # fmt: skip
    return f"{line(model['name'])}{graded}: {total}\n{table}\n{trained}"


def _shape(shape: Sequence[int] | None) -> str:
    return "?" if shape is None else " × ".join(str(n) for n in shape)
