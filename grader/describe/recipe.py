"""A compiled model and the arguments of `fit` -> `TrainingRecipe`.

Schedules are the student's own functions: they are called here, once per epoch (or per step),
and only the numbers leave this process.
"""

from __future__ import annotations

import dis
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, get_args

import keras
import numpy as np

from grader import records as r
from grader.describe.recognise import Recognised

MAX_STEPS = r.MAX_SAMPLES
MAX_EPOCHS = 10_000  # no rubric trains longer


@dataclass
class Fit:
    """The arguments of one `fit`, by their modern names."""

    model: Any
    loss: Any
    images: int
    batch_size: int
    epochs: int
    steps_per_epoch: int
    callbacks: list[Any]
    shuffle: bool
    train: Recognised
    validation: r.DataUse
    continues: bool
    cell: int | None
    initial_epoch: int = 0
    unsupported: list[str] = field(default_factory=list)


def recipe(fit: Fit) -> r.TrainingRecipe:
    """Never raises for a setting it cannot say: that is listed in ``unsupported``."""
    rates, per = _sample_rates(fit)
    callbacks = tuple(_callbacks(fit))
    if per == "step" and any(c.type == "ReduceLROnPlateau" for c in callbacks):
        fit.unsupported.append("ReduceLROnPlateau together with a schedule within epochs")
    return r.TrainingRecipe(
        optimizer=_said(fit, "the optimizer", _optimizer) or r.SGD(),
        loss=_said(fit, "the loss", _loss) or r.Loss(),
        batch_size=fit.batch_size,
        epochs=fit.epochs,
        shuffle=fit.shuffle,
        learning_rates=rates,
        rates_per=per,
        callbacks=callbacks,
        scaling=fit.train.scaling or r.InputScaling(),
        trained_on=fit.train.use,
        validated_on=fit.validation,
        continues=fit.continues,
        cell=fit.cell,
        unsupported=tuple(dict.fromkeys(fit.unsupported)),
    )


def _said(fit: Fit, what: str, read: Callable[[Fit], Any]) -> Any:
    """What ``read`` makes of the fit, or None and a reason where a record cannot say it."""
    try:
        return read(fit)
    except (ValueError, TypeError) as error:  # pydantic's own error is a ValueError
        first = str(error).split("\n")[0]
        fit.unsupported.append(f"{what} has a setting that grader cannot record: {first}"[:300])
        return None


# --- optimizer and loss -------------------------------------------------------------------------

_OPTIMIZERS: dict[str, Any] = {
    cls.__name__: cls for cls in (r.SGD, r.Adam, r.Adamax, r.Nadam, r.RMSprop, r.Adagrad, r.Adadelta)
}
_ACCUMULATING = ("use_ema", "gradient_accumulation_steps", "loss_scale_factor")


def _optimizer(fit: Fit) -> r.Optimizer:
    optimizer = fit.model.optimizer
    name = type(optimizer).__name__
    settings = dict(optimizer.get_config())
    if name == "AdamW":
        name = "Adam"  # Keras's Adam with weight_decay is AdamW
    if name not in _OPTIMIZERS or not type(optimizer).__module__.startswith("keras."):
        fit.unsupported.append(f"grader has no record for the optimizer {name!r}")
        return r.SGD()
    for setting in _ACCUMULATING:
        if settings.get(setting):
            fit.unsupported.append(f"the optimizer's {setting} is not retrained")
    record = _OPTIMIZERS[name]
    if name == "Nadam":
        settings["schedule_decay"] = getattr(optimizer, "grader_schedule_decay", 1.0)
    return record(**{k: v for k, v in settings.items() if k in record.model_fields})


_LOSSES = {
    "mse": "mean_squared_error",
    "mae": "mean_absolute_error",
    "kld": "kl_divergence",
    "kullback_leibler_divergence": "kl_divergence",
}
_KNOWN_LOSSES = set(get_args(r.Loss.model_fields["name"].annotation))


def _loss(fit: Fit) -> r.Loss:
    loss, settings = fit.loss, {}
    if isinstance(loss, list | tuple) and len(loss) == 1:
        loss = loss[0]
    own = not isinstance(loss, str)
    if isinstance(loss, keras.losses.Loss):
        settings, own = loss.get_config(), not type(loss).__module__.startswith("keras.")
        if settings.get("reduction") not in (None, "sum_over_batch_size"):
            fit.unsupported.append(f"the loss is reduced by {settings['reduction']!r}")
        name = _snake(type(loss).__name__)
    elif callable(loss):
        own = not getattr(loss, "__module__", "").startswith("keras.")
        name = getattr(loss, "__name__", "loss")
    else:
        name = str(loss)
    name = _LOSSES.get(name, name)
    if own or name not in _KNOWN_LOSSES:
        fit.unsupported.append(f"grader has no record for the loss {name!r}"[:200])
        return r.Loss()
    return r.Loss(
        name=name,
        from_logits=bool(settings.get("from_logits", False)),
        label_smoothing=float(settings.get("label_smoothing", 0.0)),
    )


def _snake(name: str) -> str:
    words = "".join("_" + c.lower() if c.isupper() else c for c in name)
    return words.lstrip("_").replace("k_l_", "kl_")


# --- learning rate ------------------------------------------------------------------------------


def _sample_rates(fit: Fit) -> tuple[tuple[float, ...], Any]:
    """Play the schedules through without training, and write down every learning rate."""
    optimizer = fit.model.optimizer
    schedule = _schedule_of(optimizer)
    decay = float(getattr(optimizer, "grader_decay", 0.0))
    by_step = [c for c in fit.callbacks if _acts_within_epochs(c)]
    steps = fit.steps_per_epoch
    per_step = bool(schedule or decay or by_step)
    if per_step and fit.epochs * steps > MAX_STEPS:
        fit.unsupported.append(f"a schedule over {fit.epochs * steps:,} steps is too long to sample")
        per_step = False
    rates: list[float] = []
    step = int(getattr(optimizer, "grader_steps", 0))
    _call(fit, fit.callbacks, "on_train_begin", {})
    for epoch in range(fit.initial_epoch, fit.initial_epoch + min(fit.epochs, MAX_EPOCHS)):
        rate = _begin_epoch(fit, epoch)
        for batch in range(steps if per_step else 1):
            if by_step:
                _call(fit, by_step, "on_train_batch_begin", batch, {})
                rate = _rate(optimizer)
            value = _of_schedule(schedule, step) if schedule else rate / (1.0 + decay * step)
            rates.append(value if math.isfinite(value) and value >= 0 else 0.0)
            if by_step:
                _call(fit, by_step, "on_train_batch_end", batch, dict(_LOGS))
            step += 1
        step += 0 if per_step else steps - 1
        _call(fit, _custom(fit.callbacks), "on_epoch_end", epoch, dict(_LOGS))
    object.__setattr__(optimizer, "grader_steps", step)
    return tuple(rates), "step" if per_step else "epoch"


_LOGS = {name: float("nan") for name in ("loss", "acc", "accuracy", "val_loss", "val_acc", "val_accuracy")}


def _schedule_of(optimizer: Any) -> Any:
    rate = getattr(optimizer, "_learning_rate", None)
    return rate if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule) else None


def _of_schedule(schedule: Any, step: int) -> float:
    return float(np.asarray(schedule(step)))


def _rate(optimizer: Any) -> float:
    return float(np.asarray(optimizer.learning_rate))


def _begin_epoch(fit: Fit, epoch: int) -> float:
    """The rate of this epoch, after every callback that may set it."""
    optimizer = fit.model.optimizer
    given: float | None = None
    for callback in fit.callbacks:
        if isinstance(callback, keras.callbacks.LearningRateScheduler):
            given = _scheduled(fit, callback, epoch)
        else:
            before = None if _schedule_of(optimizer) else _rate(optimizer)
            _call(fit, _custom([callback]), "on_epoch_begin", epoch, {})
            if before is not None and _rate(optimizer) != before:
                given = None
    if given is not None:
        return given
    return 0.0 if _schedule_of(optimizer) else _exact(_rate(optimizer))


def _exact(rate: float) -> float:
    """The shortest decimal that is this float32, so that 0.003 reads 0.003."""
    return float(str(np.float32(rate)))


def _scheduled(fit: Fit, callback: Any, epoch: int) -> float | None:
    """Keras hands a schedule (epoch, current rate), or the epoch alone if it takes no more."""
    optimizer = fit.model.optimizer
    try:
        try:
            value = callback.schedule(epoch, _rate(optimizer))
        except TypeError:
            value = callback.schedule(epoch)
        value = float(value)
        optimizer.learning_rate = value
    except Exception as error:
        fit.unsupported.append(f"the learning-rate schedule failed at epoch {epoch + 1}: {error}"[:300])
        return None
    return _exact(value)


# --- callbacks ----------------------------------------------------------------------------------


def _custom(callbacks: list[Any]) -> list[Any]:
    """Callbacks of the student's own, which may do anything; Keras's are known by name."""
    return [
        c
        for c in callbacks
        if not type(c).__module__.startswith("keras.") or type(c).__name__ == "LambdaCallback"
    ]


def _acts_within_epochs(callback: Any) -> bool:
    hooks = ("on_batch_begin", "on_batch_end", "on_train_batch_begin", "on_train_batch_end")
    base = keras.callbacks.Callback
    return bool(_custom([callback])) and any(
        getattr(type(callback), hook, None) is not getattr(base, hook) for hook in hooks
    )


def _call(fit: Fit, callbacks: list[Any], hook: str, *args: Any) -> None:
    for callback in _custom(callbacks):
        try:
            if hasattr(callback, "set_model"):
                callback.set_model(fit.model)
            getattr(callback, hook)(*args)
        except Exception as error:
            fit.unsupported.append(
                f"the callback {type(callback).__name__} failed when played "
                f"through without training: {error}"[:300]
            )


_INERT = {
    "ModelCheckpoint",
    "History",
    "ProgbarLogger",
    "TensorBoard",
    "CSVLogger",
    "RemoteMonitor",
    "TerminateOnNaN",
    "LearningRateScheduler",
    "BackupAndRestore",
    "BaseLogger",
}
_MONITORS = {"acc": "accuracy", "val_acc": "val_accuracy"}


def _callbacks(fit: Fit) -> list[r.Callback]:
    found: list[r.Callback] = []
    for callback in fit.callbacks:
        name = type(callback).__name__
        record = {"EarlyStopping": r.EarlyStopping, "ReduceLROnPlateau": r.ReduceLROnPlateau}.get(name)
        if record is not None and not _custom([callback]):
            found += _reacting(fit, callback, record)
        elif name not in _INERT and not _acts_on_rate_only(callback):
            fit.unsupported.append(f"the callback {name} of the submission is not retrained")
    return found


def _reacting(fit: Fit, callback: Any, record: Any) -> list[r.Callback]:
    """EarlyStopping and ReduceLROnPlateau. Keras skips one whose quantity is not there."""
    settings = {k: v for k, v in vars(callback).items() if k in record.model_fields and v is not None}
    settings["monitor"] = _MONITORS.get(callback.monitor, callback.monitor)
    # Keras negates min_delta for quantities that fall.
    settings["min_delta"] = abs(float(callback.min_delta))
    if str(settings["monitor"]).startswith("val_") and fit.validation.split == "none":
        return []
    made = _said(fit, f"{type(callback).__name__} on {callback.monitor!r}", lambda _: record(**settings))
    return [made] if made is not None else []


# What changes a model or its training: attributes that are set, and functions that are named.
_SET = {"stop_training", "lr", "learning_rate", "trainable", "weights"}
_CALLED = {"set_weights", "load_weights", "set_value", "assign", "setattr"}


def _acts_on_rate_only(callback: Any) -> bool:
    """Whether a callback of the student's own has no effect but on the sampled learning rates.

    Its hooks were played through without training, so rates set at the start of an epoch or batch
    are known. A hook at an end sees measured values, which are not: it may not touch the model.
    """
    blind = ("on_epoch_end", "on_train_end", "on_test_end", "on_batch_end", "on_train_batch_end")
    return not any(_has_effect(getattr(callback, hook, None)) for hook in blind)


def _has_effect(function: Any) -> bool:
    codes = [c for c in [getattr(function, "__code__", None)] if c is not None]
    while codes:
        code = codes.pop()
        stored = {i.argval for i in dis.get_instructions(code) if i.opname == "STORE_ATTR"}
        strings = {c for c in code.co_consts if isinstance(c, str)}
        if stored & _SET or (set(code.co_names) | strings) & _CALLED:
            return True
        codes += [c for c in code.co_consts if hasattr(c, "co_names")]
    return False
