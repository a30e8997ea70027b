"""What a runner is: it makes attempts, as many at a time as it has slots."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

from grader.ask.attempt import Attempt
from grader.ask.training import Runs, Watcher
from grader.data.datasets import Dataset


@dataclass(frozen=True)
class Settings:
    """``jobs``: attempts at a time, None for as many as fit. ``gpus``: how many GPUs to use at most, None for
    all. ``address``: of a Ray cluster.
    """

    jobs: int | None = None
    gpus: int | None = None
    address: str = ""
    dataset: Dataset | None = None


class Runner(Protocol):
    """Close it, and whatever still runs is abandoned."""

    name: str

    @property
    def slots(self) -> int:
        """How many attempts it makes at a time, at this moment."""

    def begin(self, attempt: Attempt, watcher: Watcher) -> Future[Runs]:
        """Begin, or queue. The attempt's own run comes first.

        The future raises `BrokenError` for an attempt that came to no end, and `Unsupported` for a replay
        that cannot be made.
        """

    def close(self) -> None: ...
