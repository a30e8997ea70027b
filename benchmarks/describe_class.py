"""Describe a class of submissions from cold starts and from the fork server, interleaved in one run.

    python benchmarks/describe_class.py [--submissions 50]

Prints seconds per submission of both, their ratio, and whether the descriptions were identical.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

from grader.ask.asker import Asker
from grader.ask.description import describe
from grader.box import isolation
from grader.data import datasets
from grader.intake import load
from grader.intake.load import Loaded
from grader.records import Description

SUBMISSIONS = Path(__file__).parents[1] / "submissions"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--submissions", type=int, default=50)
    count = parser.parse_args().submissions
    box = isolation.choose("required")
    data = datasets.load(datasets.MNIST)
    with tempfile.TemporaryDirectory() as scratch:
        folders = [Path(scratch) / name for name in ("cold", "warm")]
        for folder in folders:
            folder.mkdir()
        cold, warm = (Asker(data, box, folder) for folder in folders)
        begun = time.perf_counter()
        if reason := warm.serve():
            raise SystemExit(f"there is no fork server here: {reason}")
        started = time.perf_counter() - begun
        notebooks = [load.load(path, folders[0]) for path in sorted(SUBMISSIONS.iterdir()) if _is_code(path)]
        seconds: dict[str, list[float]] = {"cold": [], "warm": []}
        same = 0
        for loaded in islice(cycle(notebooks), count):
            described = [
                _timed(asker, loaded, seconds[name]) for name, asker in (("cold", cold), ("warm", warm))
            ]
            same += described[0] == described[1]
        warm.close()
    _print(box.name, count, same, seconds, started)


def _is_code(path: Path) -> bool:
    return not any(file.suffix in (".keras", ".h5") for file in path.iterdir())


def _timed(asker: Asker, loaded: Loaded, seconds: list[float]) -> Description:
    begun = time.perf_counter()
    description = describe(loaded, asker, 300)
    seconds.append(time.perf_counter() - begun)
    return description


def _print(box: str, count: int, same: int, seconds: dict[str, list[float]], started: float) -> None:
    cold, warm = (sum(seconds[name]) for name in ("cold", "warm"))
    print(f"{count} submissions in {box}")
    print(f"identical descriptions: {same} of {count}")
    for name, values in seconds.items():
        median, most = statistics.median(values), max(values)
        print(f"{name}: {sum(values):.1f} s in all, median {median:.2f} s, slowest {most:.2f} s")
    print(f"start of the fork server: {started:.1f} s")
    print(f"cold / warm: {cold / warm:.1f}, with the start of the server {cold / (warm + started):.1f}")


if __name__ == "__main__":
    main()
