"""A Keras whose `fit` records instead of training.

`compile`, `fit` and its old relatives, `evaluate` and `predict` of every model are replaced; the
rest of Keras works as usual, so that code around them runs on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from grader import records as r
from grader.describe.images.recognise import RawData, Recognised
from grader.describe.keras import hooks, models, phases, recipe
from grader.describe.keras.arguments import FitArguments, Tracked, build
from grader.describe.keras.hooks import ORIGINAL
from grader.describe.keras.unmeasured import Decisions
from grader.describe.keras.weights import Memory
from grader.describe.networks import graph, live
from grader.describe.world.cells import CellEnds
from grader.errors import StudentsCode

NAN = float("nan")
# Of a submission's own loop; a limit in seconds would make descriptions depend on the machine.
LOOP_STEPS = 100


class Recorder:
    """All models of one submission, in the order in which they were first seen."""

    def __init__(self, data: RawData, note: Callable[[str], None]) -> None:
        self.data, self.note = data, note
        self.memory = Memory(self)
        self.tracked: list[Tracked] = []
        self.cell: int | None = None
        self.on_fit: Callable[[], None] = lambda: None
        self.loop_steps: int | None = None  # steps of the submission's own loop; None: none runs
        self._fits = 0
        self._looped: set[tuple[int, ...]] = set()  # the variables of loops that are known
        self.decisions = Decisions(self._decided_on)

    def install(self) -> None:
        """Stand in for Keras's training. Call once per process."""
        hooks.install(self, self.memory)
        keras.Model.metrics_names = property(lambda model: ["loss", *self.of(model).measured])

    def _decided_on(self, reason: r.Reason) -> None:
        """Add ``reason`` to the last fit: it is unknown whether training went on after it."""
        fitted = [t for t in self.tracked if t.training]
        if fitted:
            last = max(fitted, key=lambda t: t.fit_order).training
            reasons = tuple(dict.fromkeys((*last[-1].unsupported, reason)))
            last[-1] = last[-1].model_copy(update={"unsupported": reasons})

    def of(self, model: Any) -> Tracked:
        """Return what is known of a model, which is tracked from now on."""
        for known in self.tracked:
            if known.model is model:
                return known
        self.tracked.append(Tracked(model, self.cell))
        return self.tracked[-1]

    def describe(self, tracked: Tracked) -> None:
        """Record the network as it is now, building it first if its input is yet unknown."""
        model = tracked.model
        if not model.built:
            build(model, self.data.image_shape)
            self.note(
                f"model {model.name!r} names no input shape: it was built for the images of the data set"
            )
        tracked.network = self.network(model)

    def network(self, model: Any) -> r.ModelDescription:
        """Return the record of a built model as it is now."""
        try:
            return graph.describe(live.of_model(model), self.data.image_shape)
        except graph.TooLarge as limit:  # a limit of grader's: a person looks, no cell of the student's fails
            whole = live.as_one_layer(model, "model", r.because("layer_limit", detail=limit))
            return graph.describe(whole, self.data.image_shape)

    def compiled_recipe(self, tracked: Tracked) -> r.TrainingRecipe | None:
        """Return optimizer and loss of a model that was compiled but not fitted; epochs mean nothing."""
        if not tracked.compiled or tracked.training:
            return None
        nothing = r.DataUse(split="none")
        fit = recipe.Fit(
            model=tracked.model, loss=tracked.loss, images=0, batch_size=32, epochs=1, steps_per_epoch=1,
            callbacks=[], shuffle=True, train=Recognised(nothing), validation=nothing, continues=False,
            cell=None,
        )  # fmt: skip
        with StudentsCode():  # the configuration of an optimizer may raise
            return recipe.recipe(fit)
        return None

    # --- what stands in for Keras's methods -----------------------------------------------------

    def compile(self, model: Any, optimizer: Any = "rmsprop", loss: Any = None, **rest: Any) -> None:
        """Compile the model by Keras, with few of the arguments; remember its loss and metrics."""
        tracked = self.of(model)
        if tracked.fitted_compile == tracked.compiled and optimizer is getattr(model, "optimizer", None):
            tracked.fitted_compile += 1  # the optimizer keeps what it has accumulated
        tracked.compiled += 1
        tracked.loss = loss
        tracked.loss_weights = bool(rest.get("loss_weights"))
        if isinstance(rest.get("metrics"), str):
            rest["metrics"] = [rest["metrics"]]
        tracked.metrics = bool(rest.get("metrics") or rest.get("weighted_metrics"))
        tracked.measured = tuple(_metric_names(rest.get("metrics"), rest.get("weighted_metrics")))
        kept = {k: v for k, v in rest.items() if k in ("metrics", "loss_weights", "weighted_metrics")}
        kept |= {"run_eagerly": True} if rest.get("run_eagerly") else {}
        if isinstance(optimizer, str):
            optimizer = _optimizer_named(optimizer)
        ORIGINAL["compile"](model, optimizer=optimizer, loss=loss, **kept)
        metrics = rest.get("metrics") or []
        if loss == "binary_crossentropy" and any("acc" in str(m) for m in metrics):
            self.note(
                "with binary_crossentropy, Keras's 'accuracy' counts single outputs; "
                "grader counts correct images"
            )

    def fit(self, model: Any, arguments: dict[str, Any]) -> Any:
        """Record instead of training; a network that changes between fits cannot be retrained."""
        tracked = self.of(model)
        if getattr(model, "optimizer", None) is None:
            raise RuntimeError("You must call `compile()` before calling `fit()`.")
        fit = FitArguments(self, model, arguments).read(tracked)
        if reason := self.memory.changed(tracked):
            fit.unsupported.add(reason)
        before, saved = tracked.network, dict(self.memory.files)
        self.describe(tracked)
        if tracked.training and before is not None and tracked.network is not None:
            phases.compare(tracked, before, fit.unsupported)
        if others := self._trained_before(tracked):
            fit.unsupported.add("shared_layers", others)
        if tracked.loss_weights:
            fit.unsupported.add("loss_weights")
        if self.decisions.before_the_next is not None:
            fit.unsupported.append(self.decisions.before_the_next)
        if own := models.own_methods(model):
            fit.unsupported.add("own_methods", ", ".join(own))
        tracked.training.append(phases.within(tracked, recipe.recipe(fit)))
        self.memory.fitted(tracked, fit.callbacks, saved)
        tracked.fitted_compile = tracked.compiled
        self._fits += 1
        tracked.fit_order = self._fits
        self.on_fit()
        return self._history(model, fit)

    def _history(self, model: Any, fit: recipe.Fit) -> Any:
        """Return a History of the right length and keys; its numbers are NaN, for none were measured."""
        epochs = min(fit.epochs, 10_000)
        history = keras.callbacks.History()
        history.set_model(model)
        names: Any = ("loss", "acc", "accuracy", "val_loss", "val_acc", "val_accuracy")
        own = self.of(model).measured
        names = dict.fromkeys((*names, *own, *(f"val_{name}" for name in own)))
        history.history = {name: self.decisions.numbers(epochs) for name in names}
        history.history |= {name: [NAN] * epochs for name in ("lr", "learning_rate")}
        history.epoch = list(range(epochs))
        history.params = {"epochs": fit.epochs, "steps": fit.steps_per_epoch, "batch_size": fit.batch_size}
        model.history = history
        return history

    def predict(self, model: Any, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Return equal outputs for all classes, (n, ...), for the n images of ``x``."""
        count = len(x) if hasattr(x, "__len__") else int(kwargs.get("steps") or 1)
        shape = tuple(n or 1 for n in (getattr(model, "output_shape", None) or (None, 1))[1:])
        return np.full((count, *shape), 1.0 / math.prod(shape), np.float32)

    predict_on_batch = predict

    def evaluate(self, model: Any, *args: Any, **kwargs: Any) -> Any:
        """Return a loss, and the metrics if there are any, all of them NaN."""
        measured = self.of(model).measured
        if kwargs.get("return_dict"):
            return {name: self.decisions.number() for name in ("loss", "accuracy", "acc", *measured)}
        if not measured:
            return self.decisions.number()
        return [self.decisions.number() for _ in ("loss", *measured)]

    test_on_batch = evaluate

    def train_on_batch(self, model: Any, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Record that a loop trains the model; return two NaN."""
        self.unsupported_training(model, "train_on_batch")
        return [NAN, NAN]

    def _trained_before(self, tracked: Tracked) -> str:
        """Return the names of other models that have trained some of this model's weights."""
        own = {id(w) for w in tracked.model.weights}
        found = [
            str(other.model.name)
            for other in self.tracked
            if other is not tracked and other.fit_order and own & {id(w) for w in other.model.weights}
        ]
        return ", ".join(found[:5])

    def unsupported_training(self, model: Any, what: str) -> None:
        """Record that ``what``, such as `train_on_batch`, trained the model: how is not known."""
        tracked = self.of(model)
        reason = r.because("own_loop", what)
        if not tracked.training or reason not in tracked.training[-1].unsupported:
            tracked.training.append(
                r.TrainingRecipe(
                    optimizer=r.SGD(), epochs=1, learning_rates=(0.01,), cell=self.cell, unsupported=(reason,)
                )
            )
            self.describe(tracked)
            self._fits += 1
            tracked.fit_order = self._fits
            self.on_fit()

    # --- loops of the submission's own: nothing else applies an optimizer here ---------------------

    def apply(self, optimizer: Any, variables: list[Any], update: Callable[[], Any]) -> None:
        """Take note of the models whose weights a loop would change; nothing is changed."""
        if (key := tuple(map(id, variables))) not in self._looped:
            self._looped.add(key)
            for model in models.holding(variables):
                self.unsupported_training(model, "a loop of its own")
                self.loop_steps = self.loop_steps or 0
        if tf.executing_eagerly():
            self.end_long_loop()

    def after_function(self, arguments: list[Any]) -> None:
        """Count a step of the submission's own loop, if there is one."""
        self.end_long_loop()

    def end_long_loop(self) -> None:
        """Count a step of the submission's own loop; after `LOOP_STEPS` steps end the cell.

        The gradients that such a loop computes are of no use here. Raises `CellEnds`.
        """
        if self.loop_steps is None:
            return
        self.loop_steps += 1
        if self.loop_steps > LOOP_STEPS:
            self.note("its own training loop was recorded, and not run to its end")
            self.loop_steps = None
            raise CellEnds


def _metric_names(*given: Any) -> Iterator[str]:
    """Yield the names by which a History holds the metrics of `compile`."""
    for metrics in given:
        for metric in metrics if isinstance(metrics, list | tuple) else ():
            name = metric if isinstance(metric, str) else getattr(metric, "name", None)
            yield str(name or getattr(metric, "__name__", "metric"))


def _optimizer_named(name: str) -> Any:
    """Return `'sgd'` or another optimizer by its name, made by the class whose defaults are the era's."""
    classes = {
        n.lower(): getattr(keras.optimizers, n)
        for n in ("SGD", "Adam", "Adamax", "Nadam", "RMSprop", "Adagrad", "Adadelta", "AdamW")
    }
    cls = classes.get(name.lower())
    return cls() if cls else name
