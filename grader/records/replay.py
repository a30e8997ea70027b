"""Replay: a submission's own training, run in its box, and what it hands back after each epoch.

See `grader.ask.replay` for what this is worth.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from grader.layers.network import ModelDescription
from grader.record import CutText, NonNegative, Number, Record
from grader.records.submission import DescribeJob

MAX_PREDICTIONS = 8_000_000  # characters of one epoch's: about a million images


class ReplayJob(DescribeJob):
    """What the replaying child is asked: one attempt.

    ``data`` is an npz whose test images are shuffled and whose test labels mean nothing; it holds some of the
    test images once more, changed a little (`grader.data.datasets.write_shuffled`). ``model`` is the number
    of the model to hand back predictions of, in the order in which models are first seen.
    """

    seed: int
    model: Annotated[int, Field(ge=1)]


class ReplayReady(Record):
    """The first answer: from here on it is the submission's code that runs."""

    kind: Literal["ready"] = "ready"


class ReplayEpoch(Record):
    """The end of an epoch. ``predictions`` is a base64 .npy of one class number per test image, in the order
    of the job's data; ``changed`` is one for the changed images, empty where it is not known how to prepare
    them. ``network`` is the model as it is now, where that was not said before. ``touched`` are the
    parameters that any optimizer has changed so far. The rest is the submission's word, for a display.
    """

    kind: Literal["epoch"] = "epoch"
    predictions: Annotated[str, Field(max_length=MAX_PREDICTIONS)]
    changed: Annotated[str, Field(max_length=MAX_PREDICTIONS)] = ""
    network: ModelDescription | None = None
    touched: Annotated[int, Field(ge=0, le=10**15)] = 0
    learning_rate: NonNegative | None = None
    train_loss: Number | None = None
    train_accuracy: Annotated[float, Field(ge=0, le=1)] | None = None


class ReplayEnd(Record):
    """The code came to its end, or ``refused`` says why it is not replayed."""

    kind: Literal["end"] = "end"
    refused: CutText = ""


class ReplayAnswer(Record):
    """One line of what the child says."""

    event: Annotated[ReplayReady | ReplayEpoch | ReplayEnd, Field(discriminator="kind")]
