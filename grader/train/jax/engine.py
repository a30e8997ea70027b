"""The engine for GPUs: Keras on JAX, an epoch as one program. Loads JAX only for a job that it may train."""

from __future__ import annotations

from typing import Any

from grader import records as r
from grader.train import environment as of_this
from grader.train.jax import support
from grader.train.learner import Learner

several_seeds = True


def obstacle(job: r.TrainJob) -> str:
    """Return why the engine on JAX does not train this job; empty if it does."""
    return support.obstacle(job)


def sees_gpu() -> bool:
    """Whether JAX can use a GPU of this machine."""
    return support.sees_gpu()


def environment(note: str = "") -> r.Environment:
    """Have Keras run on JAX in this process, and return what it runs on."""
    support.prepare()
    import jax
    import keras
    import numpy as np

    device = jax.devices()[0]
    versions = {"jax": jax.__version__, "keras": keras.__version__, "numpy": np.__version__}
    return of_this.described("jax", note, versions, "" if device.platform == "cpu" else device.device_kind)


def learner(job: r.TrainJob, arrays: dict[str, Any]) -> Learner:
    """Return what trains the job, for all of its seeds at once."""
    from grader.train.jax.learner import Learner as OnJax

    return OnJax(job, arrays)
