"""Keras's own `fit` on TensorFlow: for every job, on processors and GPUs. Loads TensorFlow when it trains."""

from __future__ import annotations

from typing import Any

from grader import records as r
from grader.train import environment as of_this
from grader.train.learner import Learner

several_seeds = False


def obstacle(job: r.TrainJob) -> str:
    """Return nothing: Keras trains every job."""
    return ""


def sees_gpu() -> bool:
    """Whether TensorFlow can use a GPU of this machine."""
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


def environment(note: str = "") -> r.Environment:
    """Set up the devices and the determinism of this process, and return what it runs on."""
    import keras
    import numpy as np
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    tf.config.experimental.enable_op_determinism()
    tf.config.experimental.enable_tensor_float_32_execution(False)  # on a GPU as on a processor
    device = tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU") if gpus else ""
    versions = {"tensorflow": tf.__version__, "keras": keras.__version__, "numpy": np.__version__}
    return of_this.described("keras", note, versions, device)


def learner(job: r.TrainJob, arrays: dict[str, Any]) -> Learner:
    """Return what trains the job, for its first seed; after `environment`."""
    from grader.train.keras.learner import Learner as OnTensorFlow

    return OnTensorFlow(job, arrays)
