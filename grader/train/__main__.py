"""The training child: ``python -m grader.train``, one `TrainJob` on standard input.

Events go out as lines of JSON (`grader.records.TrainEvent`): the environment first, then batches
and epochs, and at last how the run ended. With ``--environment`` that is all there is, and no job.
"""

from __future__ import annotations

import os
import platform
import sys
from typing import Any

from grader import __version__, datasets
from grader import records as r


def main() -> None:
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever TensorFlow prints is no event

    def emit(event: r.TrainEvent) -> None:
        events.write(event.model_dump_json() + "\n")
        events.flush()

    if sys.argv[1:] == ["--environment"]:
        emit(_start())
        return
    job = r.TrainJob.model_validate_json(sys.stdin.buffer.read())
    data = datasets.load(job.dataset)
    arrays: dict[str, Any] = {
        "x_train": data.x_train,
        "y_train": data.y_train,
        "x_test": data.x_test,
        "y_test": data.y_test,
    }
    emit(_start())
    from grader.train.loop import Trainer  # after the devices are set up

    trainer = Trainer(job, arrays, emit)
    emit(r.EndEvent(ended=trainer.run(), kept=trainer.kept))


def _start() -> r.Environment:
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
        threads=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        versions={
            "grader": __version__,
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "numpy": np.__version__,
        },
    )


def _cpu() -> str:
    try:
        with open("/proc/cpuinfo") as file:
            name = next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    return f"CPU ({name})"


if __name__ == "__main__":
    main()
