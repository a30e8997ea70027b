"""Fuzz what reads untrusted input: ``python tests/fuzz/run.py TARGET|all [--seconds N] [--corpus DIR]``.

Every target runs in a process of its own (`worker.py`). Inputs that break a promise are written below
``--crashes`` and named at the end; the exit code is 1 if there are any.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
NAMES = (
    "notebook", "script", "markdown", "zip", "claims", "keras", "hdf5", "architecture", "yaml", "savedmodel",
    "description", "rubric",
)  # fmt: skip

MAX_BYTES = {
    "rubric": 6_000,
    "script": 10_000,
    "markdown": 30_000,
    "claims": 30_000,
    "yaml": 30_000,
}  # of one input
ELSE_BYTES = 128_000
HANG = 30  # seconds of one input after which libFuzzer ends the process
MEMORY = 1_500  # MB


@dataclass(frozen=True)
class Result:
    """What one target came to."""

    target: str
    executions: int
    seconds: float
    coverage: int
    crashes: tuple[Path, ...]
    ended: str  # why it stopped before its time, if it did

    @property
    def row(self) -> str:
        rate = self.executions / max(self.seconds, 0.1)
        numbers = f"{self.executions:>11,} {self.seconds:>8.0f} {rate:>8.0f} {self.coverage:>9,}"
        return f"{self.target:<13}{numbers} {len(self.crashes):>8}  {self.ended}".rstrip()


HEADER = f"{'target':<13}{'executions':>11} {'seconds':>8} {'per s':>8} {'coverage':>9} {'crashes':>8}"


def fuzz(target: str, *, seconds: int, runs: int, corpus: Path | None, crashes: Path, seed: int) -> Result:
    """Run one target in a child; what it prints goes to standard error as it comes."""
    found = crashes / target
    found.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="grader-fuzz-") as scratch:
        work, kept = Path(scratch, "work"), corpus / target if corpus else Path(scratch, "corpus")
        work.mkdir()
        kept.mkdir(parents=True, exist_ok=True)
        command = [
            sys.executable, str(HERE / "worker.py"), target, str(work), str(kept),
            f"-max_total_time={seconds}", f"-max_len={MAX_BYTES.get(target, ELSE_BYTES)}", f"-timeout={HANG}",
            f"-rss_limit_mb={MEMORY}", f"-artifact_prefix={work}/", "-print_final_stats=1",
            "-report_slow_units=30",
            *([f"-runs={runs}"] if runs else []), *([f"-seed={seed}"] if seed else []),
        ]  # fmt: skip
        log, status, took = _run(command, {"GRADER_FUZZ_SCRATCH": scratch, "PYTHONHASHSEED": "0"})
        inputs = [f for f in work.iterdir() if re.match("finding-|crash-|timeout-|oom-", f.name)]
        kinds = tuple(Path(shutil.copy(file, found / file.name)) for file in sorted(inputs))
    return Result(
        target,
        _last(r"stat::number_of_executed_units: (\d+)", log) or _last(r"^#(\d+)\s", log),
        took,
        _last(r"\bcov: (\d+)", log),
        kinds,
        f"ended by status {status}" if status else "",
    )


def _run(command: list[str], settings: dict[str, str]) -> tuple[str, int, float]:
    begun, lines = time.monotonic(), []
    child = subprocess.Popen(
        command, env={**os.environ, **settings}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        text=True, errors="replace", cwd=HERE.parents[1],
    )  # fmt: skip
    with child:
        for line in child.stderr or ():
            lines.append(line)
            sys.stderr.write(line)
    return "".join(lines), child.returncode, time.monotonic() - begun


def _last(pattern: str, log: str) -> int:
    found = re.findall(pattern, log, re.MULTILINE)
    return int(found[-1]) if found else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=[*NAMES, "all"])
    parser.add_argument("--seconds", type=int, default=60, help="for each target (default: 60)")
    parser.add_argument("--runs", type=int, default=0, help="end after so many executions")
    parser.add_argument("--corpus", type=Path, help="keep what was found interesting in this folder")
    parser.add_argument("--crashes", type=Path, default=Path("build/fuzz"), help="default: build/fuzz")
    parser.add_argument("--seed", type=int, default=0, help="of the fuzzer, to repeat a run")
    given = vars(parser.parse_args())
    target = given.pop("target")
    results = [fuzz(name, **given) for name in (NAMES if target == "all" else [target])]
    print(HEADER)
    for result in results:
        print(result.row)
    for file in (file for result in results for file in result.crashes):
        print(file)
    return int(any(result.crashes or result.ended for result in results))


if __name__ == "__main__":
    sys.exit(main())
