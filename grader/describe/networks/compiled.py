"""How a saved model was compiled: optimizer, loss and learning rate as data.

A saved file keeps the learning rate of its last step. Schedules lower it, so a rate below the
optimizer's own default does not show how training began: then there is no recipe.
"""

from __future__ import annotations

from typing import Any, get_args

from grader import records as r
from grader.describe.world import legacy

Config = dict[str, Any]

_OPTIMIZERS: dict[str, Any] = {
    cls.__name__: cls for cls in (r.SGD, r.Adam, r.Adamax, r.Nadam, r.RMSprop, r.Adagrad, r.Adadelta)
}
# The lowest default of all Keras versions.
_LOWEST = {"SGD": 0.01, "Adagrad": 0.001, "Adadelta": 0.001}
_LOSSES = set(get_args(r.Loss.model_fields["name"].annotation))


class _NoRecipe(Exception):
    """Raised where no recipe follows from the configuration; the message says why."""


def recipe(compiled: Any) -> tuple[r.TrainingRecipe | None, str]:
    """Return the recipe of a `compile_config` (Keras 3) or `training_config` (before), and a note about it.

    Epochs and batch size mean nothing: no file keeps them. No recipe where the records cannot hold it, or
    where a schedule may have changed the learning rate.
    """
    if not isinstance(compiled, dict):
        return None, "a saved model is retrained with the rubric's recipe"
    try:
        return _recipe(compiled)
    except _NoRecipe as reason:
        return None, f"a saved model is retrained with the rubric's recipe: {reason}"[:500]
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        return None, "a saved model is retrained with the rubric's recipe: its own cannot be read"


def _recipe(compiled: Config) -> tuple[r.TrainingRecipe | None, str]:
    optimizer, rate = _optimizer(compiled.get("optimizer") or compiled.get("optimizer_config"))
    loss = _loss(compiled.get("loss"))
    words = f"{optimizer.type}, learning rate {rate:g}, {loss.name}"
    if rate < _LOWEST.get(optimizer.type, 0.001):
        raise _NoRecipe(f"it was saved with {words}, and a schedule may have lowered the rate")
    made = r.TrainingRecipe(optimizer=optimizer, loss=loss, epochs=1, learning_rates=(rate,))
    return made, f"the saved model was compiled with {words}"


def _optimizer(value: Any) -> tuple[r.Optimizer, float]:
    if isinstance(value, str):
        value = {"class_name": value, "config": {}}
    config = dict(value["config"])
    name = _class_name(str(value["class_name"]))
    rate = config.pop("lr", None) if "lr" in config else config.get("learning_rate")
    if name not in _OPTIMIZERS:
        raise _NoRecipe(f"grader has no record for its optimizer {name[:60]!r}")
    if not isinstance(rate, int | float):
        raise _NoRecipe("its learning rate follows a schedule")
    if config.get("decay"):
        raise _NoRecipe(f"its optimizer {name} has a decay of {config['decay']:g}")
    if "lr" in value["config"]:  # standalone Keras, which has another epsilon and other clipping
        config = legacy.modern_optimizer(name, (), config)
    config["epsilon"] = 1e-7 if config.get("epsilon") is None else config["epsilon"]
    record = _OPTIMIZERS[name]
    given = {k: v for k, v in config.items() if k in record.model_fields and v is not None}
    return record(**given), _shortest(rate)


def _class_name(name: str) -> str:
    """Return Keras 3's class for `Custom>Adam` of tf.keras, AdamW, or the small letters of Keras 1."""
    name = name.rpartition(">")[2]
    return {k.lower(): k for k in (*_OPTIMIZERS,)}.get(name.lower(), "Adam" if name == "AdamW" else name)


def _shortest(rate: float) -> float:
    """Return 0.003 for the float32 0.003000000026077032."""
    return float(f"{rate:.7g}")


def _loss(value: Any) -> r.Loss:
    settings: Config = {}
    if isinstance(value, dict):
        settings = value["config"] if isinstance(value.get("config"), dict) else {}
        named = value.get("config") if value.get("class_name") == "function" else value.get("class_name")
        value = named if isinstance(named, str) else None
    name = _snake(value) if isinstance(value, str) else ""
    if name not in _LOSSES:
        raise _NoRecipe(f"grader has no record for its loss {str(value)[:60]!r}")
    if settings.get("reduction") not in (None, "auto", "sum_over_batch_size"):
        raise _NoRecipe(f"its loss is reduced by {str(settings['reduction'])[:40]!r}")
    return r.Loss(
        name=name,
        from_logits=bool(settings.get("from_logits", False)),
        label_smoothing=float(settings.get("label_smoothing", 0.0)),
    )


def _snake(name: str) -> str:
    if name.islower():
        return {"mse": "mean_squared_error", "mae": "mean_absolute_error"}.get(name, name)
    words = "".join("_" + c.lower() if c.isupper() else c for c in name).lstrip("_")
    return words.replace("k_l_", "kl_")
