"""What was measured on this machine counts for "auto", as long as nothing changes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from grader.data import speeds
from grader.data.speeds import Measured
from grader.machine import measure
from grader.records import TrainJob
from grader.train import engines


def test_the_fastest_engine_comes_first(tmp_path: Path) -> None:
    assert speeds.order(tmp_path) == ()
    speeds.keep({"keras": 40.0, "native": 10.0, "jax": 90.5}, tmp_path)
    assert speeds.order(tmp_path) == ("native", "keras", "jax")


def test_other_conditions_are_not_those_of_the_measurement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A GPU forbidden or a library updated since, or a file that says something else altogether."""
    file = speeds.keep({"keras": 40.0}, tmp_path)
    assert file is not None
    with monkeypatch.context() as patch:
        patch.setattr(speeds, "_version", lambda library: "0.0")
        assert speeds.order(tmp_path) == ()
    with monkeypatch.context() as patch:
        patch.setattr(speeds, "shows_gpu", lambda: True)
        assert speeds.order(tmp_path) == ()
    assert speeds.order(tmp_path) == ("keras",)
    file.write_text('{"conditions": [], "milliseconds": {"quick": 1}}')
    assert speeds.order(tmp_path) == ()


def test_nothing_is_kept_where_others_can_write(tmp_path: Path) -> None:
    file = speeds.keep({"keras": 40.0}, tmp_path)
    assert file is not None
    file.parent.chmod(0o777)
    assert speeds.keep({"keras": 1.0}, tmp_path) is None
    assert speeds.order(tmp_path) == ()


@pytest.mark.skipif(sys.platform == "win32", reason="no such devices")
def test_a_gpu_that_is_forbidden_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speeds, "_gpus", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert speeds.shows_gpu()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert "1 of 2 GPUs" in speeds.conditions()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert "no GPU" in speeds.conditions()


def test_what_is_measured_trains_and_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Real training of every engine here; one that is not covered is not in the result."""
    kept: list[dict[speeds.EngineName, float]] = []
    monkeypatch.setattr(speeds, "keep", lambda found: kept.append(found) or Path("there"))
    monkeypatch.setattr(measure, "get_args", lambda of: ("native", "keras"))
    monkeypatch.setattr(measure, "STEPS", 2)
    findings = list(measure.measure())
    assert [f.subject for f in findings] == ["native engine", "keras engine", "measured"]
    assert sorted(f.state for f in findings) == ["used", "works", "works"]
    assert set(kept[0]) == {"native", "keras"}
    assert all(milliseconds > 0 for milliseconds in kept[0].values())


def test_every_engine_covers_what_is_measured() -> None:
    """Otherwise Keras would be timed in its place."""
    job = TrainJob(
        network=measure._network(), training=(measure._recipe(),), dataset=measure.datasets.MNIST,
        seed=1, max_epochs=1,
    )  # fmt: skip
    assert engines.ENGINES["native"].obstacle(job) == ""
    assert Measured(conditions=(), milliseconds=dict.fromkeys(engines.ENGINES, 1.0))
