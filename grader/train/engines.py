"""Which engine trains a job, and why: the native one on processors, JAX on a GPU, Keras's `fit` the rest.

Only the last one imports TensorFlow: that saves the others seconds and memory for every attempt.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from grader import __version__
from grader import records as r
from grader.data import datasets, speeds
from grader.data.speeds import EngineName

if TYPE_CHECKING:
    from grader.train.epochs import Learner

Emit = Callable[[r.TrainEvent], None]


def run(job: r.TrainJob, arrays: dict[str, Any], emit: Emit) -> r.EndEvent:
    """Train one attempt with the engine that fits; the environment is its first event. How it ended."""
    engine, note = choose(job)
    if engine == "keras":
        emit(keras_environment(note))
        from grader.train.keras.fit import Trainer as KerasTrainer  # after the devices are set up

        trainer = KerasTrainer(job, arrays, emit)
        return r.EndEvent(ended=trainer.run(), kept=trainer.kept)
    emit(ENVIRONMENTS[engine](note))
    alone = job.model_copy(update={"beside": ()})
    if engine == "native" or not job.beside:
        return _train(engine, alone, arrays, emit)
    try:
        return _train(engine, job, arrays, emit)
    except RuntimeError as error:  # XLA's
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
    emit(ENVIRONMENTS[engine](f"{1 + len(job.beside)} seeds in one program took too much memory"))
    return _train(engine, alone, arrays, emit)


def _train(engine: str, job: r.TrainJob, arrays: dict[str, Any], emit: Emit) -> r.EndEvent:
    """Train in one of our own engines."""
    from grader.train.epochs import Trainer  # without Keras

    first, *beside = Trainer(job, arrays, emit, learner(engine, job, arrays)).run()
    return r.EndEvent(ended=first.ended, kept=first.kept, beside=tuple(seed.as_run() for seed in beside))


def learner(engine: str, job: r.TrainJob, arrays: dict[str, Any]) -> Learner:
    """What trains in one of our own engines, in a process that is set up for it."""
    if engine == "jax":
        from grader.train.jax.learner import Learner as OnJax

        return OnJax(job, arrays)
    from grader.train.native.learner import Learner as Native

    return Native(job, arrays)


def choose(job: r.TrainJob) -> tuple[EngineName, str]:
    """The engine that trains a job in this process, and what is to be said about the choice."""
    if job.engine == "keras":
        return "keras", "the rubric asks for Keras"
    refused: list[str] = []
    for engine, reason in _in_turn(job):
        if not reason:
            return engine, "; ".join([*refused, *_told(engine, job)])
        refused.append(reason)
    raise AssertionError("Keras trains every job")


def _in_turn(job: r.TrainJob) -> Iterator[tuple[EngineName, str]]:
    """The engines for a job, the best first, each with the reason why it does not train it."""
    fastest = speeds.order() if job.engine == "auto" else ()
    if job.engine != "auto":
        yield job.engine, OBSTACLES[job.engine](job)
    elif fastest:
        yield from ((engine, OBSTACLES[engine](job)) for engine in fastest)
    else:
        if speeds.shows_gpu():
            yield "jax", jax_obstacle(job) or ("" if _jax_sees_gpu() else "JAX sees no GPU")
            yield "keras", "" if _tensorflow_sees_gpu() else "TensorFlow sees no GPU"
        yield "native", native_obstacle(job)
    yield "keras", ""


def usual() -> r.Environment:
    """Sets up this process for what trains an ordinary network on this machine."""
    layers = (
        r.InputLayer(name="a", shape=(28, 28, 1)),
        r.Conv2D(name="b", inbound=("a",), filters=10, kernel_size=(28, 28)),
        r.Flatten(name="c", inbound=("b",)),
        r.ActivationLayer(name="d", inbound=("c",), activation="softmax"),
    )
    recipe = r.TrainingRecipe(optimizer=r.Adam(), learning_rates=(0.001,), epochs=1)
    engine, note = choose(r.TrainJob(
        network=r.ModelDescription(inputs=("a",), layers=layers, outputs=("d",)), training=(recipe,),
        dataset=datasets.MNIST, seed=1, max_epochs=1,
    ))  # fmt: skip
    return ENVIRONMENTS[engine](note)


def _told(engine: EngineName, job: r.TrainJob) -> Iterator[str]:
    if engine == "jax" and job.beside:
        yield f"seeds {', '.join(map(str, (job.seed, *job.beside)))} in one program"
    if job.engine == "auto" and speeds.order()[:1] == (engine,):
        yield "measured as the fastest on this machine"


def native_obstacle(job: r.TrainJob) -> str:
    """Why the native engine does not train this job; empty if it does."""
    from grader.train.native import cache

    cache.prepare()
    try:
        from grader.train.native.support import obstacle
    except ImportError as error:  # a processor that Numba has no wheels for
        return f"the native engine cannot be loaded: {error}"
    try:
        reason = obstacle(job)
    except MemoryError:
        reason = "a network that takes so much memory to plan"
    return f"the native engine does not cover {reason}" if reason else ""


def jax_obstacle(job: r.TrainJob) -> str:
    """Why the engine on JAX does not train this job; empty if it does."""
    from grader.train.jax import support

    return support.obstacle(job)


def keras_obstacle(job: r.TrainJob) -> str:
    """Keras trains every job."""
    return ""


def _jax_sees_gpu() -> bool:
    from grader.train.jax import support

    return support.sees_gpu()


def _tensorflow_sees_gpu() -> bool:
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


def native_environment(note: str = "") -> r.Environment:
    import numba
    import numpy as np

    return r.Environment(
        device=_cpu(),
        threads=_threads(),
        versions=_versions() | {"numba": numba.__version__, "numpy": np.__version__},
        engine="native",
        engine_note=note,
    )


def jax_environment(note: str = "") -> r.Environment:
    """Have Keras run on JAX in this process, and say what it runs on."""
    from grader.train.jax import support

    support.prepare()
    import jax
    import keras
    import numpy as np

    device = jax.devices()[0]
    return r.Environment(
        device=_cpu() if device.platform == "cpu" else device.device_kind,
        threads=_threads(),
        versions=_versions() | {"jax": jax.__version__, "keras": keras.__version__, "numpy": np.__version__},
        engine="jax",
        engine_note=note,
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
    tf.config.experimental.enable_tensor_float_32_execution(False)  # on a GPU as on a processor
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


ENVIRONMENTS = {"native": native_environment, "jax": jax_environment, "keras": keras_environment}
OBSTACLES = {"native": native_obstacle, "jax": jax_obstacle, "keras": keras_obstacle}
