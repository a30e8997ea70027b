"""Training steps of every engine and of Keras's `fit`, interleaved in one run, as ratios.

    python benchmarks/train_epoch.py [--steps 40] [--repeats 5] [--network submission-3] [--engine native]

Engines: `fit` is Keras's on TensorFlow, which the others are compared with, `fit-jax` Keras's on JAX;
`native` and `jax` are grader's own. Each has a process of its own and trains in turn, one epoch of so many
steps at a time; the shortest counts. Told are milliseconds per step on the clock and of the processor, all
threads together (on a machine that is busy otherwise, only that can be compared), seconds until the first
epoch is done, from the start of the process, and its largest memory. The limit is what a step would take at
the speed at which a large matrix product runs here.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from grader import records as r
from grader.data import datasets
from grader.layers import shapes
from grader.train import engines

BATCH = 128
ENGINES = ("fit", "fit-jax", "native", "jax")
Epoch = Callable[[], None]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--network", choices=NETWORKS, action="append")
    parser.add_argument("--engine", choices=ENGINES, action="append")
    parser.add_argument("--seeds", type=int, default=1, help="in one program of the engine jax")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        _work(given.engine[0], given.network[0], given.steps, given.seeds)
        return
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, batches of {BATCH}")
    print("network         engine     ms/step   fit/it |  cpu ms   fit/it |  limit | first epoch | memory")
    for name in given.network or NETWORKS:
        _compare(name, given.engine or ENGINES, given.steps, given.repeats, given.seeds)


def _compare(name: str, names: Iterable[str], steps: int, repeats: int, seeds: int) -> None:
    workers = {engine: Worker(engine, name, steps, seeds) for engine in names}
    floating = min(_product() for _ in range(3))
    for _ in range(repeats):
        for worker in workers.values():
            worker.epoch()
        floating = min(floating, _product())
    # Forth, and back to inputs and to weights: three times the multiplications, two operations each.
    described = shapes.analyse(network(*NETWORKS[name])).layers
    limit = 6 * sum(layer.multiplications for layer in described) * BATCH * floating * 1e3
    base = workers.get("fit")
    for engine, worker in workers.items():
        wall, cpu = worker.wall / steps * 1e3, worker.cpu / steps * 1e3
        ratios = (base.wall / worker.wall, base.cpu / worker.cpu) if base else (0.0, 0.0)
        memory = worker.close()
        print(
            f"{name:15} {engine:8} {wall:9.2f} {ratios[0]:8.2f} | {cpu:7.1f} {ratios[1]:8.2f} | {limit:6.2f} "
            f"| {worker.start:9.1f} s | {memory / 1e3:4.0f} MB",
            flush=True,
        )


class Worker:
    """A process in which one engine has one network ready."""

    def __init__(self, engine: str, name: str, steps: int, seeds: int) -> None:
        command = [sys.executable, __file__, "--worker", "--engine", engine, "--network", name]
        command += ["--steps", str(steps), "--seeds", str(seeds)]
        begun = time.perf_counter()
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._read()
        self.start = time.perf_counter() - begun
        self.wall = self.cpu = np.inf

    def epoch(self) -> None:
        told = self._tell("epoch")
        self.wall, self.cpu = min(self.wall, told["wall"]), min(self.cpu, told["cpu"])

    def close(self) -> float:
        """Kilobytes that it has had at most."""
        memory = self._tell("close")["memory"]
        self._process.wait()
        return memory

    def _tell(self, word: str) -> dict[str, float]:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, float]:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())


def _product(size: int = 1024) -> float:
    """Seconds per floating-point operation in a matrix product of NumPy's."""
    matrix = np.ones((size, size), np.float32)
    begun = time.perf_counter()
    matrix @ matrix
    return (time.perf_counter() - begun) / (2 * size**3)


# --- in a worker --------------------------------------------------------------------------------


def _work(engine: str, name: str, steps: int, seeds: int) -> None:
    epoch = _ready(engine, network(*NETWORKS[name]), steps, seeds)
    epoch()
    print("{}", flush=True)
    for line in sys.stdin:
        if line.strip() == "close":
            print(json.dumps({"memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}), flush=True)
            return
        begun, used = time.perf_counter(), time.process_time()
        epoch()
        told = {"wall": time.perf_counter() - begun, "cpu": time.process_time() - used}
        print(json.dumps(told), flush=True)


def _ready(engine: str, described: r.ModelDescription, steps: int, seeds: int) -> Epoch:
    recipe = r.TrainingRecipe(
        optimizer=r.Adam(), learning_rates=(0.003,), epochs=1, batch_size=BATCH, shuffle=False
    )
    job = r.TrainJob(
        network=described, training=(recipe,), dataset=datasets.MNIST, seed=1, max_epochs=1,
        beside=tuple(range(2, 1 + seeds)) if engine == "jax" else (),
    )  # fmt: skip
    data = datasets.load(job.dataset)
    count = steps * BATCH
    arrays = {
        "x_train": data.x_train[:count], "y_train": data.y_train[:count],
        "x_test": data.x_test[:BATCH], "y_test": data.y_test[:BATCH],
    }  # fmt: skip
    if engine == "fit-jax":
        os.environ["KERAS_BACKEND"] = "jax"
    return _fit(job, arrays) if engine.startswith("fit") else _own(engine, job, arrays, steps)


def _own(engine: str, job: r.TrainJob, arrays: dict[str, Any], steps: int) -> Epoch:
    from grader.train.learner import Pass

    engines.ENGINES[engine].environment()  # sets up the process
    learner = engines.ENGINES[engine].learner(job, arrays)
    learner.begin(job.training[0], fresh=True)
    order = np.arange(steps * BATCH)
    own = Pass(list(order.reshape(steps, BATCH)), [0.003] * steps)

    def epoch() -> None:
        learner.train([own] * (1 + len(job.beside)), lambda batches, so_far: None)

    return epoch


def _fit(job: r.TrainJob, arrays: dict[str, Any]) -> Epoch:
    from grader.train.keras import build, feeding

    (recipe,) = job.training
    model = build.model(job.network)
    model.compile(
        optimizer=build.optimizer(recipe),
        loss=build.loss(recipe.loss),
        metrics=[build.accuracy(recipe.loss)],
        jit_compile="auto" if os.environ.get("KERAS_BACKEND") == "jax" else False,
    )
    x = feeding.inputs(arrays["x_train"], recipe, model.input_shape[1:])
    y = feeding.targets(arrays["y_train"], recipe.loss, 10)

    def epoch() -> None:
        model.fit(x, y, batch_size=BATCH, epochs=1, verbose=0, shuffle=False)

    return epoch


# --- networks -----------------------------------------------------------------------------------


def network(*layers: r.Layer) -> r.ModelDescription:
    chain: list[r.Layer] = [r.InputLayer(name="input", shape=(28, 28, 1))]
    for number, layer in enumerate(layers):
        chain.append(layer.model_copy(update={"name": f"layer_{number}", "inbound": (chain[-1].name,)}))
    return r.ModelDescription(inputs=("input",), layers=tuple(chain), outputs=(chain[-1].name,))


def _conv(filters: int, size: int = 3, activation: r.Activation = "relu") -> r.Conv2D:
    return r.Conv2D(name="x", filters=filters, kernel_size=(size, size), activation=activation)


def _block(filters: int) -> tuple[r.Layer, ...]:
    return _conv(filters), r.BatchNormalization(name="x"), r.Dropout(name="x", rate=0.1)


def _separable(filters: int) -> r.SeparableConv2D:
    return r.SeparableConv2D(name="x", filters=filters, kernel_size=(3, 3), activation="relu")


def _dense(units: int, activation: r.Activation = "relu") -> r.Dense:
    return r.Dense(name="x", units=units, activation=activation)


_POOL, _FLAT = r.MaxPooling2D(name="x"), r.Flatten(name="x")
_END = (_conv(10, 4, "linear"), _FLAT, r.ActivationLayer(name="x", activation="softmax"))
_OUT = _dense(10, "softmax")
NETWORKS: dict[str, tuple[r.Layer, ...]] = {
    "submission-1": (
        _conv(16), _conv(32), _conv(10, 1), _POOL, _conv(16), _conv(32), _conv(32), _conv(64), *_END,
    ),
    "submission-2": (
        _conv(8), _conv(16), _conv(10, 1), _POOL, _conv(8), _conv(16), _conv(16), _conv(16), *_END,
    ),
    "submission-3": (
        *_block(12), *_block(20), _conv(10, 1), _POOL, *_block(16), *_block(16), *_block(16),
        *_block(16), *_END,
    ),
    "wide": (_conv(32), _conv(64), _POOL, r.Dropout(name="x", rate=0.25), _FLAT, _dense(128), _OUT),
    "dense": (_FLAT, _dense(512), r.Dropout(name="x", rate=0.2), _dense(512), _OUT),
    "dense, large": (_FLAT, _dense(1024), _dense(640), _OUT),
    "separable": (
        _conv(16), _separable(32), r.BatchNormalization(name="x"), _POOL, _separable(64),
        r.GlobalAveragePooling2D(name="x"), _OUT,
    ),
    "lenet": (
        _conv(6, 5, "tanh"), r.AveragePooling2D(name="x"), _conv(16, 5, "tanh"), r.AveragePooling2D(name="x"),
        _FLAT, _dense(120, "tanh"), _dense(84, "tanh"), _OUT,
    ),
}  # fmt: skip

if __name__ == "__main__":
    main()
