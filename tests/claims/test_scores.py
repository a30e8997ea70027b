"""Accuracies that stand alone in outputs and in the text."""

from __future__ import annotations

import pytest

from grader.claims import scores


def printed(text: str) -> list[tuple[float, str]]:
    return [(s.accuracy, s.source) for s in scores.printed(text.split("\n"), 1)]


@pytest.mark.parametrize(
    "text", ["[0.0202, 0.9942]", "  [0.0202, 0.9942]  ", "noise\n[2.02e-02, 0.9942]\nmore"]
)
def test_evaluate(text: str) -> None:
    """`print(score)` shows loss and accuracy as a list on a line of its own."""
    assert printed(text) == [(0.9942, "evaluate")]


@pytest.mark.parametrize(
    "text",
    [
        "Test accuracy: 0.9942",
        "Test Accuracy: 99.42%",
        "Test accuracy: 99.42 %",
        "✅ Test Accuracy: 0.9942",
        "Accuracy: 99.42%",
        "Accuracy: {0.9942}",
        "Final accuracy is: 99.42",
        "Train accuracy=0.9999, Validation accuracy=0.9942",
        "val_accuracy = 0.9942",
    ],
)
def test_printed_scores(text: str) -> None:
    """As a fraction or in percent, and never the accuracy on training images."""
    assert printed(text) == [(0.9942, "printed score")]


@pytest.mark.parametrize(
    "text",
    ["[0.02, 0.99, 0.98]", "x = [0.0202, 0.9942]", "[3, 4]", "[0.02, 7.5]", "Train accuracy: 0.9999",
     "acc: 0.9942", "accuracy      0.99     10000", "Test score: 0.0273",
     "loss: 0.1 - accuracy: 0.99 - val_loss: 0.1 - val_accuracy: 0.98"],
)  # fmt: skip
def test_other_numbers(text: str) -> None:
    """Other lists, training accuracy, losses and lines of a log are no scores."""
    assert printed(text) == []


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
        "The goal is 99.5%. It reaches 99.42%.",
    ],
)
def test_prose(prose: str) -> None:
    """The text claims what it mentions, but for goals."""
    assert max(s.accuracy for s in scores.written(prose, 0)) == 0.9942


@pytest.mark.parametrize(
    "prose",
    ["10.9942", "0.99.42", "199.42%", "version 2.99.1", "50.5 %", "99 bottles", "We need 99.4 %",
     "We aim to reach 99.40%", "val acc >= 99.4"],
)  # fmt: skip
def test_prose_without_accuracy(prose: str) -> None:
    """Other numbers are not taken for accuracies, and goals are no claims."""
    assert scores.written(prose, 0) == ()
