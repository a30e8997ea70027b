"""Training logs of every Keras: epochs, the best validation accuracy, and where a log begins."""

from __future__ import annotations

import re

import pytest

from grader import records as r
from grader.claims import logs

KERAS_2 = (
    "Train on 60000 samples, validate on 10000 samples\n"
    "Epoch 1/20\n"
    "   64/60000 [..............................] - ETA: 2:00 - loss: 2.3 - acc: 0.0938"
    "\r60000/60000 [==============================] - 11s 180us/step - loss: 0.2 - acc: 0.9998"
    " - val_loss: 0.0564 - val_acc: 0.9823\n"
    "Epoch 2/20\n"
    "60000/60000 [==============================] - 9s 153us/step - loss: 0.07 - acc: 0.9999"
    " - val_loss: 0.0364 - val_acc: 0.9776\n"
)
TF_2 = (
    "Epoch 1/20\n\r 1/469 [....] - ETA: 3:01 - loss: 2.3 - accuracy: 0.1016"
    "\r469/469 [======] - 5s 9ms/step - accuracy: 0.9999 - val_loss: 0.1 - val_accuracy: 0.9823\n"
)
TF_LINES = (
    "Epoch 1/20\n"
    "469/469 - 5s - loss: 0.2 - accuracy: 0.9999 - val_loss: 0.1 - val_accuracy: 0.9823 - 5s/epoch\n"
)
KERAS_3 = (
    "Epoch 1/20\n469/469 ━━━━━━━━━━━━━━━━━━━━ 7s 12ms/step"
    " - accuracy: 0.9999 - loss: 0.55 - val_accuracy: 0.9823 - val_loss: 0.0561 - learning_rate: 0.0030\n"
)


def read(text: str) -> tuple[r.SavedLog, ...]:
    return logs.read(re.split(r"[\r\n]", text), 5)


@pytest.mark.parametrize(
    "log",
    [
        KERAS_2,
        TF_2,
        TF_LINES,
        KERAS_3,
        KERAS_2.replace("val_acc", "val_categorical_accuracy"),
        KERAS_2.replace("val_acc", "val_sparse_categorical_accuracy"),
        KERAS_2.replace("val_acc", "val_accuracy_1"),
        "val_acc: .9823",
        "val_acc: 9.823e-1",
    ],
)
def test_the_best_validation_accuracy(log: str) -> None:
    """It is read, never the training accuracy or a loss."""
    (found,) = read(log)
    assert found.best is not None
    assert found.best.accuracy == 0.9823
    assert found.cell == 5


def test_what_a_log_says_of_its_run() -> None:
    """Epochs reached and announced, the images, and the last accuracy."""
    (found,) = read(KERAS_2)
    assert (found.first, found.reached, found.announced) == (1, 2, 20)
    assert (found.trained_on, found.validated_on, found.metric) == (60_000, 10_000, "acc")
    assert found.last == r.LoggedEpoch(number=2, accuracy=0.9776)


def test_two_logs_in_one_output() -> None:
    """Epochs that begin again, another number announced, or a second head line: a second log."""
    assert [log.reached for log in read(KERAS_2 + KERAS_2)] == [2, 2]
    assert [log.announced for log in read("Epoch 1/5\nEpoch 2/5\nEpoch 3/20\n")] == [5, 20]
    assert [log.announced for log in read("Epoch 1/1\nEpoch 1/1\nEpoch 1/1\n")] == [1, 1, 1]
    assert [log.validated_on for log in read(KERAS_2 + KERAS_2.replace("on 10000", "on 128"))] == [
        10_000,
        128,
    ]


def test_a_continued_fit_begins_later() -> None:
    """`initial_epoch=20`."""
    (found,) = read("Epoch 21/40\nval_acc: 0.99\nEpoch 22/40\nval_acc: 0.98\n")
    assert (found.first, found.reached, found.announced) == (21, 22, 40)


def test_checkpoints() -> None:
    """ModelCheckpoint names the best with a digit more; what the log shows is no second best."""
    text = "Epoch 1/2\n - val_acc: 0.9942\nEpoch 00001: val_acc improved from -inf to 0.99424, saving model\n"
    (found,) = read(text)
    assert found.best == r.LoggedEpoch(number=1, accuracy=0.9942)
    (silent,) = read("Epoch 00012: val_accuracy improved from 0.98110 to 0.99120, saving model to a.h5\n")
    assert silent.best == r.LoggedEpoch(number=0, accuracy=0.9912)
    assert read("Epoch 00012: val_loss improved from 0.2 to 0.1, saving model") == ()


def test_binary_accuracy_has_its_name() -> None:
    """It is used only where nothing else is logged."""
    (found,) = read("Epoch 1/1\n - val_binary_accuracy: 0.9987\n")
    assert (found.metric, found.best and found.best.accuracy) == ("binary_accuracy", 0.9987)
    (both,) = read("Epoch 1/1\n - val_acc: 0.9910 - val_binary_accuracy: 0.9987\n")
    assert (both.metric, both.best and both.best.accuracy) == ("acc", 0.991)


@pytest.mark.parametrize(
    "text",
    ["val_acc: 1.7", "val_accuracy: 99.4", "val_loss: 0.99", "acc: 0.9942", "val_acc: 1" + "1" * 5_000,
     "Epoch " + "9" * 5_000 + "/20", "Epoch 00014: LearningRateScheduler"],
)  # fmt: skip
def test_no_log(text: str) -> None:
    """What is no validation accuracy between 0 and 1, and no epoch of a fit, claims nothing."""
    assert read(text) == ()
