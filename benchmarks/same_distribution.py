"""Tests whether two ways of training give the same distribution of best epochs, for submission 3.

    python benchmarks/same_distribution.py [--seeds 10] [--epochs 20] [--way native] [--way keras]
    python benchmarks/same_distribution.py --way native --way native-symmetric

A way is an engine; a ``-symmetric`` one trains as all attempts but the first do, with the classes renumbered
and, where the seed says so, the images transposed. Prints each run's most correct images of 10,000, and for
two ways how often a difference of means as large comes from dealing the same runs out by chance (a
permutation test).
Hours for Keras on a few cores.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from train_epoch import NETWORKS, network

from grader import records as r
from grader.data import datasets
from grader.judge import symmetry
from grader.train import engines, symmetric

DEALT = 20_000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument(
        "--way", choices=("native", "native-symmetric", "keras", "keras-symmetric"), action="append"
    )
    given = parser.parse_args()
    seeds = range(2019, 2019 + given.seeds)
    best: dict[str, list[int]] = {name: [] for name in given.way or ("native", "keras")}
    for seed in seeds:
        for way, found in best.items():
            counts = _counts(way, seed, given.epochs)
            found.append(max(counts))
            print(
                f"{way:16} seed {seed}: best {max(counts)} in epoch {counts.index(max(counts)) + 1}",
                flush=True,
            )
    for way, found in best.items():
        print(f"{way:16} mean {np.mean(found):.1f}, deviation {np.std(found):.1f}, runs {found}")
    if len(best) == 2:
        print(f"p = {_chance(*best.values()):.2f}")


def _counts(way: str, seed: int, epochs: int) -> list[int]:
    """Correct images after each epoch of one run, with the schedule that was handed in."""
    rates = tuple(round(0.003 / (1 + 0.319 * epoch), 10) for epoch in range(epochs))
    recipe = r.TrainingRecipe(optimizer=r.Adam(), learning_rates=rates, epochs=epochs, batch_size=128)
    job = r.TrainJob(
        network=network(*NETWORKS["submission-3"]), training=(recipe,), dataset=datasets.MNIST, seed=seed,
        max_epochs=epochs, engine=_engine(way), symmetry=_symmetry(way, seed),
    )  # fmt: skip
    data = datasets.load(job.dataset)
    arrays = {name: getattr(data, name) for name in ("x_train", "y_train", "x_test", "y_test")}
    seen: list[int] = []

    def watch(event: r.TrainEvent) -> None:
        if isinstance(event, r.EpochResult):
            seen.append(event.correct)

    engines.run(*symmetric.applied(job, arrays), watch)
    return seen


def _engine(way: str) -> Any:
    return way.removesuffix("-symmetric")


def _symmetry(way: str, seed: int) -> r.Symmetry:
    return symmetry.drawn(seed, 10, True) if way.endswith("-symmetric") else r.AS_HANDED_IN


def _chance(one: list[int], other: list[int]) -> float:
    """How often the means of runs dealt out by chance lie as far apart as these."""
    random, runs = np.random.default_rng(1), np.array([*one, *other])
    apart = abs(np.mean(one) - np.mean(other))
    dealt = (random.permutation(runs) for _ in range(DEALT))
    return sum(abs(x[: len(one)].mean() - x[len(one) :].mean()) >= apart for x in dealt) / DEALT


if __name__ == "__main__":
    main()
