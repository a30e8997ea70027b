"""Callbacks -> records: those of Keras that react to measurements, and the student's own, by trying them.

A callback of the student's own is played through without training, as far as that shows what it does.
"""

from __future__ import annotations

import dis
import math
from collections.abc import Iterator
from typing import Any

import keras

from grader import records as r
from grader.errors import StudentsCode

# Keras's own classes, taken before any code of a submission runs: no class of a submission's is among them,
# whatever its name.
KERAS = frozenset(value for value in vars(keras.callbacks).values() if isinstance(value, type))
CHECKPOINT, SCHEDULER = keras.callbacks.ModelCheckpoint, keras.callbacks.LearningRateScheduler
PLATEAU, STOPPING = keras.callbacks.ReduceLROnPlateau, keras.callbacks.EarlyStopping
_LAMBDA = keras.callbacks.LambdaCallback
REACTING = {STOPPING: r.EarlyStopping, PLATEAU: r.ReduceLROnPlateau}
_INERT = {
    CHECKPOINT, SCHEDULER, keras.callbacks.History, keras.callbacks.ProgbarLogger,
    keras.callbacks.TensorBoard, keras.callbacks.CSVLogger, keras.callbacks.RemoteMonitor,
    keras.callbacks.TerminateOnNaN, keras.callbacks.BackupAndRestore,
}  # fmt: skip
_MONITORS = {
    "acc": "accuracy",
    "val_acc": "val_accuracy",
    "categorical_accuracy": "accuracy",
    "val_categorical_accuracy": "val_accuracy",
    "sparse_categorical_accuracy": "accuracy",
    "val_sparse_categorical_accuracy": "val_accuracy",
}
LOG_NAMES = ("loss", "acc", "accuracy", "val_loss", "val_acc", "val_accuracy")


def custom(callbacks: list[Any]) -> list[Any]:
    """Return the callbacks of the student's own, which may do anything; a LambdaCallback is one, too."""
    return [c for c in callbacks if type(c) not in KERAS or type(c) is _LAMBDA]


def is_checkpoint(callback: Any) -> bool:
    """Whether a callback is a ModelCheckpoint, or of a derived class whose constructor called Keras's."""
    return isinstance(callback, CHECKPOINT) and hasattr(callback, "grader_path")


def acts_within_epochs(callback: Any) -> bool:
    """Whether a callback is the student's own and has something to do at each batch."""
    hooks = ("on_batch_begin", "on_batch_end", "on_train_batch_begin", "on_train_batch_end")
    base = keras.callbacks.Callback
    return bool(custom([callback])) and any(  # a LambdaCallback has its hooks itself
        hook in vars(callback) or getattr(type(callback), hook, None) is not getattr(base, hook)
        for hook in hooks
    )


def sets_rates_by_schedule(callback: Any) -> bool:
    """Whether a callback is Keras's LearningRateScheduler, or starts epochs as that class does."""
    return isinstance(callback, SCHEDULER) and type(callback).on_epoch_begin is SCHEDULER.on_epoch_begin


def records(fit: Any) -> Iterator[r.Callback]:
    """Yield a record for each callback that changes training; refuse those that may and have no record."""
    scheduled = any(isinstance(c, SCHEDULER) for c in fit.callbacks)
    if scheduled and any(type(c) is PLATEAU for c in fit.callbacks):
        fit.unsupported.add("plateau", "a learning-rate schedule")
    for callback in fit.callbacks:
        name, record = type(callback).__name__, REACTING.get(type(callback))
        if record is not None:
            yield from _reacting(fit, callback, record)
        elif custom([callback]) and (id(callback) in fit.reacting or not acts_on_rate_only(callback)):
            if (stop := _stops_at(callback, fit)) is not None:
                yield stop
            else:
                fit.unsupported.add("own_callback", name)
        elif not custom([callback]) and type(callback) not in _INERT:
            fit.unsupported.add("callback", name)


# --- Keras's own --------------------------------------------------------------------------------


def _reacting(fit: Any, callback: Any, record: Any) -> Iterator[r.Callback]:
    """Yield the record of an EarlyStopping or ReduceLROnPlateau; Keras skips it without its quantity."""
    settings = {k: v for k, v in vars(callback).items() if k in record.model_fields and v is not None}
    settings["monitor"] = _MONITORS.get(callback.monitor, callback.monitor)
    # Keras negates min_delta for quantities that fall.
    settings["min_delta"] = abs(float(callback.min_delta))
    if str(settings["monitor"]).startswith("val_") and fit.validation.split == "none":
        return
    if "accuracy" in str(settings["monitor"]) and not fit.measures_accuracy:
        fit.note(
            f"{type(callback).__name__} has no effect: {callback.monitor!r} is not measured, without metrics"
        )
        return
    if str(settings["monitor"]).startswith("val_") and fit.odd_validation:
        fit.unsupported.add("odd_validation", type(callback).__name__, fit.odd_validation)
    named = f"{type(callback).__name__} on {callback.monitor!r}"
    made = fit.recorded(named, lambda _: record(**settings), "callback_setting")
    if made is None:
        return
    if getattr(callback, "restore_best_weights", False):
        fit.keeps = kept(callback)
    yield made


def kept(callback: Any) -> r.Kept | None:
    """Return the best epoch by what a callback monitors; None for a quantity that grader does not measure."""
    monitor = _MONITORS.get(callback.monitor, callback.monitor)
    if monitor not in ("loss", "accuracy", "val_loss", "val_accuracy"):
        return None
    mode = getattr(callback, "mode", "auto")
    if mode not in ("min", "max"):
        mode = "max" if "acc" in monitor else "min"
    return r.Kept(monitor=monitor, mode=mode)


# --- the student's own --------------------------------------------------------------------------

# What changes more than the rate: attributes that are set, and functions that are named.
_SET = {"stop_training", "trainable", "weights"}
_CALLED = {"set_weights", "load_weights", "setattr"}
_BLIND = ("on_epoch_end", "on_train_end", "on_test_end", "on_batch_end", "on_train_batch_end")


def acts_on_rate_only(callback: Any) -> bool:
    """Whether a callback of the student's own has no effect but on the sampled learning rates.

    The hooks are played through without training: rates that do not depend on measurements are known from
    that (`grader.describe.keras.courses` finds out). A hook at the end of an epoch, a batch or a test sees
    measured values: it may not touch the model.
    """
    return not any(_effects(getattr(callback, hook, None)) for hook in _BLIND)


def _effects(function: Any) -> set[str]:
    """Return the names by which a function may change a model or its training."""
    codes = [c for c in [getattr(function, "__code__", None)] if c is not None]
    found: set[str] = set()
    while codes:
        code = codes.pop()
        found |= {i.argval for i in dis.get_instructions(code) if i.opname == "STORE_ATTR"} & _SET
        found |= (set(code.co_names) | {c for c in code.co_consts if isinstance(c, str)}) & _CALLED
        codes += [c for c in code.co_consts if hasattr(c, "co_names")]
    return found


def _stops_at(callback: Any, fit: Any) -> r.StopAt | None:
    """Return the one threshold at which a callback ends training, found by showing it measurements.

    None for a callback that does more than set ``stop_training`` when an epoch ends.
    """
    others = [_effects(getattr(callback, hook, None)) for hook in _BLIND if hook != "on_epoch_end"]
    if any(others) or _effects(getattr(callback, "on_epoch_end", None)) != {"stop_training"}:
        return None
    with StudentsCode():
        found = [
            s for m in ("accuracy", "val_accuracy", "loss", "val_loss") if (s := _probe(callback, m, fit))
        ]
        return found[0] if len(found) == 1 else None
    return None


def _probe(callback: Any, monitor: str, fit: Any) -> r.StopAt | None:
    """Bisect the range of ``monitor``, with all other quantities where no callback would stop."""
    rises = "accuracy" in monitor
    calm, eager = (0.0, 1.0) if rises else (10.0, 0.0)
    if _stops(callback, monitor, calm, fit) or not _stops(callback, monitor, eager, fit):
        return None
    for _ in range(50):
        middle = (calm + eager) / 2
        if _stops(callback, monitor, middle, fit):
            eager = middle
        else:
            calm = middle
    return r.StopAt(monitor=monitor, value=round(eager, 9), side="above" if rises else "below")


def _stops(callback: Any, monitor: str, value: float, fit: Any) -> bool:
    logs = {name: 0.0 if "acc" in name else 10.0 for name in LOG_NAMES}
    names = [k for k, v in _MONITORS.items() if v == monitor]
    logs |= dict.fromkeys((monitor, *names), value)
    callback.set_model(fit.model)
    fit.model.stop_training = False
    callback.on_epoch_end(0, logs)
    stopped = bool(fit.model.stop_training)
    fit.model.stop_training = False
    return stopped


def play(callbacks: list[Any], hook: str, fit: Any, *args: Any) -> None:
    """Call a hook of the student's own callbacks, as training would."""
    for callback in custom(callbacks):
        with StudentsCode() as call:
            if hasattr(callback, "set_model"):
                callback.set_model(fit.model)
                callback.set_params({"epochs": fit.epochs, "steps": fit.steps_per_epoch, "verbose": 0})
            getattr(callback, hook)(*args)
        if call.error is not None:
            fit.unsupported.add("callback_failed", type(callback).__name__, call.said)


NOT_MEASURED = dict.fromkeys(LOG_NAMES, math.nan)
