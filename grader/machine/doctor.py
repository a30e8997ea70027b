"""Finds out what this machine can do: isolation, fork server, training device, data.

Everything is tried, nothing assumed.
"""

from __future__ import annotations

import platform
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from grader import __version__
from grader.box import isolation, tree
from grader.box.isolation.bubblewrap import Bubblewrap
from grader.box.isolation.interface import BOX_MEMORY, BOX_PROCESSES, SECONDS_TO_START
from grader.box.isolation.server import ForkServer
from grader.box.sandbox import Limits, Spawned, environment, run
from grader.data import datasets
from grader.errors import GraderError
from grader.record import Record
from grader.records import Environment


class Finding(Record):
    """One thing that was tried on this machine, and what to do where it failed."""

    subject: str
    state: Literal["used", "works", "missing", "fails"]
    detail: str
    remedy: str = ""


def examine() -> Iterator[Finding]:
    """Try everything, one after another; takes as long as importing TensorFlow twice."""
    yield _system()
    tried = isolation.tried()
    best = next((t.isolation for t in tried if t.works), None)
    yield from (_box(attempt, best) for attempt in tried)
    yield _chosen(best)
    yield _fork_server(best)
    yield _limits()
    yield _device()
    yield _data()


def _system() -> Finding:
    python = f"Python {platform.python_version()} in {sys.prefix}"
    system = f"{platform.system()} {platform.release()} on {platform.machine()}"
    return Finding(subject="grader", state="used", detail=f"{__version__}, {python}, {system}")


def _box(attempt: isolation.Tried, best: isolation.Isolation | None) -> Finding:
    """Report on one box; the remedy matters only where no other box works."""
    subject = f"isolation by {attempt.isolation.kind}"
    if attempt.works:
        return Finding(
            subject=subject,
            state="used" if attempt.isolation is best else "works",
            detail=attempt.isolation.name,
        )
    state: Literal["missing", "fails"] = "missing" if attempt.isolation.absent else "fails"
    return Finding(subject=subject, state=state, detail=attempt.reason, remedy="" if best else attempt.remedy)


def _chosen(best: isolation.Isolation | None) -> Finding:
    if best is not None:
        return Finding(subject="strangers' code", state="works", detail=f"runs in {best.kind}")
    return Finding(
        subject="strangers' code",
        state="fails",
        detail="no isolation works: only your own work can be checked here, and no gradebook will take it",
        remedy="Follow one of the remedies above.",
    )


def _fork_server(best: isolation.Isolation | None) -> Finding:
    subject, cold = "fork server", "each submission pays the import of TensorFlow"
    if not isinstance(best, Bubblewrap):
        return Finding(subject=subject, state="missing", detail=f"needs bubblewrap; {cold}")
    with tempfile.TemporaryDirectory(prefix="grader-") as empty:
        Path(empty).chmod(0o755)
        try:
            server = ForkServer(best, Path(empty))
        except OSError as error:
            return Finding(subject=subject, state="fails", detail=f"{error}; {cold}")
        try:
            reason = isolation.self_test(server)
        finally:
            server.close()
    if reason:
        return Finding(subject=subject, state="fails", detail=f"{reason}; {cold}")
    return Finding(subject=subject, state="works", detail="a class pays the import of TensorFlow once")


def _limits() -> Finding:
    box = f"{BOX_MEMORY >> 30} GB of memory, {BOX_PROCESSES} processes"
    if tree.works():
        return Finding(subject="limits of a box", state="works", detail=f"{box}, over all its processes")
    return Finding(
        subject="limits of a box",
        state="fails",
        detail=f"{box}: /proc does not show the children of a process, so nothing counts them together",
    )


def _device() -> Finding:
    """Ask a training child for its device, as every attempt will: this process imports no trainer."""
    lines: list[bytes] = []
    with tempfile.TemporaryDirectory(prefix="grader-") as home:
        command = [sys.executable, "-I", "-m", "grader.train", "--environment"]
        child = Spawned(command, environment(home), Path(home))
        ended = run(child, b"", Limits(SECONDS_TO_START), lines.append)
    if ended.returncode != 0 or not lines:
        return Finding(subject="retraining", state="fails", detail=ended.log.strip()[-500:])
    found = Environment.model_validate_json(lines[-1])
    tools = ", ".join(f"{name} {version}" for name, version in found.versions.items() if name != "grader")
    return Finding(
        subject="retraining",
        state="works",
        detail=f"{found.engine} engine, {found.device}, {found.threads} threads; {tools}",
    )


def _data() -> Finding:
    try:
        data = datasets.load(datasets.MNIST)
    except GraderError as error:
        return Finding(subject="data", state="fails", detail=error.message, remedy="Install grader again.")
    counts = f"{len(data.x_train):,} training and {len(data.x_test):,} test images"
    return Finding(subject="data", state="works", detail=f"mnist: {counts}, digest verified")
