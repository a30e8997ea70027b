"""Weights that a submission saves, loads, copies and resets: which training they stand for.

Nothing is trained here, so weights are remembered by the fits that would have made them. A model that takes
the weights of another takes over its training; one that goes back to weights from before any fit starts
anew; and weights that came with the submission are named, because training that starts from them cannot
be repeated.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from grader import records as r
from grader.describe.keras import callbacks as known_callbacks
from grader.describe.keras.hooks import ORIGINAL
from grader.errors import StudentsCode

if TYPE_CHECKING:
    from grader.describe.keras.arguments import Tracked

MOST_KEPT = 50  # lists of weights from `get_weights`, which `set_weights` may get back


class Recording(Protocol):
    """What `Memory` needs of a recorder: the models, and where notes for the report go."""

    tracked: list[Tracked]
    note: Callable[[str], None]

    def of(self, model: Any) -> Tracked:
        """Return what is known of a model."""


@dataclass
class Moment:
    """A model's training at some time, and its weights if they exist as arrays."""

    training: tuple[r.TrainingRecipe, ...]
    layers: tuple[str, ...]
    pretrained: str
    weights: list[Any] | None = None
    model: Any = None  # saved as a whole


@dataclass
class Checkpoint:
    """What a ModelCheckpoint of one fit would have written."""

    pattern: re.Pattern[str]
    moment: Moment
    kept: r.Kept | None


class Memory:
    """Everything that was saved in this process, by name or as arrays."""

    def __init__(self, recorder: Recording) -> None:
        self.recorder = recorder
        self.files: dict[str, Moment] = {}
        self.arrays: list[tuple[Any, Moment]] = []
        self.checkpoints: list[Checkpoint] = []
        self.uses = 0  # how often anything was saved, read or loaded
        self.given: set[int] = set()  # weights that were set layer by layer

    @contextmanager
    def undone(self, model: Any) -> Iterator[Callable[[], int]]:
        """Undo what is saved and loaded within this block; yields a count of how often that was."""
        tracked = self.recorder.of(model)
        kept = dict(self.files), list(self.arrays), list(self.checkpoints)
        training, source = list(tracked.training), tracked.weights_from
        begun = self.uses
        try:
            yield lambda: self.uses - begun
        finally:
            self.files, self.arrays, self.checkpoints = kept
            tracked.training[:], tracked.weights_from = training, source

    # --- what is remembered ---------------------------------------------------------------------

    def moment(self, model: Any, weights: list[Any] | None = None, whole: bool = False) -> Moment:
        """Return the model's training so far, with ``weights``, and with the model if saved ``whole``."""
        self.uses += 1
        tracked = self.recorder.of(model)
        kinds = tuple(type(layer).__name__ for layer in model.layers)
        return Moment(tuple(tracked.training), kinds, tracked.weights_from, weights, model if whole else None)

    def fitted(self, tracked: Tracked, callbacks: Sequence[Any], before: dict[str, Moment]) -> None:
        """Remember the files that the checkpoints of a fit would have written, and that its hooks wrote.

        ``before`` are the files from before the fit.
        """
        tracked.weights = _digest(tracked.model)
        for path, moment in self.files.items():
            if before.get(path) is not moment:
                self.files[path] = replace(moment, training=tuple(tracked.training))
        for callback in callbacks:
            if known_callbacks.is_checkpoint(callback):
                best = bool(getattr(callback, "save_best_only", False))
                kept = known_callbacks.kept(callback) if best else None
                moment = self.moment(tracked.model, whole=callback.grader_whole)
                self.checkpoints.append(Checkpoint(_pattern(callback.grader_path), moment, kept))

    # --- what it is used for --------------------------------------------------------------------

    def changed(self, tracked: Tracked) -> r.Code | None:
        """Return how a model's weights were set in a way that was not followed; None if they were not."""
        if self.given & {id(weight) for weight in tracked.model.weights}:
            return "layer_weights_set"
        if tracked.weights is not None and tracked.weights != _digest(tracked.model):
            return "weights_changed"
        return None

    def saved_as(self, path: str) -> Moment | None:
        """Return what was saved as ``path``, or would have been by a checkpoint; None if nothing was."""
        if (moment := self.files.get(path)) is not None:
            return moment
        for checkpoint in reversed(self.checkpoints):
            if found := checkpoint.pattern.fullmatch(path):
                return _kept(checkpoint, found)
        return None

    def take_over(self, model: Any, moment: Moment, how: str) -> None:
        """Give a model the training that stands behind some weights."""
        tracked = self.recorder.of(model)
        self._known(tracked)
        if moment.layers != tuple(type(layer).__name__ for layer in model.layers):
            tracked.weights_from = how
            return
        tracked.training[:] = moment.training
        tracked.weights_from = moment.pretrained

    def _known(self, tracked: Tracked) -> None:
        """Note that a model's weights are those of a known moment from here on."""
        tracked.weights = None
        self.given -= {id(weight) for weight in tracked.model.weights}

    # --- in place of Keras's own ----------------------------------------------------------------

    def save(self, model: Any, path: Any, save: Callable[[], None]) -> None:
        """Remember a whole model as ``path``, and let Keras save it."""
        self.files[str(path)] = self.moment(model, ORIGINAL["get_weights"](model), whole=True)
        with StudentsCode() as call:
            save()
        if call.error is not None:  # old formats and folders that do not exist here
            self.recorder.note(f"save({str(path)!r}) skipped: {call.said}"[:300])

    def save_weights(self, model: Any, path: Any) -> None:
        """Remember the weights as ``path``; no file is written."""
        self.files[str(path)] = self.moment(model, ORIGINAL["get_weights"](model))

    def load_weights(self, model: Any, path: Any, load: Callable[[], None]) -> None:
        """Load remembered weights, or those of a file, which then count as made elsewhere."""
        self.uses += 1
        how = f"load_weights({str(path)!r})"[:200]
        if (moment := self.saved_as(str(path))) is not None:
            self.take_over(model, moment, how)
            if moment.weights is not None:
                ORIGINAL["set_weights"](model, moment.weights)
            return
        try:
            load()
        except (OSError, ValueError) as error:
            self.recorder.note(f"{how} skipped: {error}"[:300])
        else:
            tracked = self.recorder.of(model)
            self._known(tracked)
            tracked.weights_from = how
            tracked.training.clear()

    def get_weights(self, model: Any) -> Any:
        """Return the weights, and remember the list."""
        weights = ORIGINAL["get_weights"](model)
        self.arrays = [*self.arrays[-MOST_KEPT:], (weights, self.moment(model, weights))]
        return weights

    def set_weights(self, model: Any, weights: Any) -> None:
        """Set the weights; a list that is not remembered counts as made elsewhere."""
        self.uses += 1
        ORIGINAL["set_weights"](model, weights)
        moment = next((m for kept, m in self.arrays if kept is weights), None)
        if moment is not None:
            self.take_over(model, moment, "set_weights")
        else:
            tracked = self.recorder.of(model)
            self._known(tracked)
            tracked.weights_from = "set_weights"

    def set_layer(self, layer: Any, weights: Any) -> None:
        """Set the weights of one layer, which are not followed from then on."""
        ORIGINAL["set_weights"](layer, weights)
        self.given |= {id(weight) for weight in layer.weights}

    def load_model(self, path: Any, load: Callable[[], Any]) -> Any:
        """Return a loaded model, or the fitted one where no file was written."""
        how = f"load_model({str(path)!r})"[:200]
        moment = self.saved_as(str(path))
        try:
            model = load()
        except (OSError, ValueError) as error:
            model = moment.model if moment is not None else self._last_fitted()
            if model is None:
                raise
            name = "the model that it was saved from" if moment is not None else "the last fitted model"
            self.recorder.note(f"{how} gives {name}: {error}"[:300])
        if moment is None:
            self.recorder.of(model).weights_from = how
            return model
        self.take_over(model, moment, how)
        if moment.model is not None and model is not moment.model and getattr(model, "compiled", False):
            self._with_its_optimizer(model, moment.model)
        return model

    def _with_its_optimizer(self, model: Any, saved: Any) -> None:
        """Let a loaded model go on with the state of the optimizer that it was saved with."""
        tracked = self.recorder.of(model)
        tracked.fitted_compile = tracked.compiled
        for name in ("grader_decay", "grader_steps", "grader_schedule_decay"):
            if hasattr(saved.optimizer, name):
                object.__setattr__(model.optimizer, name, getattr(saved.optimizer, name))

    def _last_fitted(self) -> Any:
        fitted = [t for t in self.recorder.tracked if t.fit_order]
        return max(fitted, key=lambda t: t.fit_order).model if fitted else None


def _digest(model: Any) -> bytes:
    """Return a digest of all weights, byte by byte: other weights, or another order, give another digest."""
    total = hashlib.sha256()
    for weight in model.weights:
        total.update(np.ascontiguousarray(np.array(weight)).tobytes())
    return total.digest()


def _pattern(template: str) -> re.Pattern[str]:
    """Return a pattern of the file names that `weights.{epoch:02d}-{val_acc:.2f}.hdf5` stands for."""
    parts = re.split(r"(\{[^{}]*\})", str(Path(template)))
    written = [
        r"(?P<epoch>\d{1,6})" if part.startswith("{epoch") and i == _first_epoch(parts)
        else r"[^/]*" if part.startswith("{") and part.endswith("}")
        else re.escape(part)
        for i, part in enumerate(parts)
    ]  # fmt: skip
    return re.compile("(?:.*/)?" + "".join(written) if not template.startswith("/") else "".join(written))


def _first_epoch(parts: list[str]) -> int:
    return next((i for i, part in enumerate(parts) if part.startswith("{epoch")), -1)


def _kept(checkpoint: Checkpoint, found: re.Match[str]) -> Moment:
    """Return the training up to what a checkpoint holds: its best epoch, or the one in its name."""
    moment, kept = checkpoint.moment, checkpoint.kept
    epoch = found.groupdict().get("epoch")
    if epoch is not None and int(epoch) > 0:
        kept = (kept or r.Kept()).model_copy(update={"epoch": int(epoch)})
    if kept is None or not moment.training:
        return moment
    last = moment.training[-1].model_copy(update={"keeps": kept})
    return Moment((*moment.training[:-1], last), moment.layers, moment.pretrained, None, moment.model)
