"""Training steps of the native engine and of Keras's `fit`, interleaved in one run, as ratios.

    python benchmarks/train_epoch.py [--steps 40] [--repeats 5] [--network submission-3]

For each network: the shortest time of a step of each engine, and what the step would take at the speed at
which a large matrix product runs here. Beside time on the clock stands time of the processor, all threads
together: on a machine that is busy otherwise, only that can be compared.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from grader import datasets, shapes
from grader import records as r
from grader.train import cache

BATCH = 128
Array = Any


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--network", choices=NETWORKS, action="append")
    given = parser.parse_args()
    cache.prepare()
    data = datasets.load(datasets.MNIST)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, batches of {BATCH}; milliseconds per step")
    engines = f"{'Keras':>8} {'native':>8} {'ratio':>6}"
    print(f"{'network':14} {engines} | {engines} | limit")
    print(f"{'':14} {'on the clock':^24} | {'of the processor':^24} |")
    for name in given.network or NETWORKS:
        _report(name, network(*NETWORKS[name]), data, given.steps, given.repeats)
    print(f"at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:.0f} MB, both engines together")


def _report(name: str, network: r.ModelDescription, data: Any, steps: int, repeats: int) -> None:
    recipe = r.TrainingRecipe(
        optimizer=r.Adam(), learning_rates=(0.003,), epochs=1, batch_size=BATCH, shuffle=False
    )
    images, labels = data.x_train[: steps * BATCH], data.y_train[: steps * BATCH]
    run = [_keras(network, recipe, images, labels), _native(network, recipe, images, labels)]
    wall, cpu, limit = [[np.inf] * 2 for _ in range(2)] + [[np.inf]]
    for _ in range(repeats):
        limit[0] = min(limit[0], _product())
        for n, once in enumerate(run):
            begun, used = time.perf_counter(), time.process_time()
            once()
            wall[n] = min(wall[n], (time.perf_counter() - begun) / steps * 1e3)
            cpu[n] = min(cpu[n], (time.process_time() - used) / steps * 1e3)
    # Forth, and back to inputs and to weights: three times the multiplications, two operations each.
    multiplications = sum(layer.multiplications for layer in shapes.analyse(network).layers)
    least = 6 * multiplications * BATCH * limit[0] * 1e3
    columns = " | ".join(f"{k:8.2f} {n:8.2f} {k / n:6.1f}" for k, n in (wall, cpu))
    print(f"{name:14} {columns} | {least:5.2f}", flush=True)


def _product(size: int = 1024) -> float:
    """Seconds per floating-point operation in a matrix product of NumPy's."""
    matrix = np.ones((size, size), np.float32)
    begun = time.perf_counter()
    matrix @ matrix
    return (time.perf_counter() - begun) / (2 * size**3)


def _native(network: r.ModelDescription, recipe: r.TrainingRecipe, images: Array, labels: Array) -> Any:
    from grader.train.native.network import Network
    from grader.train.native.optimizers import Optimizer
    from grader.train.native.team import Team

    made = Network(network, recipe, 1, Team())
    optimizer = Optimizer(recipe.optimizer, 0.003, made.plan.variables, made.plan.parameters)
    rows, classes = images.reshape(len(images), -1).copy(), labels.astype(np.int64)

    def epoch() -> None:
        for start in range(0, len(rows), BATCH):
            made.step(rows, classes, np.arange(start, start + BATCH), optimizer)

    epoch()
    return epoch


def _keras(
    network: r.ModelDescription, recipe: r.TrainingRecipe, images: Array, labels: Array
) -> Callable[[], None]:
    from grader.train import build, feeding

    model = build.model(network)
    model.compile(
        optimizer=build.optimizer(recipe),
        loss=build.loss(recipe.loss),
        metrics=[build.accuracy(recipe.loss)],
        jit_compile=False,
    )
    x = feeding.inputs(images, recipe, model.input_shape[1:])
    y = feeding.targets(labels, recipe.loss, 10)

    def epoch() -> None:
        model.fit(x, y, batch_size=BATCH, epochs=1, verbose=0, shuffle=False)

    epoch()
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
