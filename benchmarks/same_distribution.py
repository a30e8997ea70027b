"""Best epochs of the native engine and of Keras over seeds, for submission 3: are they the same distribution?

    python benchmarks/same_distribution.py [--seeds 10] [--epochs 20] [--engine native] [--engine keras]

Prints each run's most correct images of 10,000, and with both engines how often a difference of means as
large comes from dealing the same runs out by chance (a permutation test). Hours for both on a few cores.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from train_epoch import NETWORKS, network

from grader import datasets
from grader import records as r
from grader.train import engines

DEALT = 20_000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--engine", choices=("native", "keras"), action="append")
    given = parser.parse_args()
    seeds = range(2019, 2019 + given.seeds)
    best: dict[str, list[int]] = {name: [] for name in given.engine or ("native", "keras")}
    for seed in seeds:
        for engine, found in best.items():
            counts = _counts(engine, seed, given.epochs)
            found.append(max(counts))
            print(f"{engine:6} seed {seed}: best {max(counts)} in epoch {counts.index(max(counts)) + 1}")
    for engine, found in best.items():
        print(f"{engine:6} mean {np.mean(found):.1f}, deviation {np.std(found):.1f}, runs {found}")
    if len(best) == 2:
        print(f"p = {_chance(*best.values()):.2f}")


def _counts(engine: Any, seed: int, epochs: int) -> list[int]:
    """Correct images after each epoch of one run, with the schedule that was handed in."""
    rates = tuple(round(0.003 / (1 + 0.319 * epoch), 10) for epoch in range(epochs))
    recipe = r.TrainingRecipe(optimizer=r.Adam(), learning_rates=rates, epochs=epochs, batch_size=128)
    job = r.TrainJob(
        network=network(*NETWORKS["submission-3"]), training=(recipe,), dataset=datasets.MNIST, seed=seed,
        max_epochs=epochs, engine=engine,
    )  # fmt: skip
    data = datasets.load(job.dataset)
    arrays = {name: getattr(data, name) for name in ("x_train", "y_train", "x_test", "y_test")}
    seen: list[int] = []

    def watch(event: r.TrainEvent) -> None:
        if isinstance(event, r.EpochResult):
            seen.append(event.correct)

    engines.run(job, arrays, watch)
    return seen


def _chance(one: list[int], other: list[int]) -> float:
    """How often the means of runs dealt out by chance lie as far apart as these."""
    random, runs = np.random.default_rng(1), np.array([*one, *other])
    apart = abs(np.mean(one) - np.mean(other))
    dealt = (random.permutation(runs) for _ in range(DEALT))
    return sum(abs(x[: len(one)].mean() - x[len(one) :].mean()) >= apart for x in dealt) / DEALT


if __name__ == "__main__":
    main()
