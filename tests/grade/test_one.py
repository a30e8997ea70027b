"""One submission from file to grade, with real retraining on a small data set of a course's own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grader import records as r
from grader.ask import training
from grader.ask.training import Watcher
from grader.data import datasets
from grader.errors import BrokenError, InstructorError
from grader.grade import one
from grader.grade.session import Grading, prepare
from grader.judge import rubric

GradeIt = Callable[..., r.Grade]

CRITERIA = """
[[criterion]]
id = "parameters"
kind = "parameter_limit"
points = 10
limit = 2000

[[criterion]]
id = "accuracy"
kind = "validation_accuracy"
points = 30
threshold = {threshold}
clear_miss = {clear_miss}
needs = {needs}
"""

SCRIPT = """
import numpy as np
import keras
from keras import layers
with np.load("digits.npz") as data:
    x, y = data["x_train"] / 255.0, data["y_train"]
    xt, yt = data["x_test"] / 255.0, data["y_test"]
model = keras.Sequential([
    keras.Input((8, 8, 1)),
    layers.Conv2D(8, 3, activation="relu"),
    layers.Flatten(),
    layers.Dense(2, activation="softmax"),
])
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x, y, batch_size=16, epochs=4, validation_data=(xt, yt))
"""

# Weights of zero and a learning rate of zero: always the same class, right for half of the images.
LAZY = SCRIPT.replace('"adam"', "keras.optimizers.SGD(0.0)").replace(
    'Dense(2, activation="softmax")', 'Dense(2, activation="softmax", kernel_initializer="zeros")'
)


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the rubric of the latest grade lies."""
    return tmp_path_factory.mktemp("rules") / "sides.toml"


@pytest.fixture(scope="module")
def grade(digits: r.DatasetSpec, rules: Path, grading: Callable[..., Grading]) -> GradeIt:
    """Writes a rubric and a script, and grades."""

    def run(
        source: str = SCRIPT,
        threshold: float = 0.9,
        clear_miss: float = 1.0,
        needs: str = "[]",
        retrain: bool = True,
        policy: str = "",
        watcher: Any = None,
    ) -> r.Grade:
        rules.write_text(
            f'title = "sides"\n'
            f'dataset = {{ name = "digits", path = "{digits.path}", sha256 = "{digits.sha256}" }}\n'
            f"[training]\nepochs = 4\n{policy}\n"
            + CRITERIA.format(threshold=threshold, clear_miss=clear_miss, needs=needs)
        )
        script = rules.with_name("submission.py")
        script.write_text(source)
        return one.grade_one(script, grading(rules, retrain, watcher))

    return run


@pytest.fixture(scope="module")
def good(grade: GradeIt) -> r.Grade:
    """What the good submission comes to."""
    return grade()


# The brighter side wins: the scores are the means of both halves, and nothing is learned but their scale.
BROUGHT = SCRIPT.replace(
    SCRIPT[SCRIPT.index("    layers.Conv2D") : SCRIPT.index("])\nmodel.compile")],
    "    layers.BatchNormalization(), layers.AveragePooling2D((8, 4)), layers.Flatten(),\n"
    "    layers.Activation('softmax'),\n",
)


def test_accuracy_that_was_brought_along_goes_to_a_person(grade: GradeIt) -> None:
    """It is perfect with the classes as they are and always wrong with the classes renumbered."""
    result = grade(BROUGHT)
    assert [run.best and run.best.correct for run in result.runs] == [100, 0]
    assert [run.symmetry.classes for run in result.runs] == [(), (1, 0)]
    assert (result.status, result.points, result.needs_review) == ("needs_person", 10, True)
    assert "with the classes renumbered 0.00%" in result.verdicts[1].message


def test_where_one_attempt_is_enough_it_is_renumbered_too(grade: GradeIt) -> None:
    """A rubric of a single attempt, or that lets any attempt pass, is no way around."""
    for policy in ("attempts = 1", 'attempts = 2\ndecide = "any"'):
        result = grade(BROUGHT, policy=policy)
        assert {run.best and run.best.correct for run in result.runs} == {0}
        assert result.verdicts[1].outcome == "fail"


FROZEN_IN_THE_END = (
    SCRIPT
    + """
for layer in model.layers[1:]:
    layer.trainable = False
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x, y, batch_size=16, epochs=1)
"""
)


def test_what_any_fit_trained_counts_as_trainable(grade: GradeIt) -> None:
    """Layers that are frozen in the end have been trained all the same."""
    result = grade(FROZEN_IN_THE_END, retrain=False)
    assert result.model is not None
    assert result.model.trainable_parameters == result.model.total_parameters == 80 + 288 * 2 + 2


def test_epochs_of_several_passes_end_with_the_passes(grade: GradeIt) -> None:
    """Four epochs of two passes each are eight; the rubric retrains four."""
    twice = SCRIPT.replace("batch_size=16,", "batch_size=16, steps_per_epoch=40,")
    once = "attempts = 1\nstop_when_settled = false"
    result = grade(twice, policy=once)
    assert [len(run.epochs) for run in result.runs] == [2]
    assert any("8 passes over the training images" in note.message for note in result.notes)
    result = grade(twice, policy=f"{once}\npasses = 8")
    assert [len(run.epochs) for run in result.runs] == [4]


def test_a_good_submission_passes_by_retraining(good: r.Grade) -> None:
    """Majority of three: two attempts suffice, with the published seeds, and provenance is whole."""
    result = good
    assert (result.status, result.points, result.problem) == ("passed", 40, None)
    assert [run.seed for run in result.runs] == [2019, 2020]
    assert {run.ended for run in result.runs} == {"threshold_reached"}
    assert all(run.best and run.best.correct >= 90 and run.best.images == 100 for run in result.runs)
    assert result.model is not None
    assert (result.model.total_parameters, result.model.recipe_source) == (80 + 288 * 2 + 2, "submission")
    assert result.model.recipe[0].scaling.scale == pytest.approx(1 / 255)
    environment = result.runs[0].environment
    tools = {"numba"} if environment.engine == "native" else {"tensorflow", "keras"}
    assert set(environment.versions) == {"grader", "python", "numpy"} | tools
    assert len(result.provenance.submission_digest) == len(result.provenance.rubric_digest) == 64
    assert r.Grade.model_validate_json(result.model_dump_json()) == result


def test_grading_again_gives_the_same_runs(good: r.Grade, grade: GradeIt) -> None:
    """Same submission, rubric and machine: the same counts and losses, to the digit."""

    def numbers(result: r.Grade) -> list[Any]:
        return [(e.correct, e.train_loss) for run in result.runs for e in run.epochs]

    assert numbers(good) == numbers(grade())


def test_a_miss_is_a_fail_with_all_attempts_shown(grade: GradeIt) -> None:
    """A learning rate of zero learns nothing: three attempts fail, or two that miss clearly."""
    result = grade(LAZY)
    assert (result.status, result.points) == ("not_passed", 10)
    assert len(result.runs) == 3
    assert result.verdicts[1].outcome == "fail"
    assert len(grade(LAZY, clear_miss=0.05).runs) == 2


def test_without_retraining_structure_is_answered(grade: GradeIt) -> None:
    """--no-retrain: accuracy is not reached, nothing asks for a person."""
    result = grade(retrain=False)
    assert (result.status, result.points, result.needs_review) == ("structure_only", 10, False)
    assert [v.outcome for v in result.verdicts] == ["pass", "not_reached"]


def test_needs_that_fail_save_the_retraining(grade: GradeIt) -> None:
    """Too many parameters, and accuracy needs the limit: no attempt is made."""
    big = SCRIPT.replace("Conv2D(8, 3", "Conv2D(64, 3")
    result = grade(big, needs='["parameters"]')
    assert (result.runs, result.status) == ((), "not_passed")
    assert "needs 'parameters'" in result.verdicts[1].message


OWN_LAYER = SCRIPT.replace("layers.Flatten(),", "Own(), layers.Flatten(),").replace(
    "model = ", "class Own(layers.Layer):\n    def call(self, x):\n        return x\nmodel = "
)


@pytest.mark.parametrize(("replay", "would"), [("allowed", "replayed"), ("forbidden", "left to a person")])
def test_without_retraining_it_is_told_what_it_would_meet(grade: GradeIt, replay: str, would: str) -> None:
    """Who checks without retraining learns that the network could not be retrained from its description."""
    result = grade(OWN_LAYER, retrain=False, policy=f'replay = "{replay}"')
    assert f"not retrained: --no-retrain. It would be {would}" in result.verdicts[1].message
    assert "Own" in result.verdicts[1].message


def test_what_cannot_be_described_goes_to_a_person(grade: GradeIt) -> None:
    """A custom layer under a rubric without replay is no zero: the rest is graded, a person is asked."""
    result = grade(OWN_LAYER, policy='replay = "forbidden"')
    assert (result.status, result.needs_review) == ("needs_person", True)
    assert "Own" in result.verdicts[1].message


def test_a_network_for_other_images_is_told_so(grade: GradeIt) -> None:
    """Input and output must fit the data set."""
    other = "import keras\nmodel = keras.Sequential([keras.Input((9, 9, 1)), keras.layers.Flatten()])"
    result = grade(other)
    assert result.problem is not None
    assert result.problem.kind == "student"
    assert "(9, 9, 1)" in result.problem.message
    wrong_classes = SCRIPT.replace("Dense(2", "Dense(3")
    problem = grade(wrong_classes).problem
    assert problem is not None
    assert "2 classes" in problem.message


def test_a_diverging_recipe_is_a_clear_fail(grade: GradeIt) -> None:
    """A NaN loss ends the run; verdict and hint say why."""
    wild = SCRIPT.replace('"adam"', "keras.optimizers.SGD(1e30)")
    result = grade(wild, clear_miss=0.05)
    assert (result.runs[0].ended, result.status) == ("diverged", "not_passed")
    assert "learning rate is too high" in result.verdicts[1].hint


class _InterruptInSecondAttempt(Watcher):
    def attempt(self, number: int, attempts: int, seed: int, epochs: int) -> None:
        self.number = number

    def epoch(self, result: r.EpochResult) -> None:
        if self.number == 2:
            raise KeyboardInterrupt


def test_interrupting_keeps_what_is_known(grade: GradeIt) -> None:
    """^C in the second attempt: the first one is reported, and so is what the second had."""
    result = grade(threshold=1.0, watcher=_InterruptInSecondAttempt())
    assert result.status == "interrupted"
    assert result.problem is not None
    assert [run.ended for run in result.runs][-1] == "interrupted"
    assert len(result.runs) == 2
    assert result.verdicts[0].outcome == "pass"


def test_a_fault_of_ours_is_broken_and_costs_nothing(grade: GradeIt, monkeypatch: pytest.MonkeyPatch) -> None:
    """A training child that cannot start is flagged for a person, whatever the submission is worth."""

    def fail(*args: Any, **kwargs: Any) -> Any:
        raise BrokenError("the GPU fell off the bus")

    monkeypatch.setattr(training.Training, "run", fail)
    result = grade()
    assert (result.status, result.needs_review) == ("needs_person", True)
    assert result.verdicts[1].outcome == "broken"
    assert result.problem is not None
    assert result.problem.kind == "broken"


def test_the_claim_is_held_against_the_runs(
    tmp_path: Path, rules: Path, grade: GradeIt, grading: Callable[..., Grading]
) -> None:
    """A notebook that claims 100 % and reaches less is told so; points are untouched."""
    notebook = {
        "nbformat": 4, "nbformat_minor": 2, "metadata": {},
        "cells": [{"cell_type": "code", "metadata": {}, "execution_count": 1,
                   "source": LAZY,
                   "outputs": [{"output_type": "stream", "name": "stdout", "text":
                                "Total params: 999\nEpoch 4/4\n - val_accuracy: 1.0000\n"}]}],
    }  # fmt: skip
    grade(retrain=False)  # writes the rubric
    path = tmp_path / "claims.ipynb"
    path.write_text(json.dumps(notebook))
    result = one.grade_one(path, grading(rules))
    assert [c.agrees for c in result.claims] == [False, True, False]
    assert "100%" in result.claims[2].claim or "1.0000" in result.claims[2].claim


def test_a_missing_file_is_the_callers_error(sides: Callable[..., Path], tmp_path: Path) -> None:
    """No grade for a path that does not exist."""
    with (
        prepare(rubric.load(str(sides())), True, Watcher()) as grading,
        pytest.raises(InstructorError, match="no such file"),
    ):
        one.grade_one(tmp_path / "nothing.ipynb", grading)


def test_the_data_set_ships_and_is_whole() -> None:
    """MNIST: 60,000 and 10,000 images, ten classes, verified by digest."""
    data = datasets.load(datasets.MNIST)
    assert (data.x_train.shape, data.x_test.shape) == ((60000, 28, 28, 1), (10000, 28, 28, 1))
    assert (data.classes, data.image_shape) == (10, (28, 28, 1))
    assert np.bincount(data.y_test).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    with pytest.raises(BrokenError, match="SHA-256"):
        datasets.load(datasets.MNIST.model_copy(update={"sha256": "0" * 64}))
