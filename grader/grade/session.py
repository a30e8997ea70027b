"""What stays the same for every submission graded with one rubric."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from grader.ask import description, training
from grader.ask.asker import Asker
from grader.box import isolation
from grader.data import datasets
from grader.judge.checks import MEASURED
from grader.judge.checks.validation_accuracy import ValidationAccuracy
from grader.judge.rubric import LoadedRubric, Rubric


@dataclass(frozen=True)
class Grading:
    """What stays the same for every submission graded with one rubric."""

    loaded: LoadedRubric
    dataset: datasets.Dataset
    asker: Asker
    retrain: bool
    watcher: training.Watcher
    kept: description.Kept = description.NOTHING

    @property
    def rubric(self) -> Rubric:
        """The rubric that was loaded."""
        return self.loaded.rubric

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of the attempts that the rubric allows, in order."""
        policy = self.rubric.training
        return policy.seeds[: policy.attempts]

    @property
    def accuracy(self) -> ValidationAccuracy | None:
        """The criterion that asks for a validation accuracy."""
        return next((c for c in self.rubric.criterion if isinstance(c, ValidationAccuracy)), None)

    @property
    def needed(self) -> int | None:
        """The correct test images that the criterion of accuracy asks for; None without that criterion."""
        return self.accuracy.needed(self.dataset.sizes.test) if self.accuracy else None

    @property
    def stop_at(self) -> int | None:
        """The correct images at which a run may end; None unless the best epoch alone counts."""
        policy = self.rubric.training
        others = [c for c in self.rubric.criterion if c.kind in MEASURED and c is not self.accuracy]
        if others or policy.metric != "best_epoch" or not policy.stop_when_settled:
            return None
        return self.needed


@contextmanager
def prepare(
    loaded: LoadedRubric,
    retrain: bool,
    watcher: training.Watcher,
    isolated: isolation.Wanted = "preferred",
    many: bool = False,
    kept: description.Kept = description.NOTHING,
) -> Iterator[Grading]:
    """Set up a box and the data for one or ``many`` submissions; many share a fork server if one can run.

    Raises `InstructorError` for what is wrong with the rubric's data, and `BrokenError` where a box is
    required and none works, before any grading.
    """
    box = isolation.choose(isolated)
    dataset = datasets.load(loaded.dataset)
    with tempfile.TemporaryDirectory(prefix="grader-") as shared:
        asker = Asker(dataset, box, Path(shared))
        asker.many = many
        try:
            yield Grading(loaded, dataset, asker, retrain, watcher, kept)
        finally:
            asker.close()
