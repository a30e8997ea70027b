"""Records of saved outputs, cell by cell: claims, never a grade. Cells count from 1 among the code cells."""

from __future__ import annotations

from typing import Literal

from grader.record import Record


class SummaryRow(Record):
    """A line of a saved summary; ``kind`` may be cut short or empty, unknown sizes are None."""

    name: str
    kind: str
    shape: tuple[int | None, ...] | None  # without the batch axis
    parameters: int | None


class SavedSummary(Record):
    """One `model.summary()`. ``total`` is without the optimizer's variables, which Keras 3 adds."""

    cell: int
    total: int
    trainable: int | None = None
    rows: tuple[SummaryRow, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether the rows that were read are all rows: together they hold all parameters."""
        return len(self.rows) > 0 and sum(row.parameters or 0 for row in self.rows) == self.total


class LoggedEpoch(Record):
    """One epoch of a log. ``number`` is 0 where the log does not number its epochs."""

    number: int
    accuracy: float | None = None  # on the validation data


class SavedLog(Record):
    """The log of one `fit`: its epochs as far as the output goes, and how many it announced."""

    cell: int
    epochs: tuple[LoggedEpoch, ...]
    announced: int | None = None
    metric: str = ""  # the name after `val_`
    trained_on: int | None = None
    validated_on: int | None = None
    checkpoint: float | None = None  # the best accuracy that ModelCheckpoint printed

    @property
    def first(self) -> int:
        """The number of the first epoch; 0 without epochs."""
        return self.epochs[0].number if self.epochs else 0

    @property
    def reached(self) -> int:
        """The number of the last epoch; 0 without epochs."""
        return self.epochs[-1].number if self.epochs else 0

    @property
    def best(self) -> LoggedEpoch | None:
        """The first epoch with the highest validation accuracy; number 0 for one that the log hides."""
        seen = [e for e in self.epochs if e.accuracy is not None]
        best = max(seen, key=lambda e: e.accuracy or 0.0, default=None)
        # A checkpoint shows one digit more: it counts where the log shows no such epoch.
        if self.checkpoint is not None and (best is None or self.checkpoint > (best.accuracy or 0.0) + 6e-5):
            return LoggedEpoch(number=0, accuracy=self.checkpoint)
        return best

    @property
    def last(self) -> LoggedEpoch | None:
        """The last epoch with a validation accuracy; None without one."""
        seen = [e for e in self.epochs if e.accuracy is not None]
        return seen[-1] if seen else None


class SavedScore(Record):
    """An accuracy that was printed after `evaluate`, or that the text behind a cell mentions."""

    cell: int
    accuracy: float
    source: Literal["evaluate", "printed score", "text"]


class Claims(Record):
    """All claims in a submission's outputs and text, in the order of the document."""

    summaries: tuple[SavedSummary, ...] = ()
    logs: tuple[SavedLog, ...] = ()
    scores: tuple[SavedScore, ...] = ()

    @property
    def total_parameters(self) -> tuple[int, ...]:
        """The totals of all summaries."""
        return tuple(summary.total for summary in self.summaries)
