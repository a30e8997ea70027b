"""Replay: training that no description can say, run by its own code and counted by us."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grader import records as r
from grader.ask.replay import Replay, Replaying
from grader.ask.training import Watcher
from grader.data import datasets
from grader.errors import Unsupported
from grader.grade import one
from grader.grade.session import Grading
from grader.judge import rubric, score

GradeIt = Callable[..., r.Grade]

START = """
import numpy as np
import tensorflow as tf
import keras
from keras import layers
with np.load("digits.npz") as data:
    x, y = data["x_train"][..., None] / 255.0, data["y_train"]
    xt, yt = data["x_test"][..., None] / 255.0, data["y_test"]
"""

OWN_LAYER = (
    START
    + """
class Twice(layers.Layer):
    def build(self, shape):
        self.factor = self.add_weight(shape=(shape[-1],), initializer="ones")
    def call(self, x):
        return x * self.factor
model = keras.Sequential([
    keras.Input((8, 8, 1)), layers.Conv2D(8, 3, activation="relu"), Twice(), layers.Flatten(),
    layers.Dense(2, activation="softmax"),
])
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x, y, batch_size=16, epochs=6, validation_data=(xt, yt), callbacks=[
    keras.callbacks.EarlyStopping("val_accuracy", patience=0)])
"""
)

OWN_LOOP = (
    START
    + """
model = keras.Sequential([
    keras.Input((8, 8, 1)), layers.Conv2D(8, 3, activation="relu"), layers.Flatten(), layers.Dense(2),
])
optimizer = keras.optimizers.Adam(0.01)
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
batches = tf.data.Dataset.from_tensor_slices((x.astype("float32"), y)).shuffle(320).batch(32)
{decorator}
def step(images, labels):
    with tf.GradientTape() as tape:
        value = loss(labels, model(images, training=True))
    gradients = tape.gradient(value, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables))
    return value
for epoch in range(6):
    for images, labels in batches:
        step(images, labels)
    print(float(loss(yt, model(xt.astype("float32")))))
"""
)

BY_BATCH = (
    START
    + """
model = keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(2, activation="softmax")])
model.compile(keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy")
for epoch in range(6):
    for start in range(0, len(x), 40):
        model.train_on_batch(x[start:start + 40], y[start:start + 40])
"""
)

SUBCLASSED = (
    START
    + """
class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.flat, self.head = layers.Flatten(), layers.Dense(2, activation="softmax")
    def call(self, x):
        return self.head(self.flat(x))
    def train_step(self, data):
        return super().train_step(data)
model = Net()
model.compile(keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x, y, batch_size=16, epochs=6)
"""
)

IN_A_REPLAY = '"grader.describe.keras.replayer" in sys.modules'

ON_THE_TEST_SPLIT = OWN_LAYER.replace("model.fit(x, y,", "model.fit(np.r_[x, xt], np.r_[y, yt],")


@pytest.fixture(scope="module")
def grade(
    digits: r.DatasetSpec, tmp_path_factory: pytest.TempPathFactory, grading: Callable[..., Grading]
) -> GradeIt:
    """Grade a script under a rubric of at most four epochs and one attempt, each only once."""

    @cache
    def run(source: str, policy: str = "", limit: int = 2_000) -> r.Grade:
        folder = tmp_path_factory.mktemp("replay")
        toml = folder / "rubric.toml"
        toml.write_text(
            f'title = "sides"\n'
            f'dataset = {{ name = "digits", path = "{digits.path}", sha256 = "{digits.sha256}" }}\n'
            f"[training]\nepochs = 4\nattempts = 1\nstop_when_settled = false\n{policy}\n"
            f'[[criterion]]\nid = "size"\nkind = "parameter_limit"\npoints = 1\nlimit = {limit}\n'
            f'[[criterion]]\nid = "accuracy"\nkind = "validation_accuracy"\npoints = 9\nthreshold = 0.9\n'
        )
        script = folder / "submission.py"
        script.write_text(source)
        return one.grade_one(script, grading(toml))

    return run


REPLAYED = {
    "a layer of its own": OWN_LAYER,
    "a loop": OWN_LOOP.format(decorator=""),
    "a compiled loop": OWN_LOOP.format(decorator="@tf.function"),
    "batch by batch": BY_BATCH,
    "a subclassed model": SUBCLASSED,
}


@pytest.mark.parametrize("source", REPLAYED.values(), ids=REPLAYED)
def test_what_cannot_be_described_is_replayed(grade: GradeIt, source: str) -> None:
    """Its own code learns, stopped from outside after the rubric's four epochs; the report says so."""
    result = grade(source)
    (run,) = result.runs
    assert run.replayed
    assert [epoch.epoch for epoch in run.epochs] == [1, 2, 3, 4]
    assert run.best is not None
    assert run.best.correct >= 90
    assert run.best.changed is not None
    assert run.best.changed.correct >= 0.9 * run.best.changed.images
    assert any("lower assurance" in note.message for note in result.notes)


def test_a_replay_never_passes_unattended(grade: GradeIt) -> None:
    """What it has earned waits for a person's word, and so do status, points and exit code."""
    result = grade(OWN_LAYER)
    accuracy = result.verdicts[1]
    assert (accuracy.outcome, accuracy.points, accuracy.to_confirm) == ("not_reached", 0, 9)
    assert (result.status, score.exit_code(result), result.points) == ("needs_person", 3, 1)
    rules = rubric.load("assignment4").rubric
    confirmed = score.by_hand(rules, result, {"accuracy": (9, "looked at it")})
    assert (confirmed.status, confirmed.points, confirmed.needs_review) == ("passed", 10, False)


MISLED = (
    START
    + """
class Again(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs):
        if logs["val_accuracy"] < 0.9:
            self.model.set_weights([0 * w for w in self.model.get_weights()])
model = keras.Sequential([
    keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(2, "softmax")])
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x, y, batch_size=16, epochs=6, validation_data=(xt, yt), callbacks=[Again()])
"""
)


def test_a_replay_that_test_labels_mislead_fails_nobody(grade: GradeIt) -> None:
    """What it measures on them is not what it would have measured: a miss is left to a person."""
    result = grade(MISLED)
    assert (result.verdicts[1].outcome, result.needs_review) == ("not_reached", True)
    assert "test labels mean nothing" in result.verdicts[1].message


NAMED_LIKE_A_CALLBACK = (
    START
    + """
def my_callback(wanted, found):
    return 0.0 * tf.reduce_sum(found, axis=-1)
model = keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(2, activation="softmax")])
model.compile("sgd", my_callback, metrics=["accuracy"])
model.fit(x, y, batch_size=16, epochs=2)
"""
)


def test_what_a_student_calls_a_loss_decides_nothing(grade: GradeIt) -> None:
    """A loss reacts to no measured result, whatever its name: a miss in its replay is a fail."""
    verdict = grade(NAMED_LIKE_A_CALLBACK).verdicts[1]
    assert (verdict.outcome, verdict.points, verdict.needs_review) == ("fail", 0, False)


def test_own_layers_count_with_what_they_report(grade: GradeIt) -> None:
    """The limit is answered with their word, and a person is asked to look."""
    result = grade(OWN_LAYER)
    assert result.model is not None
    assert result.model.total_parameters == 80 + 8 + 6 * 6 * 8 * 2 + 2
    assert (result.status, result.needs_review) == ("needs_person", True)
    assert any("8 parameters of twice_1 (Twice)" in note.message for note in result.notes)
    assert grade(OWN_LAYER, limit=600).verdicts[0].outcome == "fail"


def test_a_subclassed_model_reports_its_parameters(grade: GradeIt) -> None:
    """Keras remembers what it was called on, so that its size is known by its own word."""
    result = grade(SUBCLASSED)
    assert result.model is not None
    assert result.model.total_parameters == 64 * 2 + 2
    assert (result.verdicts[0].outcome, result.verdicts[1].to_confirm) == ("pass", 9)


def test_training_on_the_test_split_is_refused(grade: GradeIt) -> None:
    """Its labels were never given, so nothing can be learned from it; a person decides."""
    result = grade(ON_THE_TEST_SPLIT)
    assert (result.runs, result.status, result.needs_review) == ((), "needs_person", True)
    assert "never given" in result.verdicts[1].message


def test_a_rubric_may_forbid_replay(grade: GradeIt) -> None:
    """Then a person decides, as for whatever cannot be replayed."""
    result = grade(OWN_LAYER, policy='replay = "forbidden"')
    assert (result.runs, result.status) == ((), "needs_person")


def test_a_replay_that_takes_too_long_goes_to_a_person(grade: GradeIt) -> None:
    """The time of an attempt is limited from outside."""
    slow = OWN_LOOP.format(decorator="").replace(
        "        step(", f"        import sys, time; time.sleep(3 * ({IN_A_REPLAY}))\n        step("
    )
    result = grade(slow, policy="replay_seconds = 15")
    assert (result.runs, result.status) == ((), "needs_person")
    assert "longer than 15 s" in result.verdicts[1].message


def test_weights_that_came_along_are_not_trained_on(grade: GradeIt) -> None:
    """Only what was trained here counts."""
    source = OWN_LAYER.replace(
        "model.fit(", "model.set_weights([w + 1 for w in model.get_weights()])\nmodel.fit("
    )
    result = grade(source)
    assert (result.runs, result.status) == ((), "needs_person")
    assert "only retraining counts" in result.verdicts[1].message


# --- what a child may say -----------------------------------------------------------------------


def _npy(array: Any, **how: Any) -> str:
    file = io.BytesIO()
    np.save(file, array, **how)
    return base64.b64encode(file.getvalue()).decode()


class _Asker:
    """What counting needs of the real one: the labels."""

    class dataset:
        y_test = np.arange(10) % 3


@pytest.fixture
def replaying() -> Replaying:
    """An attempt whose child has said nothing yet, over ten images."""
    asker: Any = _Asker()
    replay = Replay(Path("nowhere.py"), "", 1, 10, asker, DESCRIBED, 9)
    fit = r.TrainingRecipe(optimizer=r.SGD(), learning_rates=(0.1,), epochs=1)
    job = r.TrainJob(network=DESCRIBED, training=(fit,), dataset=datasets.MNIST, seed=1, max_epochs=2)
    return Replaying(replay, job, Watcher())


def _network(units: int) -> r.ModelDescription:
    layers = (r.InputLayer(name="a", shape=(2,)), r.Dense(name="b", inbound=("a",), units=units))
    return r.ModelDescription(inputs=("a",), layers=layers, outputs=("b",))


DESCRIBED = _network(3)


def _line(**event: Any) -> bytes:
    if event["kind"] == "epoch":
        event = {"network": DESCRIBED.model_dump(mode="json"), **event}
    return json.dumps({"event": event}).encode()


NO_PREDICTIONS = {
    "no base64": "§§§",
    "no npy": base64.b64encode(b"PK\x03\x04").decode(),
    "objects": _npy(np.array([None] * 10, object), allow_pickle=True),
    "probabilities": _npy(np.full((10, 3), 1 / 3)),
    "too few": _npy(np.zeros(9, np.int32)),
    "numbers that are no classes": _npy(np.zeros(10)),
}


@pytest.mark.parametrize("predictions", NO_PREDICTIONS.values(), ids=NO_PREDICTIONS)
def test_anything_but_a_class_for_each_image_is_refused(replaying: Replaying, predictions: str) -> None:
    """With a reason for the person who looks."""
    with pytest.raises(Unsupported, match="prediction"):
        replaying._answer(_line(kind="epoch", predictions=predictions))


def test_predictions_are_counted_here(replaying: Replaying) -> None:
    """Ten images, of which the child says whatever it likes; the epochs are numbered here as well."""
    replaying._answer(_line(kind="epoch", predictions=_npy(np.zeros(10, np.int32)), train_accuracy=1.0))
    with pytest.raises(Exception, match=r"^$"):  # the second of two epochs ends it
        replaying._answer(_line(kind="epoch", predictions=_npy(np.arange(10) % 3)))
    assert [(epoch.epoch, epoch.correct) for epoch in replaying.epochs] == [(1, 4), (2, 10)]


def test_another_network_than_was_described_is_refused(replaying: Replaying) -> None:
    """Nor one that is not told, nor more parameters than all described models have."""
    right = _npy(np.arange(10) % 3)
    other = _network(3_000).model_dump(mode="json")
    with pytest.raises(Unsupported, match="9 parameters were described, 9,000 train"):
        replaying._answer(_line(kind="epoch", predictions=right, network=other))
    with pytest.raises(Unsupported, match="did not say which"):
        Replaying(replaying.replay, replaying.job, Watcher())._answer(
            _line(kind="epoch", predictions=right, network=None)
        )
    with pytest.raises(Unsupported, match="changed 3,200,000 parameters"):
        replaying._answer(_line(kind="epoch", predictions=right, touched=3_200_000))
    assert replaying.epochs == []


SAYINGS = [
    b"null",
    b'{"event": {"kind": "epoch"}}',
    _line(kind="score", correct=10),
    _line(kind="epoch", predictions="", correct=10),
    _line(kind="epoch", predictions="", learning_rate=-1),
    b'{"event": {"kind": "end"}, "event": {"kind": "end"}}',
]


@pytest.mark.parametrize("line", SAYINGS)
def test_other_sayings_are_not_taken(replaying: Replaying, line: bytes) -> None:
    """The child names no count, no verdict and no field that is not asked for."""
    with pytest.raises(Unsupported, match="not valid"):
        replaying._answer(line)
    assert replaying.epochs == []


ANOTHER = OWN_LAYER.replace("layers.Conv2D(8,", "layers.Conv2D(SIZE,").replace(
    "class Twice",
    'import sys\nSIZE = 64 if "grader.describe.keras.replayer" in sys.modules else 1\nclass Twice',
)
HIDDEN = OWN_LAYER.replace(
    "model.compile(",
    """import sys
if "grader.describe.keras.replayer" in sys.modules:
    teacher = keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(500), layers.Dense(2)])
    teacher.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    teacher.fit(x, y)
model.compile(""",
    1,
)


@pytest.mark.parametrize("source", [ANOTHER, HIDDEN], ids=["another network", "another model beside it"])
def test_a_replay_trains_what_was_described(grade: GradeIt, source: str) -> None:
    """Code that notices the replay and trains more than it showed is left to a person."""
    result = grade(source)
    assert (result.runs, result.status) == ((), "needs_person")
    assert "described" in result.verdicts[1].message


BY_HEART = (
    START
    + """
known = np.array(KNOWN, "float32")
class Recall(layers.Layer):
    def call(self, x):
        total = tf.reduce_sum(tf.round(x * 255.0), axis=[1, 2, 3])[:, None]
        found = tf.reduce_any(tf.abs(total - known[None, :]) < 0.5, axis=1)
        return tf.one_hot(tf.cast(found, "int32"), 2) * 50.0
inputs = keras.Input((8, 8, 1))
small = layers.Dense(2)(layers.Flatten()(inputs))
model = keras.Model(inputs, layers.Softmax()(layers.Add()([small, Recall()(inputs)])))
model.compile(keras.optimizers.SGD(1e-9), "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x, y, batch_size=16, epochs=6, validation_data=(xt, yt))
"""
)


def test_a_table_of_the_test_images_is_seen(digits: r.DatasetSpec, grade: GradeIt) -> None:
    """It knows every image of the second class by its sum, and none that was shifted."""
    with np.load(digits.path) as data:
        sums = data["x_test"][data["y_test"] == 1].sum(axis=(1, 2)).tolist()
    result = grade(BY_HEART.replace("KNOWN", str(sums)))
    (run,) = result.runs
    assert run.best is not None
    assert run.best.correct >= 90
    assert (result.verdicts[1].outcome, result.verdicts[1].to_confirm) == ("not_reached", None)
    assert "by heart" in result.verdicts[1].message


FORGER = (
    START
    + """
import os, sys, json, base64, io
file = io.BytesIO()
np.save(file, np.zeros(100, np.int32))
line = json.dumps({"event": {"kind": "epoch", "predictions": base64.b64encode(file.getvalue()).decode()}})
for descriptor in range(3, 50 if "grader.describe.keras.replayer" in sys.modules else 0):
    try:
        os.write(descriptor, (line + "\\n").encode() * 6)
    except OSError:
        pass
"""
    + OWN_LAYER.removeprefix(START)
)


def test_a_forger_gains_nothing(grade: GradeIt) -> None:
    """What it writes into the answer is taken for its own, and says not even which network trains."""
    result = grade(FORGER)
    assert (result.runs, result.status) == ((), "needs_person")
    assert "did not say which network" in result.verdicts[1].message
