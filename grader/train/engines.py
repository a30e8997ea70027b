"""Choose the engine that trains a job: native on processors, JAX on a GPU, Keras's `fit` for the rest.

Keras's alone imports TensorFlow: that saves the others seconds and memory for every attempt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

from grader import records as r
from grader.data import datasets, speeds
from grader.data.speeds import EngineName
from grader.train.epochs import Trainer
from grader.train.jax import engine as jax
from grader.train.keras import engine as keras
from grader.train.learner import Learner
from grader.train.native import engine as native

Emit = Callable[[r.TrainEvent], None]


class Engine(Protocol):
    """What trains jobs; a module loads its libraries in the functions that need them."""

    def obstacle(self, job: r.TrainJob) -> str:
        """Return why this engine does not train a job; empty if it does."""

    def sees_gpu(self) -> bool:
        """Whether this engine can use a GPU of this machine."""

    def environment(self, note: str = "") -> r.Environment:
        """Set up this process for this engine, and return what it runs on; ``note``: why it was chosen."""

    def learner(self, job: r.TrainJob, arrays: dict[str, Any]) -> Learner:
        """Return what trains a job that meets no obstacle, in a process that is set up for it."""

    several_seeds: bool
    """Whether a learner trains the seeds beside the first one, in one program."""


ENGINES: dict[str, Engine] = {"native": native, "jax": jax, "keras": keras}


def run(job: r.TrainJob, arrays: dict[str, Any], emit: Emit) -> r.EndEvent:
    """Train one attempt with the engine that fits; emit its environment first, return how it ended."""
    name, note = choose(job)
    engine = ENGINES[name]
    emit(engine.environment(note))
    alone = job.model_copy(update={"beside": ()})
    if not (engine.several_seeds and job.beside):
        return _train(engine, alone, arrays, emit)
    try:
        return _train(engine, job, arrays, emit)
    except RuntimeError as error:  # XLA has no class of its own for a lack of memory
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
    emit(engine.environment(f"{1 + len(job.beside)} seeds in one program took too much memory"))
    return _train(engine, alone, arrays, emit)


def _train(engine: Engine, job: r.TrainJob, arrays: dict[str, Any], emit: Emit) -> r.EndEvent:
    first, *beside = Trainer(job, arrays, emit, engine.learner(job, arrays)).run()
    return r.EndEvent(ended=first.ended, kept=first.kept, beside=tuple(seed.as_run() for seed in beside))


def choose(job: r.TrainJob) -> tuple[EngineName, str]:
    """Return the engine that trains a job in this process, and a note about the choice."""
    if job.engine == "keras":
        return "keras", "the rubric asks for Keras"
    refused: list[str] = []
    for name, reason in _in_turn(job):
        if not reason:
            return name, "; ".join([*refused, *_remarks(name, job)])
        refused.append(reason)
    raise AssertionError("Keras trains every job")


def _in_turn(job: r.TrainJob) -> Iterator[tuple[EngineName, str]]:
    """Yield the engines for a job, the best first, each with the reason why it does not train the job."""
    fastest = speeds.order() if job.engine == "auto" else ()
    if job.engine != "auto":
        yield job.engine, ENGINES[job.engine].obstacle(job)
    elif fastest:
        yield from ((name, ENGINES[name].obstacle(job)) for name in fastest)
    else:
        if speeds.shows_gpu():
            yield "jax", jax.obstacle(job) or ("" if jax.sees_gpu() else "JAX sees no GPU")
            yield "keras", keras.obstacle(job) or ("" if keras.sees_gpu() else "TensorFlow sees no GPU")
        yield "native", native.obstacle(job)
    yield "keras", keras.obstacle(job)


def usual() -> r.Environment:
    """Set up this process for what trains an ordinary network on this machine; return its environment."""
    layers = (
        r.InputLayer(name="a", shape=(28, 28, 1)),
        r.Conv2D(name="b", inbound=("a",), filters=10, kernel_size=(28, 28)),
        r.Flatten(name="c", inbound=("b",)),
        r.ActivationLayer(name="d", inbound=("c",), activation="softmax"),
    )
    recipe = r.TrainingRecipe(optimizer=r.Adam(), learning_rates=(0.001,), epochs=1)
    name, note = choose(r.TrainJob(
        network=r.ModelDescription(inputs=("a",), layers=layers, outputs=("d",)), training=(recipe,),
        dataset=datasets.MNIST, seed=1, max_epochs=1,
    ))  # fmt: skip
    return ENGINES[name].environment(note)


def _remarks(name: EngineName, job: r.TrainJob) -> Iterator[str]:
    """Yield notes about an engine that was chosen."""
    if ENGINES[name].several_seeds and job.beside:
        yield f"seeds {', '.join(map(str, (job.seed, *job.beside)))} in one program"
    if job.engine == "auto" and speeds.order()[:1] == (name,):
        yield "measured as the fastest on this machine"
