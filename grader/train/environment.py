"""The environment of an engine, as reports name it."""

from __future__ import annotations

import os
import platform

from grader import __version__
from grader import records as r
from grader.data.speeds import EngineName


def described(engine: EngineName, note: str, versions: dict[str, str], device: str = "") -> r.Environment:
    """Return the environment of this process; ``device`` is its processor unless a GPU is named.

    ``note`` says why this engine was chosen, ``versions`` are those of its libraries.
    """
    return r.Environment(
        device=device or f"CPU ({_processor()})",
        threads=_threads(),
        versions={"grader": __version__, "python": platform.python_version()} | versions,
        engine=engine,
        engine_note=note,
    )


def _threads() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
