"""What saved outputs say is read in the formats of every era, and held against what was recomputed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader import records as r
from grader.claims import SPREAD, compare, read


def program(*outputs: str, prose: str = "") -> r.Program:
    cells = [r.Cell(kind="markdown", source=prose)] if prose else []
    cells += [r.Cell(kind="code", source="x", output=text) for text in outputs]
    return r.Program(name="a.ipynb", path="a.ipynb", digest="", cells=tuple(cells))


# --- summaries ----------------------------------------------------------------------------------

KERAS_2_2 = """
_________________________________________________________________
Layer (type)                 Output Shape              Param #
=================================================================
conv2d_1 (Conv2D)            (None, 26, 26, 8)         80
_________________________________________________________________
activation_1 (Activation)    (None, 10)                0
=================================================================
Total params: 10,524
Trainable params: 10,332
Non-trainable params: 192
_________________________________________________________________
"""
TF_KERAS = 'Model: "sequential"\n' + KERAS_2_2.replace("10,524", "13880")
KERAS_3 = """
┏━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━┓
┃ Layer (type)    ┃ Output Shape   ┃       Param # ┃
└─────────────────┴────────────────┴───────────────┘
 Total params: 13,880 (54.22 KB)
 Trainable params: 13,688 (53.47 KB)
 Non-trainable params: 192 (768.00 B)
"""


@pytest.mark.parametrize(
    ("text", "total"),
    [(KERAS_2_2, 10_524), (TF_KERAS, 13_880), (KERAS_3, 13_880), ("Total params: 1,000,010\n", 1_000_010),
     ("Total params: 42.", 42), ("Total params: 12_345", 12_345)],
)  # fmt: skip
def test_summaries(text: str, total: int) -> None:
    """The total of a summary is read, and neither its trainable part nor its size in memory."""
    assert read(program(text)).total_parameters == (total,)


def test_several_summaries() -> None:
    """Every summary counts, in the order of the document."""
    assert read(program(KERAS_3, KERAS_2_2 + KERAS_3)).total_parameters == (13_880, 10_524, 13_880)


def test_no_claims() -> None:
    """Silence claims nothing; nor does prose about parameters."""
    claims = read(program("hello", "Total params: ", prose="Total params: 5, and then some text"))
    assert claims == r.Claims()


@pytest.mark.parametrize("text", ["Total params: " + "9" * 5_000, "Epoch " + "9" * 5_000 + "/20"])
def test_absurd_numbers(text: str) -> None:
    """A number of five thousand digits does not stop the grading."""
    claims = read(program(text))
    assert claims == r.Claims()


# --- training logs ------------------------------------------------------------------------------

LOG_2_2 = (
    "Train on 60000 samples, validate on 10000 samples\n"
    "Epoch 1/20\n"
    "   64/60000 [..............................] - ETA: 2:00 - loss: 2.3 - acc: 0.0938"
    "\x08\x08\x08\r60000/60000 [==============================] - 11s 180us/step - loss: 0.2 - acc: 0.9998"
    " - val_loss: 0.0564 - val_acc: 0.9823\n"
    "Epoch 2/20\n"
    "60000/60000 [==============================] - 9s 153us/step - loss: 0.07 - acc: 0.9999"
    " - val_loss: 0.0364 - val_acc: 0.9776\n"
)
LOG_TF_2 = (
    "Epoch 1/20\n\r 1/469 [....] - ETA: 3:01 - loss: 2.3 - accuracy: 0.1016"
    "\r469/469 [======] - 5s 9ms/step - accuracy: 0.9999 - val_loss: 0.1 - val_accuracy: 0.9823\n"
)
LOG_3 = (
    "Epoch 1/20\n\x1b[1m469/469\x1b[0m \x1b[32m━━━━\x1b[0m\x1b[37m\x1b[0m \x1b[1m7s\x1b[0m 12ms/step"
    " - accuracy: 0.9999 - loss: 0.55 - val_accuracy: 0.9823 - val_loss: 0.0561 - learning_rate: 0.0030\n"
)


@pytest.mark.parametrize(
    "log",
    [
        LOG_2_2,
        LOG_TF_2,
        LOG_3,
        LOG_2_2.replace("val_acc", "val_categorical_accuracy"),
        LOG_2_2.replace("val_acc", "val_sparse_categorical_accuracy"),
        LOG_2_2.replace("val_acc", "val_accuracy_1"),
        "val_acc: .9823",
        "val_acc: 9.823e-1",
    ],
)
def test_training_logs(log: str) -> None:
    """The best validation accuracy is read, never the training accuracy or a loss."""
    claims = read(program(log))
    assert (claims.best_accuracy, claims.accuracy_source) == (0.9823, "training log")


def test_epochs_logged() -> None:
    """The last epoch that the log reached, not the one it was going to."""
    assert read(program(LOG_2_2)).epochs_logged == 2
    assert read(program(LOG_TF_2, "Epoch 00014: LearningRateScheduler\nEpoch 14/20\n")).epochs_logged == 14


@pytest.mark.parametrize("text", ["val_acc: 1.7", "val_accuracy: 99.4", "val_loss: 0.99", "acc: 0.9942"])
def test_impossible_accuracies(text: str) -> None:
    """What is no validation accuracy between 0 and 1 claims nothing."""
    assert read(program(text)).best_accuracy is None


@pytest.mark.parametrize(
    "text", ["[0.0202, 0.9942]", "  [0.0202, 0.9942]  ", "noise\n[2.02e-02, 0.9942]\nmore"]
)
def test_evaluate(text: str) -> None:
    """`print(score)` shows loss and accuracy as a list on a line of its own."""
    claims = read(program(text))
    assert (claims.best_accuracy, claims.accuracy_source) == (0.9942, "printed score")


@pytest.mark.parametrize("text", ["[0.02, 0.99, 0.98]", "x = [0.0202, 0.9942]", "[3, 4]", "[0.02, 7.5]"])
def test_other_lists(text: str) -> None:
    """Other lists are no scores."""
    assert read(program(text)).best_accuracy is None


@pytest.mark.parametrize(
    "prose",
    [
        "reaches 99.42%",
        "reaches 99.42 % after overfitting",
        "It got 99.42, but after overfitting.",
        "validation accuracy: 0.9942",
        "It reaches 99.42%.",
        "It reaches 99.42.",
        "It reaches 0.9942.",
        "It reaches .9942!",
        "between 98.1% and 99.42%",
    ],
)
def test_prose(prose: str) -> None:
    """A write-up without a log claims the highest accuracy that it mentions."""
    claims = read(program(prose=prose))
    assert (claims.best_accuracy, claims.accuracy_source) == (0.9942, "text")


@pytest.mark.parametrize("prose", ["10.9942", "0.99.42", "199.42%", "version 2.99.1", "50.5 %", "99 bottles"])
def test_prose_without_accuracy(prose: str) -> None:
    """Other numbers are not taken for accuracies."""
    assert read(program(prose=prose)).best_accuracy is None


def test_log_before_score_before_prose() -> None:
    """The log is the best witness; a printed score comes next; the text is the last."""
    assert read(program(LOG_2_2, "[0.02, 0.9900]", prose="99.42%")).best_accuracy == 0.9823
    assert read(program("[0.02, 0.9900]", prose="99.42%")).best_accuracy == 0.99


@given(st.text(alphabet="Total params:val_cEpoch 0123456789.,[]%e-/\n", max_size=300))
def test_any_text_is_read(text: str) -> None:
    """Whatever stands in an output or in the prose, reading it gives possible claims."""
    claims = read(program(text, prose=text))
    assert claims.best_accuracy is None or 0 <= claims.best_accuracy <= 1


# --- compare ------------------------------------------------------------------------------------


def test_nothing_to_compare(run: Callable[..., r.TrainingRun]) -> None:
    """Where either side is silent there is no line in the report."""
    assert compare(r.Claims(), 100, 20, [run([9_940])]) == ()
    everything = r.Claims(total_parameters=(1,), epochs_logged=1, best_accuracy=0.5, accuracy_source="text")
    assert compare(everything, None, None, []) == ()
    assert compare(everything, None, None, [run([], ended="diverged")]) == ()


@pytest.mark.parametrize(
    ("claimed", "agrees"), [((49_220,), True), ((10_524, 49_220), True), ((10_524,), False)]
)
def test_parameters(claimed: tuple[int, ...], agrees: bool) -> None:
    """Submission 1 pastes the summary of another network: it is told both numbers."""
    (check,) = compare(r.Claims(total_parameters=claimed), 49_220, None, [])
    assert check.agrees is agrees
    assert all(f"{n:,}" in check.claim for n in claimed)
    assert "49,220" in check.found
    assert bool(check.remark) is not agrees


@pytest.mark.parametrize(("logged", "agrees"), [(20, True), (12, True), (21, False)])
def test_epochs(logged: int, agrees: bool) -> None:
    """A log may end early, but not reach further than the code trains."""
    (check,) = compare(r.Claims(epochs_logged=logged), None, 20, [])
    assert check.agrees is agrees
    assert (str(logged) in check.claim, "20" in check.found) == (True, True)
    assert bool(check.remark) is not agrees


@pytest.mark.parametrize(
    ("claimed", "ended", "agrees"),
    [
        (0.9935, "finished", True),
        (0.9942, "finished", True),
        (0.9942 + SPREAD - 1e-6, "finished", True),
        (0.9942 + SPREAD + 1e-6, "finished", False),
        (0.9942 + SPREAD + 1e-6, "threshold_reached", None),
        (0.9942, "threshold_reached", True),
    ],
)
def test_accuracy(run: Callable[..., r.TrainingRun], claimed: float, ended: str, agrees: bool | None) -> None:
    """A claim above every run and the spread of runs contradicts, unless a run was stopped early."""
    claims = r.Claims(best_accuracy=claimed, accuracy_source="training log")
    (check,) = compare(claims, None, None, [run([9_930, 9_931]), run([9_942, 9_910], ended=ended)])
    assert check.agrees is agrees
    assert f"{claimed:.4f} (training log)" in check.claim
    assert "0.9931 to 0.9942 in 2 runs" in check.found
    assert ("stopped at the threshold" in check.found) is (ended == "threshold_reached")
    assert bool(check.remark) is (agrees is False)


def test_order_of_checks(run: Callable[..., r.TrainingRun]) -> None:
    """Parameters, epochs, accuracy: always in this order, and one run is spoken of as one."""
    claims = r.Claims(total_parameters=(5,), epochs_logged=2, best_accuracy=0.9, accuracy_source="text")
    checks = compare(claims, 5, 2, [run([9_000])])
    assert [c.claim.split()[-1] for c in checks] == ["parameters", "2", "(text)"]
    assert checks[2].found == "retraining reached 0.9000 in 1 run"
