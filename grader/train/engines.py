"""Which engine trains a job, and why: the native one on processors, Keras on a GPU and for the rest.

The native path imports no TensorFlow: that saves seconds and memory for every attempt.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

from grader import __version__
from grader import records as r

Emit = Callable[[r.TrainEvent], None]
_GPU_DEVICES = ("nvidia[0-9]*", "dxg", "kfd")


def run(job: r.TrainJob, arrays: dict[str, Any], emit: Emit) -> r.EndEvent:
    """Train one attempt with the engine that fits; the environment is its first event. How it ended."""
    reason = native_obstacle(job)
    if reason:
        emit(keras_environment(reason))
        from grader.train.loop import Trainer as KerasTrainer  # after the devices are set up

        trainer = KerasTrainer(job, arrays, emit)
        return r.EndEvent(ended=trainer.run(), kept=trainer.kept)
    emit(native_environment())
    from grader.train.native.trainer import Trainer

    native = Trainer(job, arrays, emit)
    return r.EndEvent(ended=native.run(), kept=native.kept)


def native_obstacle(job: r.TrainJob) -> str:
    """Why Keras trains this job; empty if the native engine does."""
    if job.engine == "keras":
        return "the rubric asks for Keras"
    if job.engine == "auto" and _has_gpu():
        return "this machine has a GPU"
    from grader.train.native import cache

    cache.prepare()
    try:
        from grader.train.native.support import obstacle
    except ImportError as error:  # a processor that Numba has no wheels for
        return f"the native engine cannot be loaded: {error}"
    reason = obstacle(job)
    return f"the native engine does not cover {reason}" if reason else ""


def _has_gpu() -> bool:
    """Whether TensorFlow sees a GPU; it is asked only where the system shows a device of one."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return False
    if not any(next(Path("/dev").glob(name), None) for name in _GPU_DEVICES):
        return False
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


def native_environment() -> r.Environment:
    import numba
    import numpy as np

    return r.Environment(
        device=_cpu(),
        threads=_threads(),
        versions=_versions() | {"numba": numba.__version__, "numpy": np.__version__},
        engine="native",
    )


def keras_environment(note: str = "") -> r.Environment:
    """Set up the devices and the determinism of this process, and say what it runs on."""
    import keras
    import numpy as np
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    tf.config.experimental.enable_op_determinism()
    device = tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU") if gpus else _cpu()
    return r.Environment(
        device=device,
        threads=_threads(),
        versions=_versions()
        | {"tensorflow": tf.__version__, "keras": keras.__version__, "numpy": np.__version__},
        engine="keras",
        engine_note=note,
    )


def _threads() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _versions() -> dict[str, str]:
    return {"grader": __version__, "python": platform.python_version()}


def _cpu() -> str:
    try:
        with open("/proc/cpuinfo") as file:
            name = next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    return f"CPU ({name})"
