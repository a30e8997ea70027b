"""Describe a notebook, script or write-up by running its cells under the recording Keras."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import keras

from grader import records as r
from grader.describe.images.recognise import RawData
from grader.describe.keras import recorder
from grader.describe.keras.arguments import Tracked
from grader.describe.world import cells, compat, era, leftover, served, standins
from grader.errors import StudentsCode

MAX_ANSWERED = 16_000_000
RECURSION = 3_000  # nested calls; as in Jupyter, where Jedi sets it


def describe(job: r.DescribeJob, answer: Callable[[r.Description], None]) -> None:
    """Run all cells; ``answer`` is called after every recorded fit and once at the end."""
    session = Session(job)
    session.recorder = recorder.Recorder(session.data, session.note)
    session.recorder.on_fit = lambda: session.answer_so_far(answer)
    session.recorder.install()
    session.run()
    answer(session.description())


class Session:
    """One submission being run, and what was seen so far; ``recorder`` is set by whoever runs it."""

    recorder: recorder.Recorder

    def __init__(self, job: r.DescribeJob) -> None:
        self.job = job
        self.cell: int | None = None
        self.notes: list[r.Note] = []
        self.failures: list[r.CellFailure] = []
        self.names: dict[int, str] = {}
        self.namespace: dict[str, Any] = {}
        self.era = era.find(job.program.cells, job.program.python)
        self.positional = compat.Positional(job.reading)
        self.data = RawData(job.data)
        self.answered = 0
        self.absent: list[str] = []
        standins.install(self.note, self.absent)
        compat.install(self.era.era, self.positional, self.note)
        compat.serve_data(job.dataset, self.data, self.note)
        served.install(job.dataset, self.data)

    def answer_so_far(self, answer: Callable[[r.Description], None]) -> None:
        """Answer with what was seen so far, unless all answers together may exceed `MAX_ANSWERED` bytes."""
        if self.answered >= MAX_ANSWERED:
            return
        description = self.description()
        self.answered += sum(40 + 24 * len(f.learning_rates) for m in description.models for f in m.training)
        if self.answered < MAX_ANSWERED:
            answer(description)

    def note(self, message: str) -> None:
        """Add a note about the cell that runs, once; 500 notes are kept."""
        note = r.Note(message=message[:2_000], cell=self.cell)
        if note not in self.notes and len(self.notes) < 500:
            self.notes.append(note)

    def run(self) -> None:
        """Run all cells, look for models after each cell, then describe those that were not fitted."""
        sys.setrecursionlimit(RECURSION)
        sys.path.insert(0, os.getcwd())
        sys.argv = [os.path.basename(self.job.program.name)]
        leftover.supply(self.job.program.cells, self.namespace, self.note)
        for failure in cells.run(self.job.program.cells, self.namespace, self._enter, self.note):
            if failure is not None and len(self.failures) < 100:
                self.failures.append(failure)
            with suppress(Exception):  # an object of the student's may raise when it is looked at
                self._look_around()
        self._describe_unfitted()

    def _enter(self, cell: int) -> None:
        self.cell = self.recorder.cell = cell

    def _look_around(self) -> None:
        """Find the models that the last cell left behind, and what the student calls them."""
        known = {id(tracked.model) for tracked in self.recorder.tracked}
        for name, model in _models_in(self.namespace):
            room = len(self.recorder.tracked) < r.MAX_MODELS
            if not name.startswith("_") and (room or id(model) in known):
                self.names.setdefault(id(self.recorder.of(model).model), name)

    def _describe_unfitted(self) -> None:
        for tracked in self.recorder.tracked:
            if tracked.network is None:
                with StudentsCode() as call:
                    self.recorder.describe(tracked)
                if call.error is not None:
                    self.note(f"model {self._name(tracked)!r} cannot be built: {call.said}"[:500])

    def _name(self, tracked: Tracked) -> str:
        return self.names.get(id(tracked.model)) or str(getattr(tracked.model, "name", "model"))

    def description(self) -> r.Description:
        """Return what was seen so far."""
        models: list[r.DescribedModel] = []
        taken: set[str] = set()
        numbered = list(enumerate(self.recorder.tracked, 1))
        for number, tracked in numbered[-r.MAX_MODELS :]:
            if tracked.network is not None:
                name = _free(self._name(tracked)[:180], taken)
                models.append(
                    r.DescribedModel(
                        name=name,
                        number=number,
                        network=tracked.network,
                        training=tuple(tracked.training[: r.MAX_FITS]),
                        fit_order=tracked.fit_order,
                        cell=tracked.cell,
                        compiled=self.recorder.compiled_recipe(tracked),
                    )
                )
        return r.Description(
            models=tuple(models),
            notes=(*self._era_notes(), *self.notes),
            failures=tuple(self.failures),
            keras_era=self.era.era,
            ambiguous_calls=self.positional.calls,
            reading=self.positional.used,
            absent=tuple(name[:200] for name in self.absent[:500]),
            incomplete=self._beyond(),
        )

    def _beyond(self) -> str:
        """Return the limit of grader's that leaves out some models or fits; empty if none are left out."""
        tracked = self.recorder.tracked
        if len(tracked) > r.MAX_MODELS:
            return f"it builds {len(tracked):,} models, of which grader reads the last {r.MAX_MODELS}"
        if (most := max((len(t.training) for t in tracked), default=0)) > r.MAX_FITS:
            return f"one model has {most:,} fits, of which grader reads the first {r.MAX_FITS:,}"
        return ""

    def _era_notes(self) -> Iterator[r.Note]:
        old = self.era.era == "keras2"
        yield r.Note(
            message=f"read as code for {'Keras 1 or 2' if old else 'tf.keras or Keras 3'}: {self.era.reason}"
        )
        if self.positional.used is not None:
            meaning = {
                "rows_columns": "rows and columns of the kernel",
                "strides": "a kernel size and a stride",
            }[self.positional.used]
            yield r.Note(
                message=f"{self.positional.calls} calls like Conv2D(16, 3, 3): "
                f"the second and third number were read as {meaning}"
            )


def _models_in(namespace: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield models with their names: models bound to a name, or in a list or dict bound to one."""
    for name, value in list(namespace.items()):
        inside = value if isinstance(value, list | tuple) else []
        inside = list(value.values()) if isinstance(value, dict) else inside
        for item in (value, *inside[:50]):
            if isinstance(item, keras.Model):
                yield name, item


def _free(name: str, taken: set[str]) -> str:
    """Return ``name`` if it is free, otherwise ``name#2`` and so on, and take it."""
    free, n = name, 1
    while free in taken:
        n += 1
        free = f"{name}#{n}"
    taken.add(free)
    return free
