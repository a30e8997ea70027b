"""What is digested is what runs: no file reaches a submission's code that its digest does not hold."""

from __future__ import annotations

import ast
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from attacks import SAY, TRY, ask, notebook

from grader import records as r
from grader.ask.asker import Asker, ReplayWish
from grader.ask.attempt import Attempt
from grader.ask.replay import Replay, Replaying
from grader.ask.training import Watcher
from grader.data import datasets
from grader.errors import BrokenError
from grader.intake.load import load

LOOK = """
import os, sys
seen = sorted(os.path.relpath(os.path.join(here, name)) for here, _, names in os.walk(".") for name in names)
say((seen, sys.argv))
"""
FIT = r.TrainingRecipe(optimizer=r.SGD(), learning_rates=(0.1,), epochs=1)
NETWORK = r.ModelDescription(
    inputs=("a",),
    layers=(r.InputLayer(name="a", shape=(2,)), r.Dense(name="b", inbound=("a",), units=3)),
    outputs=("b",),
)


def test_a_box_holds_what_the_digest_holds(warm: Asker, tmp_path: Path) -> None:
    """Hidden files, compiled code and links are in neither; nor does code learn what it was handed in as."""
    folder = tmp_path / "handed in by eve"
    folder.mkdir()
    notebook(folder, SAY, LOOK)
    plain = load(folder, tmp_path / "scratch").program.digest
    for name in (".weights.npy", ".git/config", "__pycache__/helper.cpython-311.pyc", "sub/.cache/x.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    (folder / "link.py").symlink_to("/etc/passwd")
    os.mkfifo(folder / "pipe.py")

    assert load(folder, tmp_path / "scratch").program.digest == plain
    assert ask(warm, folder, tmp_path).said == repr((["mnist.npz", "submission.ipynb"], ["submission"]))
    (folder / "helper.py").write_text("x = 1")
    assert load(folder, tmp_path / "scratch").program.digest != plain
    said = ask(warm, folder, tmp_path).said
    assert said == repr((["helper.py", "mnist.npz", "submission.ipynb"], ["submission"]))


REPLAYED = f"""
{TRY}
import numpy as np
files = np.load('/data/mnist.npz').files
say([sorted(os.listdir('/data')), 'x_changed' in files, attempt(lambda: os.listdir('/spool')),
     sorted(os.listdir('/input')), syscall(166, b'/data', 2), attempt(lambda: open('/data/x', 'w'))])
"""


@pytest.mark.parametrize(("mode", "spool"), [("warm", []), ("cold", "FileNotFoundError")])
def test_a_replay_sees_its_own_data_only(
    mode: str, spool: Any, warm: Asker, cold: Asker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not those that other children of the server see, with the test images in their order, nor behind its own."""
    monkeypatch.setattr(cold, "_tried", True)  # or it would start a server for the replay
    data = tmp_path / "data" / "mnist.npz"
    data.parent.mkdir()
    datasets.write_shuffled(warm.dataset, data)
    loaded = load(notebook(tmp_path, SAY, REPLAYED), tmp_path / "scratch")
    lines: list[bytes] = []
    wish = ReplayWish(seconds=120, answer_bytes=100_000, seed=1, model=1)
    {"warm": warm, "cold": cold}[mode].replay(loaded, data, wish, lines.append, lambda child: None)
    said = json.loads(lines[-1])["event"]["refused"]["sentence"].partition("SAID ")[2]
    denied = ["Operation not permitted", "OSError"]
    assert ast.literal_eval(said) == [["mnist.npz"], True, spool, ["files"], *denied]


@pytest.fixture
def replay(warm: Asker, tmp_path: Path) -> Replay:
    path = notebook(tmp_path, SAY)
    return Replay(path, load(path, tmp_path / "scratch").program.digest, 1, 10, warm, NETWORK)


def job() -> r.TrainJob:
    return r.TrainJob(network=NETWORK, training=(FIT,), dataset=datasets.MNIST, seed=1, max_epochs=2)


def test_a_submission_that_changes_before_its_replay(replay: Replay, tmp_path: Path) -> None:
    """What was described is what is replayed, or nothing is: it costs nobody a point."""
    notebook(tmp_path, SAY, "x = 'another'")

    with pytest.raises(BrokenError, match="changed while it was graded"):
        Replaying(replay, job(), Watcher()).run()


def test_whose_replay_counts_for_whom(replay: Replay) -> None:
    """For another submission, model, reading or seed, or without a box, a replay is made anew."""
    others = [
        replay,
        replace(replay, digest="0" * 64),
        replace(replay, model=2),
        replace(replay, reading="strides"),
        replace(replay, asker=_without_a_box(replay.asker)),
    ]
    keys = [Attempt(job(), replay=other).key for other in others]
    keys.append(Attempt(job().model_copy(update={"seed": 2}), replay=replay).key)

    assert len(set(keys)) == len(keys)
    assert Attempt(job(), replay=replace(replay, seconds=99)).key == keys[0]


def _without_a_box(asker: Asker) -> Asker:
    from grader.box.isolation.plain import Plain

    other = object.__new__(Asker)
    other.__dict__.update(vars(asker) | {"isolation": Plain()})
    return other
