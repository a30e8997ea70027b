"""The interface of a runner, which makes attempts, as many at a time as it has slots."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

from grader.ask.attempt import Attempt
from grader.ask.training import Runs, Watcher
from grader.data.datasets import Dataset


@dataclass(frozen=True)
class Settings:
    """What a runner is made with.

    ``jobs``: attempts at a time, None for as many as fit. ``gpus``: how many GPUs to use at most, None for
    all. ``address``: that of a Ray cluster. ``dataset``: needed by runners that send it to other machines.
    """

    jobs: int | None = None
    gpus: int | None = None
    address: str = ""
    dataset: Dataset | None = None


class Runner(Protocol):
    """A place that makes attempts. Closing it abandons the attempts that still run."""

    name: str

    @property
    def slots(self) -> int:
        """How many attempts the runner makes at a time, at this moment."""

    def begin(self, attempt: Attempt, watcher: Watcher) -> Future[Runs]:
        """Begin an attempt, or queue it. In the future's runs, the attempt's own run comes first.

        The future raises `BrokenError` for an attempt that came to no end, and `Unsupported` for a replay
        that cannot be made.
        """

    def close(self) -> None:
        """Stop what runs, drop what is queued, and free the slots."""
