"""A compiled model and the arguments of `fit` -> `TrainingRecipe`.

Schedules are the student's own functions: they are called here, once per epoch (or per step), and only the
learning rates leave this process.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from grader import records as r
from grader.describe.images.recognise import Recognised
from grader.describe.keras import callbacks, courses, losses
from grader.describe.keras.refusals import Refusals
from grader.describe.world import originals
from grader.describe.world.standins import Inert
from grader.errors import StudentsCode

MAX_STEPS = r.MAX_SAMPLES
MAX_EPOCHS = 10_000  # as many as a rubric may retrain


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
    unsupported: Refusals = field(default_factory=Refusals)
    note: Callable[[str], None] = lambda message: None
    held_out: r.Rows = ()
    passes: int | None = None  # steps that make an epoch, where that is not one pass
    label_smoothing: float = 0.0
    class_weights: tuple[float, ...] = ()
    sample_weights: tuple[float, ...] = ()
    augmentation: r.Augmentation | None = None
    keeps: r.Kept | None = None
    pretrained: str = ""
    memory: Any = None  # `grader.describe.keras.weights`
    measures_accuracy: bool = True
    odd_validation: str = ""  # what is odd about the validation that callbacks watch
    reacting: set[int] = field(default_factory=set)  # ids of callbacks

    def recorded(self, what: str, read: Callable[[Fit], Any], code: r.Code = "setting") -> Any:
        """Return what ``read`` makes of the fit; None, and a reason, where a record cannot hold that."""
        try:
            return read(self)
        except (ValueError, TypeError) as error:  # pydantic's own error is a ValueError
            first = str(error).split("\n")[0]
            self.unsupported.add(code, what, first)
            return None


def recipe(fit: Fit) -> r.TrainingRecipe:
    """Return the record of a fit; settings that it cannot hold are listed in ``unsupported``."""
    if types := {layer.compute_dtype for layer in fit.model.layers} & {"float16", "bfloat16"}:
        fit.note(f"trained in mixed precision ({', '.join(sorted(types))}): retraining is in float32")
    if fit.memory is not None:
        fit.reacting = courses.reacting(fit)
    rates, per = _sample_rates(fit)
    reacting = tuple(callbacks.records(fit))
    if per == "step" and any(c.type == "ReduceLROnPlateau" for c in reacting):
        fit.unsupported.add("plateau", "a schedule within epochs")
    return r.TrainingRecipe(
        optimizer=fit.recorded("the optimizer", _optimizer) or r.SGD(),
        loss=fit.recorded("the loss", _loss) or r.Loss(),
        batch_size=fit.batch_size,
        epochs=fit.epochs,
        shuffle=fit.shuffle,
        learning_rates=rates,
        rates_per=per,
        callbacks=reacting,
        scaling=fit.train.scaling or r.InputScaling(),
        geometry=fit.train.geometry,
        augmentation=fit.augmentation,
        steps_per_epoch=fit.passes,
        rows=() if fit.train.use.whole_split else fit.train.ranges,
        held_out=fit.held_out,
        class_weights=fit.class_weights,
        sample_weights=fit.sample_weights,
        keeps=fit.keeps,
        pretrained=fit.pretrained,
        trained_on=fit.train.use,
        validated_on=fit.validation,
        continues=fit.continues,
        cell=fit.cell,
        unsupported=tuple(dict.fromkeys(fit.unsupported))[: r.MAX_REASONS],
    )


# --- optimizer and loss -------------------------------------------------------------------------

_OPTIMIZERS: dict[str, Any] = {
    cls.__name__: cls for cls in (r.SGD, r.Adam, r.Adamax, r.Nadam, r.RMSprop, r.Adagrad, r.Adadelta)
}
_ACCUMULATING = ("use_ema", "gradient_accumulation_steps", "loss_scale_factor")


def _optimizer(fit: Fit) -> r.Optimizer:
    optimizer = fit.model.optimizer
    name = originals.name_of(type(optimizer)) or type(optimizer).__name__
    settings = _settings(optimizer)
    if name == "AdamW":
        name = "Adam"  # Keras's Adam with weight_decay is AdamW
    if name not in _OPTIMIZERS or type(optimizer) not in originals.CLASSES:
        fit.unsupported.add("optimizer", name)
        return r.SGD()
    for setting in _ACCUMULATING:
        if settings.get(setting):
            fit.unsupported.add("optimizer_setting", setting)
    excluded = ("_exclude_from_weight_decay", "_exclude_from_weight_decay_pattern")
    if settings.get("weight_decay") and any(getattr(optimizer, name, None) for name in excluded):
        fit.unsupported.add("decay_excluded")
    record = _OPTIMIZERS[name]
    if name == "Nadam":
        settings["schedule_decay"] = getattr(optimizer, "grader_schedule_decay", 1.0)
    return record(**{k: v for k, v in settings.items() if k in record.model_fields})


def _settings(optimizer: Any) -> dict[str, Any]:
    try:
        return dict(optimizer.get_config())
    except NotImplementedError:  # a schedule of the submission's own, which is sampled anyway
        return {name: value for name, value in vars(optimizer).items() if not name.startswith("_")}


def _loss(fit: Fit) -> r.Loss:
    loss = losses.loss(fit.loss, fit.model, fit.unsupported, fit.note)
    if not fit.label_smoothing:
        return loss
    if loss.name == "sparse_categorical_crossentropy":
        fit.unsupported.add("sparse_soft_labels")
    both = 1.0 - (1.0 - loss.label_smoothing) * (1.0 - fit.label_smoothing)
    return loss.model_copy(update={"label_smoothing": round(both, 9)})


# --- learning rate ------------------------------------------------------------------------------


def _sample_rates(fit: Fit) -> tuple[tuple[float, ...], Any]:
    """Play the schedules through without training, and return every learning rate."""
    optimizer = fit.model.optimizer
    schedule = _schedule_of(optimizer)
    decay = float(getattr(optimizer, "grader_decay", 0.0))
    by_step = [c for c in fit.callbacks if callbacks.acts_within_epochs(c)]
    steps = fit.steps_per_epoch
    per_step = bool(schedule or decay or by_step)
    if per_step and fit.epochs * steps > MAX_STEPS:
        fit.unsupported.add("schedule_too_long", f"{fit.epochs * steps:,}")
        per_step = False
    rates: list[float] = []
    step = int(getattr(optimizer, "grader_steps", 0))
    callbacks.play(fit.callbacks, "on_train_begin", fit, {})
    for epoch in range(fit.initial_epoch, fit.initial_epoch + min(fit.epochs, MAX_EPOCHS)):
        fit.model.stop_training = False
        rate = _begin_epoch(fit, epoch)
        for batch in range(steps if per_step else 1):
            if by_step:
                callbacks.play(by_step, "on_train_batch_begin", fit, batch, {})
                rate = _rate(optimizer)
            value = _of_schedule(schedule, step) if schedule else rate / (1.0 + decay * step)
            rates.append(value if math.isfinite(value) and value >= 0 else 0.0)
            if by_step:
                callbacks.play(by_step, "on_train_batch_end", fit, batch, dict(callbacks.NOT_MEASURED))
            step += 1
        step += 0 if per_step else steps - 1
        callbacks.play(fit.callbacks, "on_epoch_end", fit, epoch, dict(callbacks.NOT_MEASURED))
    object.__setattr__(optimizer, "grader_steps", step)
    return tuple(rates), "step" if per_step else "epoch"


def _schedule_of(optimizer: Any) -> Any:
    rate = getattr(optimizer, "_learning_rate", None)
    return rate if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule) else None


def _of_schedule(schedule: Any, step: int) -> float:
    try:
        return float(np.asarray(schedule(step)))
    except (TypeError, ValueError, tf.errors.OpError):  # TensorFlow's optimizers used to call it with a float
        return float(np.asarray(schedule(tf.constant(float(step)))))


def _rate(optimizer: Any) -> float:
    return float(np.asarray(optimizer.learning_rate))


def _begin_epoch(fit: Fit, epoch: int) -> float:
    """Return the rate of this epoch, after every callback that may set it."""
    optimizer = fit.model.optimizer
    given: float | None = None
    for callback in fit.callbacks:
        if callbacks.sets_rates_by_schedule(callback):
            given = _scheduled(fit, callback, epoch)
        else:
            before = None if _schedule_of(optimizer) else _rate(optimizer)
            callbacks.play([callback], "on_epoch_begin", fit, epoch, {})
            if before is not None and _rate(optimizer) != before:
                given = None
            if fit.model.stop_training:
                fit.unsupported.add("callback_ends_epoch", type(callback).__name__)
    if given is not None:
        return given
    return 0.0 if _schedule_of(optimizer) else _exact(_rate(optimizer))


def _exact(rate: float) -> float:
    """Return the shortest decimal that is this float32, so that 0.003 reads 0.003."""
    return float(str(np.float32(rate)))


def _scheduled(fit: Fit, callback: Any, epoch: int) -> float | None:
    """Return a schedule's rate: Keras calls it with (epoch, current rate), or the epoch alone."""
    optimizer = fit.model.optimizer
    with StudentsCode() as call:
        try:
            value = callback.schedule(epoch, _rate(optimizer))
        except TypeError:
            value = callback.schedule(epoch)
        if isinstance(value, Inert):
            raise TypeError(f"it gives {value!r}")
        value = float(value)
        optimizer.learning_rate = value
    if call.error is not None:
        fit.unsupported.add("schedule_failed", epoch + 1, call.said)
        return None
    return _exact(value)
