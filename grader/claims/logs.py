"""Reads training logs of every Keras: redrawn bars, one line per epoch, and lines of checkpoints.

Every pattern begins with a word or a line and is bounded, so that reading takes time in proportion to the
text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from grader.records import LoggedEpoch, SavedLog

MAX_LOGS, MAX_EPOCHS = 1_000, 10_000  # of one cell, of one log

_NUMBER = r"(\d{0,3}\.?\d{1,20}(?:e-?\d{1,4})?)(?![\d.])"
_EPOCH = re.compile(r"[^\S\n]{0,20}Epoch (\d{1,9})/(\d{1,9})(?!\d)")
_DATA = re.compile(
    r"\W{0,4}Train (?:on|for) (\d{1,9}) (samples|steps), validate (?:on|for) (\d{1,9}) (samples|steps)"
)
_METRIC = re.compile(
    r"\bval_(acc|accuracy|categorical_accuracy|sparse_categorical_accuracy|binary_accuracy)(?:_\d{1,4})?: "
    r"{0,4}" + _NUMBER
)
_CHECKPOINT = re.compile(
    r"\W{0,4}Epoch \d{1,9}: val_(acc|accuracy|categorical_accuracy|sparse_categorical_accuracy) "
    r"(?:improved from \S{1,30} to|did not improve from) " + _NUMBER
)


def read(lines: Sequence[str], cell: int) -> tuple[SavedLog, ...]:
    """Read the logs in the output of one cell; a new log begins where the epochs do."""
    reader = _Reader(cell)
    for line in lines:
        if (epoch := _EPOCH.match(line)) is not None:
            reader.epoch(int(epoch[1]), int(epoch[2]))
        elif (data := _DATA.match(line)) is not None:
            reader.data(data)
        elif (checkpoint := _CHECKPOINT.match(line)) is not None:
            reader.checkpoint(float(checkpoint[2]))
        for metric, value in _METRIC.findall(line):
            reader.accuracy(metric, float(value))
    return reader.logs()


class _Reader:
    """Collects the logs of one cell, line by line."""

    def __init__(self, cell: int) -> None:
        self._cell = cell
        self._logs: list[SavedLog] = []
        self._epochs: list[LoggedEpoch] = []
        self._fields: dict[str, object] = {}  # of the log at hand
        self._next: dict[str, object] = {}  # fields of the next log

    def epoch(self, number: int, announced: int) -> None:
        """Begin epoch ``number`` of ``announced`` ones, in a new log where the numbers start again."""
        before = self._epochs[-1].number if self._epochs else 0
        if self._epochs and (number <= before or self._fields.get("announced") != announced):
            self._finish()
        if not self._epochs:
            self._fields |= self._next
            self._next = {}
        self._fields["announced"] = announced
        if len(self._epochs) < MAX_EPOCHS:
            self._epochs.append(LoggedEpoch(number=number))

    def data(self, found: re.Match[str]) -> None:
        """Keep the numbers of images of the line above a log; numbers of steps are no numbers of images."""
        if self._epochs:
            self._finish()
        if found[2] == found[4] == "samples":
            self._next = {"trained_on": int(found[1]), "validated_on": int(found[3])}

    def checkpoint(self, value: float) -> None:
        """Keep the best accuracy that a checkpoint printed."""
        if 0.0 <= value <= 1.0:
            best = self._fields.get("checkpoint")
            self._fields["checkpoint"] = max(value, best) if isinstance(best, float) else value

    def accuracy(self, metric: str, value: float) -> None:
        """Keep an accuracy of the epoch at hand: of a redrawn bar the last value counts."""
        if not 0.0 <= value <= 1.0:
            return
        if metric == "binary_accuracy" and self._fields.get("metric") not in (None, metric):
            return
        self._fields["metric"] = metric
        unnumbered = not self._epochs or (self._epochs[-1].number == 0 and len(self._epochs) < MAX_EPOCHS)
        if unnumbered:
            self._epochs.append(LoggedEpoch(number=0, accuracy=value))
        else:
            self._epochs[-1] = self._epochs[-1].model_copy(update={"accuracy": value})

    def _finish(self) -> None:
        if len(self._logs) < MAX_LOGS and (self._epochs or "checkpoint" in self._fields):
            log = SavedLog(cell=self._cell, epochs=tuple(self._epochs))
            self._logs.append(log.model_copy(update=self._fields))
        self._epochs, self._fields = [], {}

    def logs(self) -> tuple[SavedLog, ...]:
        """Finish the last log and return all of them."""
        self._finish()
        return tuple(self._logs)
