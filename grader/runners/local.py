"""The runner for this machine: threads that each drive one trusted training child at a time.

Without a GPU the cores are divided among the children, so that children do not compete for cores. With GPUs,
each GPU begins with one child; once that child has shown how much memory an attempt takes, as many children
follow as fit.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from grader.ask.attempt import Attempt, Work
from grader.ask.training import Runs, Watcher
from grader.box import tree
from grader.runners import gpus
from grader.runners.interface import Settings

MEMORY = 2_000_000_000  # bytes of main memory that one child is reckoned to take, TensorFlow included
MOST_PER_GPU = 8  # more children only wait for each other
GPU_SPARE = 1_500_000_000  # bytes left free on a GPU
LOOK_AFTER = 45.0  # seconds until a child has taken all the GPU memory that it will take


@dataclass(frozen=True)
class Slot:
    """A place for one child: the cores that it may use (empty: all), and settings for its environment."""

    cores: frozenset[int] = frozenset()
    setting: Mapping[str, str] = field(default_factory=dict)


class Local:
    """The runner `local`."""

    def __init__(self, settings: Settings) -> None:
        self._gpus = gpus.visible(settings.gpus)
        self._jobs = settings.jobs
        self._free = self._on_gpus() if self._gpus else list(_on_cores(settings.jobs))
        self._count = len(self._free)
        self._lock = threading.Condition()
        self._running: set[Work] = set()
        self._measured: set[str] = set()
        self._closed = False
        self._pool = ThreadPoolExecutor(max_workers=256, thread_name_prefix="attempt")
        what = f"{len(self._gpus)} GPUs" if self._gpus else f"{len(_cores())} cores"
        self.name = f"local: {what}, {self._count} attempts at a time"

    @property
    def slots(self) -> int:
        """Grows while GPUs show that more attempts fit."""
        return self._count

    def begin(self, attempt: Attempt, watcher: Watcher) -> Future[Runs]:
        """Queue the attempt for the next free slot."""
        return self._pool.submit(self._make, attempt, watcher)

    def close(self) -> None:
        """Stop all running children and wait for their threads."""
        with self._lock:
            self._closed = True
            running = list(self._running)
            self._lock.notify_all()
        for training in running:
            training.stop()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _make(self, attempt: Attempt, watcher: Watcher) -> Runs:
        slot = self._take()
        if slot.cores:
            os.sched_setaffinity(0, slot.cores)  # for this thread, and so for the child that it starts
        training = attempt.training(watcher, slot.setting)
        try:
            with self._lock:
                if self._closed:
                    raise RuntimeError("closed")
                self._running.add(training)
            self._look_at(training, slot)
            return training.run()
        finally:
            with self._lock:
                self._running.discard(training)
                self._free.append(slot)
                self._lock.notify()

    def _take(self) -> Slot:
        with self._lock:
            while not self._free and not self._closed:
                self._lock.wait()
            if self._closed:
                raise RuntimeError("closed")
            return self._free.pop(0)

    # --- GPUs -----------------------------------------------------------------------------------

    def _on_gpus(self) -> list[Slot]:
        jobs = self._jobs or len(self._gpus)
        return [_on_gpu(self._gpus[n % len(self._gpus)]) for n in range(jobs)]

    def _look_at(self, training: Work, slot: Slot) -> None:
        """Measure the attempt's GPU memory, once for each GPU, unless the number of jobs was given."""
        name = slot.setting.get("CUDA_VISIBLE_DEVICES")
        if name is None or self._jobs is not None or name in self._measured:
            return
        self._measured.add(name)
        threading.Thread(target=self._add_slots, args=(training, name), daemon=True).start()

    def _add_slots(self, training: Work, name: str) -> None:
        begun = time.monotonic()
        while training in self._running and not self._closed:
            time.sleep(1.0)
            if time.monotonic() - begun > LOOK_AFTER and training.pid is not None:
                gpu = next((g for g in gpus.visible() if g.name == name), None)
                used = gpus.used_by(training.pid) or (gpu.total - gpu.free if gpu else 0)
                if gpu is not None and used:
                    self._more(gpu, more_that_fit(gpu.free, used, len(self._gpus)))
                return

    def _more(self, gpu: gpus.Gpu, count: int) -> None:
        with self._lock:
            self._free += [_on_gpu(gpu)] * count
            self._count += count
            self._lock.notify_all()


def more_that_fit(free: int, used: int, gpus: int) -> int:
    """Return how many more children fit on a GPU with ``free`` bytes, of which one child takes ``used``.

    Main memory and cores are limits too: each child takes `MEMORY` bytes and a core of its own; ``gpus`` GPUs
    share them.
    """
    others = min(tree.available() // MEMORY, len(_cores())) // gpus - 1
    return max(0, min((free - GPU_SPARE) // used, MOST_PER_GPU - 1, others))


def _on_gpu(gpu: gpus.Gpu) -> Slot:
    return Slot(setting={"CUDA_VISIBLE_DEVICES": gpu.name})


# --- cores --------------------------------------------------------------------------------------


def _cores() -> list[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _on_cores(jobs: int | None) -> list[Slot]:
    """One core for each child is the fastest for a class, as far as memory allows."""
    cores = _cores()
    count = jobs or max(1, min(len(cores), tree.available() // MEMORY))
    if count == 1 or not hasattr(os, "sched_setaffinity"):
        return [Slot()] * count
    return [Slot(frozenset(part)) for part in divided(cores, count)]


def divided(cores: list[int], jobs: int) -> list[list[int]]:
    """Split the cores into ``jobs`` parts of almost equal size; more jobs than cores share cores."""
    if jobs >= len(cores):
        return [[cores[n % len(cores)]] for n in range(jobs)]
    return [cores[n * len(cores) // jobs : (n + 1) * len(cores) // jobs] for n in range(jobs)]
