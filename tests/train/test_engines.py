"""Which engine trains a job, and what its environment says; the native child runs without TensorFlow."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grader import records as r
from grader.ask.attempt import Attempt
from grader.ask.training import Training, Watcher
from grader.data import datasets, speeds
from grader.train import engines
from grader.train.native import cache

Build = Callable[..., r.ModelDescription]
HEAD = (r.Flatten(name="f"), r.Dense(name="d", units=10, activation="softmax"))


@pytest.fixture
def job(network: Build, recipe: Callable[..., r.TrainingRecipe]) -> Callable[..., r.TrainJob]:
    def build(*layers: r.Layer, **changes: Any) -> r.TrainJob:
        trained = (recipe(epochs=1, batch_size=1_000),)
        given = {"network": network(*layers, *HEAD), "training": trained, "seed": 1, "max_epochs": 1}
        return r.TrainJob(dataset=datasets.MNIST, **(given | changes))

    return build


@pytest.fixture(autouse=True)
def _unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speeds, "order", lambda: ())


@pytest.fixture
def _processor_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")


@pytest.mark.usefixtures("_processor_only")
def test_processors_take_the_native_engine_where_it_covers_the_job(job: Callable[..., r.TrainJob]) -> None:
    """The reason for Keras is the rubric's choice, or the layer that the native engine lacks."""
    noise = r.GaussianNoise(name="g", stddev=0.1)
    assert engines.choose(job()) == ("native", "")
    uncovered = "the native engine does not cover the layer GaussianNoise"
    assert engines.choose(job(noise)) == ("keras", uncovered)
    assert engines.choose(job(engine="keras")) == ("keras", "the rubric asks for Keras")


def test_a_gpu_is_taken_by_whoever_can_use_it(
    job: Callable[..., r.TrainJob], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With "auto" JAX, then TensorFlow, then the processor; by name another one."""
    monkeypatch.setattr(speeds, "shows_gpu", lambda: True)
    monkeypatch.setattr(engines.jax, "obstacle", lambda job: "")
    monkeypatch.setattr(engines.jax, "sees_gpu", lambda: True)
    assert engines.choose(job()) == ("jax", "")
    assert engines.choose(job(beside=(2, 3))) == ("jax", "seeds 1, 2, 3 in one program")
    assert engines.choose(job(engine="native")) == ("native", "")
    monkeypatch.setattr(engines.jax, "sees_gpu", lambda: False)
    monkeypatch.setattr(engines.keras, "sees_gpu", lambda: True)
    assert engines.choose(job()) == ("keras", "JAX sees no GPU")
    monkeypatch.setattr(engines.keras, "sees_gpu", lambda: False)
    assert engines.choose(job()) == ("native", "JAX sees no GPU; TensorFlow sees no GPU")


def test_what_was_measured_on_this_machine_goes_first(
    job: Callable[..., r.TrainJob], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fastest that covers the job; what the rubric names stays."""
    fastest = "measured as the fastest on this machine"
    monkeypatch.setattr(speeds, "order", lambda: ("keras", "native"))
    assert engines.choose(job()) == ("keras", fastest)
    assert engines.choose(job(engine="native")) == ("native", "")
    monkeypatch.setattr(speeds, "order", lambda: ("native", "keras"))
    assert engines.choose(job()) == ("native", fastest)
    noise = r.GaussianNoise(name="g", stddev=0.1)
    uncovered = "the native engine does not cover the layer GaussianNoise"
    assert engines.choose(job(noise)) == ("keras", uncovered)


def test_seeds_that_do_not_fit_in_memory_together_are_trained_alone(
    job: Callable[..., r.TrainJob], monkeypatch: pytest.MonkeyPatch
) -> None:
    """XLA's error for a device whose memory is full; any other one is not hidden."""
    said = ["RESOURCE_EXHAUSTED: Out of memory allocating 1 bytes."]

    def learner(job: r.TrainJob, arrays: dict[str, Any]) -> Any:
        if job.beside:
            raise RuntimeError(said[0])
        return engines.native.learner(job, arrays)

    monkeypatch.setattr(engines, "choose", lambda job: ("jax", "seeds 1, 2 in one program"))
    monkeypatch.setattr(engines.jax, "learner", learner)
    # The one of JAX would have Keras run on JAX in this process, for all tests to come.
    monkeypatch.setattr(engines.jax, "environment", engines.native.environment)
    events: list[r.TrainEvent] = []
    data = datasets.load(datasets.MNIST)
    arrays = {name: getattr(data, name) for name in ("x_train", "y_train", "x_test", "y_test")}
    end = engines.run(job(beside=(2,)), arrays, events.append)
    assert (end.ended, end.beside) == ("finished", ())
    notes = [event.engine_note for event in events if isinstance(event, r.Environment)]
    assert notes == ["seeds 1, 2 in one program", "2 seeds in one program took too much memory"]
    said[0] = "INTERNAL: something else"
    with pytest.raises(RuntimeError, match="INTERNAL"):
        engines.run(job(beside=(2,)), arrays, events.append)


def test_what_jax_does_not_train_goes_to_keras(
    job: Callable[..., r.TrainJob], recipe: Callable[..., r.TrainingRecipe]
) -> None:
    """Images moved at random are made on the host; and this process has Keras on TensorFlow already."""
    import keras

    moved = (recipe(augmentation=r.Augmentation(rotation_range=10.0)),)
    assert engines.choose(job(engine="jax", training=moved)) == (
        "keras", "JAX does not train a recipe with augmentation",
    )  # fmt: skip
    assert keras.backend.backend() == "tensorflow"
    taken = "Keras already runs on another backend in this process"
    assert engines.choose(job(engine="jax")) == ("keras", taken)


def _child(job: r.TrainJob, home: Path) -> list[dict[str, Any]]:
    """The events of a training child, after a last line that lists TensorFlow if it was imported."""
    source = "import sys, runpy; runpy.run_module('grader.train', run_name='__main__')\n"
    source += "print('tensorflow' if sys.modules.get('tensorflow') else 'none', file=sys.stderr)"
    environment = {"PATH": "", "HOME": str(home), "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, "-c", source],
        input=job.model_dump_json(),
        env=environment | {"NUMBA_CACHE_DIR": str(home)},
        capture_output=True,
        text=True,
        check=True,
    )
    return [*map(json.loads, done.stdout.splitlines()), {"imported": done.stderr.splitlines()[-1]}]


def test_the_native_child_trains_without_tensorflow(job: Callable[..., r.TrainJob], tmp_path: Path) -> None:
    """An epoch of MNIST on a softmax regression; the environment names the engine and its versions."""
    start, *_, epoch, effects, end, last = _child(job(engine="native"), tmp_path)
    assert (start["engine"], start["engine_note"]) == ("native", "")
    assert "numba" in start["versions"]
    assert epoch["correct"] > 7_000
    assert (effects["idle"], effects["random"]) == ([], False)
    assert end["ended"] == "finished"
    assert last["imported"] == "none"


def test_the_child_on_jax_trains_without_tensorflow(job: Callable[..., r.TrainJob], tmp_path: Path) -> None:
    """Two seeds in one program; the other one's run comes with the end, and starts from other weights."""
    pytest.importorskip("jax")
    start, *_, epoch, effects, end, last = _child(job(engine="jax", beside=(2,)), tmp_path)
    assert (start["engine"], start["engine_note"]) == ("jax", "seeds 1, 2 in one program")
    assert "jax" in start["versions"]
    assert epoch["correct"] > 7_000
    assert effects["idle"] == []
    (beside,) = end["beside"]
    assert beside["seed"] == 2
    assert beside["epochs"][0]["correct"] > 7_000
    assert beside["epochs"][0]["train_loss"] != epoch["train_loss"]
    assert last["imported"] == "none"


def test_a_retraining_gives_the_runs_of_all_its_seeds(job: Callable[..., r.TrainJob]) -> None:
    """Each has the environment; an attempt tells whose run it is."""
    pytest.importorskip("jax")
    asked = job(engine="jax", beside=(2,))
    runs = Training(asked, Watcher()).run()
    assert [run.seed for run in runs] == [1, 2]
    assert runs[0].environment == runs[1].environment
    other = Attempt(asked, 1, 3).of(2)
    assert (other.job.seed, other.number) == (2, 2)
    assert other.key == Attempt(job(engine="jax", seed=2), 2, 3).key


def test_the_cache_is_the_users_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that others may write to is not used; the user's own is made for nobody else."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", "")  # so that it is put back
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    folder = cache.prepare(tmp_path)
    assert folder is not None
    assert folder.is_relative_to(tmp_path)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    folder.chmod(0o777)
    assert cache.prepare(tmp_path) is None


def test_without_a_place_for_it_there_is_no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home that is a file cannot hold one; the engine then compiles for each run."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", "")  # so that it is put back
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    (tmp_path / "home").touch()
    assert cache.prepare(tmp_path / "home") is None


def test_kernels_of_old_versions_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A month after anything was added to them; the current ones and younger ones stay."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", "")  # so that it is put back
    for name, days in (("kernels-old", 31), ("kernels-young", 29), ("programs", 31)):
        folder = tmp_path / ".cache" / "grader" / name
        folder.mkdir(parents=True, mode=0o700)
        (folder / "file").touch()
        os.utime(folder, (time.time() - days * 86_400,) * 2)
    (tmp_path / ".cache" / "grader").chmod(0o700)
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    current = cache.prepare(tmp_path)
    assert current is not None
    found = {folder.name for folder in current.parent.iterdir()}
    assert found == {current.name, "kernels-young", "programs"}
