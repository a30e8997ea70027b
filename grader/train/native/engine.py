"""The native engine: for processors, and without Keras. Loads Numba only for a job that it may train."""

from __future__ import annotations

from typing import Any

from grader import records as r
from grader.train import environment as of_this
from grader.train.learner import Learner
from grader.train.native import cache

several_seeds = False


def obstacle(job: r.TrainJob) -> str:
    """Why the native engine does not train this job; empty if it does."""
    cache.prepare()
    try:
        from grader.train.native import support
    except ImportError as error:  # a processor that Numba has no wheels for
        return f"the native engine cannot be loaded: {error}"
    try:
        reason = support.obstacle(job)
    except MemoryError:
        reason = "a network that takes so much memory to plan"
    return f"the native engine does not cover {reason}" if reason else ""


def sees_gpu() -> bool:
    """It uses none."""
    return False


def environment(note: str = "") -> r.Environment:
    """What this process runs on."""
    import numba
    import numpy as np

    return of_this.described("native", note, {"numba": numba.__version__, "numpy": np.__version__})


def learner(job: r.TrainJob, arrays: dict[str, Any]) -> Learner:
    """What trains the job, for its first seed."""
    from grader.train.native.learner import Learner as Native

    return Native(job, arrays)
