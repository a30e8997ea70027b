"""Records of a replay: a submission's own training, run in its box, and its answer after each epoch.

See `grader.ask.replay` for what a replay proves.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from grader.record import CutText, NonNegative, Number, Record
from grader.records.network import ModelDescription
from grader.records.submission import DescribeJob

MAX_PREDICTIONS = 8_000_000  # characters of one epoch's predictions: about a million images


class ReplayJob(DescribeJob):
    """The job of the replaying child: one attempt.

    ``data`` is an npz whose test images are shuffled and whose test labels mean nothing; it holds some of the
    test images once more, changed a little (`grader.data.datasets.write_shuffled`). ``model`` is the number
    of the model whose predictions are wanted, in the order in which models are first seen.
    """

    seed: int
    model: Annotated[int, Field(ge=1)]


class ReplayReady(Record):
    """The first answer: the submission's code runs from here on."""

    kind: Literal["ready"] = "ready"


class ReplayEpoch(Record):
    """The end of an epoch.

    ``predictions`` is a base64 .npy of one class number per test image, in the order of the job's data;
    ``changed`` is the same for the changed images, empty where their preparation is unknown. ``network`` is
    the model as it is now, where an earlier answer has not sent it. ``touched`` counts the parameters that
    any optimizer has changed so far. The rest is the submission's word, for a display.
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
    """The code came to its end, or ``refused`` says why the code is not replayed."""

    kind: Literal["end"] = "end"
    refused: CutText = ""


class ReplayAnswer(Record):
    """One line of the child's output."""

    event: Annotated[ReplayReady | ReplayEpoch | ReplayEnd, Field(discriminator="kind")]
