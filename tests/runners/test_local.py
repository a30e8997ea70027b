"""This machine as a runner: how cores, GPUs and memory are shared out, and that closing ends what runs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grader import records as r
from grader.ask.attempt import Attempt
from grader.ask.training import Watcher
from grader.box import tree
from grader.data import datasets
from grader.runners import RUNNERS, Settings, gpus, local

FAKE_SMI = """#!/bin/sh
case "$1" in
*query-gpu*) printf '0, GPU-aaa1, 16384, 15000\\n1, GPU-bbb2, 16384, 1000\\n2, GPU-ccc3, 16384, [N/A]\\n' ;;
*) printf '%s, 900\\n77, 5\\n' "$FAKE_PID" ;;
esac
"""


@pytest.fixture
def two_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that answers as `nvidia-smi` does on a machine with three GPUs."""
    program = tmp_path / "nvidia-smi"
    program.write_text(FAKE_SMI)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_cores_are_divided() -> None:
    """In parts as equal as can be; with more jobs than cores each has one."""
    assert local.divided([0, 1, 2, 3, 4], 2) == [[0, 1], [2, 3, 4]]
    assert local.divided([4, 7], 2) == [[4], [7]]
    assert local.divided([0, 1], 3) == [[0], [1], [0]]


def test_as_many_as_memory_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not one more than a core each, and one at least."""
    monkeypatch.setattr(local, "_cores", lambda: list(range(8)))
    monkeypatch.setattr(tree, "available", lambda: 5 * 10**9)
    assert len(local._on_cores(None)) == 2
    monkeypatch.setattr(tree, "available", lambda: 10**9)
    assert [len(slot.cores) for slot in local._on_cores(None)] == [0]
    assert len(local._on_cores(5)) == 5


def test_the_gpus_of_a_machine(two_gpus: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """By number and by UUID, as CUDA reads the variable: what follows a name that is none is not seen."""
    assert [g.name for g in gpus.visible()] == ["0", "1", "2"]
    assert gpus.visible()[0].free == 15000 << 20
    assert gpus.visible()[2].free == 0
    assert [g.name for g in gpus.visible(1)] == ["0"]
    for chosen, names in (("1", "1"), ("GPU-bbb,0", "10"), ("2,9,0", "2"), ("", ""), ("-1", "")):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", chosen)
        assert "".join(g.name for g in gpus.visible()) == names
    monkeypatch.setenv("FAKE_PID", "123")
    assert (gpus.used_by(123), gpus.used_by(9)) == (900 << 20, 0)
    monkeypatch.setenv("PATH", "/nowhere")
    assert gpus.visible() == ()


def test_gpus_begin_with_one_each(two_gpus: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each child sees one; more follow when one has shown what it takes."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    runner = local.Local(Settings())
    assert [slot.setting["CUDA_VISIBLE_DEVICES"] for slot in runner._free] == ["0", "1"]
    runner._more(gpus.visible()[0], 2)
    assert runner.slots == 4
    runner.close()
    three = local.Local(Settings(jobs=3))
    assert [slot.setting["CUDA_VISIBLE_DEVICES"] for slot in three._free] == ["0", "1", "0"]
    three.close()
    none = local.Local(Settings(gpus=0))
    assert all("CUDA_VISIBLE_DEVICES" not in slot.setting for slot in none._free)
    none.close()


def test_how_many_fit_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its free memory, by main memory, by cores, and never more than take turns well."""
    monkeypatch.setattr(local, "_cores", lambda: list(range(64)))
    monkeypatch.setattr(tree, "available", lambda: 10**12)
    assert local.more_that_fit(free=10**10, used=2 * 10**9, gpus=1) == 4
    assert local.more_that_fit(free=10**9, used=2 * 10**9, gpus=1) == 0
    assert local.more_that_fit(free=10**12, used=10**9, gpus=1) == local.MOST_PER_GPU - 1
    monkeypatch.setattr(local, "_cores", lambda: [0, 1, 2, 3])
    assert local.more_that_fit(free=10**12, used=10**9, gpus=2) == 1


def test_closing_ends_what_runs(network: Any, recipe: Callable[..., Any]) -> None:
    """Within seconds, whatever an attempt would still have to do; and its process is gone."""
    layers = (r.Flatten(name="f", inbound=()), r.Dense(name="d", inbound=(), units=10, activation="softmax"))
    job = r.TrainJob(
        network=network(*layers), training=(recipe(),), dataset=datasets.MNIST, seed=1, max_epochs=20
    )
    runner = RUNNERS["local"](Settings(jobs=1))
    futures = [runner.begin(Attempt(job.model_copy(update={"seed": seed})), Watcher()) for seed in (1, 2)]
    while not (children := [p for p in tree.descendants(os.getpid()) if _trains(p)]):
        time.sleep(0.05)
    runner.close()
    assert all(future.done() for future in futures)
    assert all(future.cancelled() or future.exception() for future in futures)
    assert not any(_trains(process) for process in children)


def _trains(process: int) -> bool:
    try:
        return b"grader.train" in Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return False
