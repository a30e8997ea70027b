"""The runner for a Ray cluster: the same attempts, on every machine that has room for one.

The data set goes into the cluster's object store once and is copied to each machine once, where the first
attempt writes it to a file that all later ones read. An attempt whose machine is lost is made again
elsewhere. Each attempt is a process of its own there as it is here; results come back to this machine, which
alone writes them. Needs the extra `ray`, and the same Python, grader, TensorFlow and Keras on every machine.
"""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import chdir, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from grader.ask.attempt import Attempt, trainer
from grader.ask.training import Runs, Training, Watcher
from grader.box.sandbox import NEUTRAL
from grader.errors import BrokenError, InstructorError
from grader.records import DatasetSpec, TrainJob
from grader.runners.interface import Settings
from grader.runners.local import Local

CPUS = 1  # for one attempt on a machine without GPUs
GPU_SHARE = 0.25  # of a GPU for one attempt, unless --jobs says how many attempts share the cluster's GPUs
RETRIES = 5  # after the loss of a machine
_RUNS: TypeAdapter[Runs] = TypeAdapter(Runs)


class OnRay:
    """The runner `ray`."""

    def __init__(self, settings: Settings) -> None:
        self._ray = _connected(settings.address)
        gpus = self._ray.cluster_resources().get("GPU", 0.0)
        gpus = min(gpus, settings.gpus) if settings.gpus is not None else gpus
        self._share = _share(gpus, settings.jobs)
        self._jobs = settings.jobs
        self._gpus = gpus
        assert settings.dataset is not None
        spec = settings.dataset.spec
        self._data = self._ray.put(Path(spec.path).read_bytes())
        wants: dict[str, Any] = {"num_cpus": CPUS, "max_retries": RETRIES}
        wants |= {"num_gpus": self._share} if self._share else {}
        self._make = self._ray.remote(**wants)(make)
        self._running: dict[Future[Runs], Any] = {}
        self._here = Local(Settings(jobs=1, gpus=0))
        self.name = f"ray: {len(_alive(self._ray))} machines, {self.slots} attempts at a time"

    @property
    def slots(self) -> int:
        """As many as the cluster has room for now; machines come and go."""
        if self._jobs is not None:
            return self._jobs
        if self._share:
            return max(1, int(self._gpus / self._share))
        return max(1, int(self._ray.cluster_resources().get("CPU", 1.0) / CPUS))

    def begin(self, attempt: Attempt, watcher: Watcher) -> Future[Runs]:
        """Submit the attempt as a Ray task; a replay runs here, where a student's code stays in its box."""
        if attempt.replay is not None:
            return self._here.begin(attempt, watcher)
        job = attempt.job
        watcher.attempt(attempt.number, attempt.attempts, job.seed, attempt.epochs)
        reference = self._make.remote(job.model_dump_json(), self._data, trainer())
        future: Future[Runs] = Future()
        future.set_running_or_notify_cancel()
        self._running[future] = reference
        reference.future().add_done_callback(lambda done: self._settle(future, done))
        return future

    def _settle(self, future: Future[Runs], done: Future[str]) -> None:
        self._running.pop(future, None)
        try:
            future.set_result(_RUNS.validate_json(done.result()))
        except Exception as error:  # Ray's own errors, and what the task raised wrapped in them
            cause = getattr(error, "cause", None) or error
            message = cause.message if isinstance(cause, BrokenError) else str(cause)
            future.set_exception(BrokenError(f"retraining on the cluster failed: {message[-3_000:]}"))

    def close(self) -> None:
        """Cancel the tasks that run, and disconnect from the cluster."""
        self._here.close()
        for reference in list(self._running.values()):
            self._ray.cancel(reference, force=True)
        self._ray.shutdown()


def _connected(address: str) -> Any:
    """Connect to a cluster and return the module `ray`. Raises `InstructorError`."""
    try:
        import ray
    except ImportError:
        raise InstructorError("the runner ray is not installed", "pip install 'grader[ray]'") from None
    hint = "Start one with `ray start --head`, and give its address, host:6379, with --address."
    try:
        _answers(address)
        before = signal.getsignal(signal.SIGTERM)
        with chdir(NEUTRAL):  # Ray puts the folder that it is started in on the path of every worker
            ray.init(address=address or "auto", log_to_driver=False, logging_level=logging.ERROR)
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)  # Ray's own handler would end the batch without its table
    except Exception as error:  # Ray raises many kinds
        where = address or "this machine"
        raise InstructorError(f"no Ray cluster at {where}: {str(error)[:300]}", hint) from None
    return ray


def _answers(address: str) -> None:
    """Raise `OSError` or `ValueError` where nobody listens at ``address``.

    Ray itself would wait for minutes.
    """
    if address and address != "auto":
        host, _, port = address.rpartition(":")
        if "/" in host or not port.isdigit():
            raise ValueError("an address is host:port: that of the head, as the cluster's machines reach it")
        socket.create_connection((host, int(port)), timeout=10).close()


def _alive(ray: Any) -> list[Any]:
    return [node for node in ray.nodes() if node["Alive"]]


def _share(gpus: float, jobs: int | None) -> float:
    """Return the part of a GPU for one attempt; 0 where there are no GPUs."""
    if not gpus:
        return 0.0
    return max(0.01, min(1.0, int(100 * gpus / jobs) / 100)) if jobs else GPU_SHARE


# --- on the machine that makes the attempt ------------------------------------------------------


def make(job: str, data: bytes, wanted: str) -> str:
    """Make one attempt from a `TrainJob` as JSON and the bytes of its data set; return its runs as JSON.

    Raises `BrokenError`, also where this machine's trainer is not ``wanted``, the batch's.
    """
    if trainer() != wanted:
        raise BrokenError(f"this machine trains with {trainer()}, the batch with {wanted}")
    asked = TrainJob.model_validate_json(job)
    place = _placed(asked.dataset, data)
    asked = asked.model_copy(update={"dataset": asked.dataset.model_copy(update={"path": str(place)})})
    with nullcontext() if _has_gpu() else _own_core(place.parent):
        return _RUNS.dump_json(Training(asked, Watcher()).run()).decode()


@contextmanager
def _own_core(folder: Path) -> Iterator[None]:
    """Run the block on a core that no other attempt on this machine has, while there is one.

    The child inherits the core.
    """
    before = os.sched_getaffinity(0)
    for core in sorted(before):
        with (folder / f"core-{core}").open("w") as held:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)  # ends with this process
            except OSError:
                continue
            os.sched_setaffinity(0, {core})
            try:
                yield
            finally:
                os.sched_setaffinity(0, before)
            return
    yield


def _has_gpu() -> bool:
    return bool(os.environ.get("CUDA_VISIBLE_DEVICES"))


def _placed(spec: DatasetSpec, data: bytes) -> Path:
    """Write the data set to a file, once for all attempts on this machine; the child checks its digest."""
    folder = Path(tempfile.gettempdir()) / f"grader-data-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    place = folder / f"{spec.sha256}.npz"
    if not place.exists() or place.stat().st_size != len(data):
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
            file.write(data)
        os.replace(file.name, place)
    return place
