"""The Ray runner on a real cluster of two nodes on this machine: results, a lost node, other versions."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from grader.ask.attempt import Attempt
from grader.ask.training import Watcher
from grader.commands.class_display import Silent
from grader.data import datasets
from grader.errors import BrokenError, InstructorError
from grader.grade import examine
from grader.grade.many import Batch, Keeper
from grader.grade.session import prepare
from grader.intake.discover import discover
from grader.judge import rubric
from grader.runners import RUNNERS, Settings
from grader.store.store import Store

ray = pytest.importorskip("ray")
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # of Ray's own processes
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A head that makes no attempts, and two nodes with room for one each."""
    from ray.cluster_utils import Cluster

    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    nodes.workers = [nodes.add_node(num_cpus=1) for _ in range(2)]
    yield nodes
    ray.shutdown()
    nodes.shutdown()


@pytest.fixture
def batch(tmp_path: Path, sides: Callable[..., Path], network_of: Callable[[int], str]) -> Iterator[Batch]:
    """Three students, a network each."""
    (tmp_path / "class").mkdir()
    for filters in (3, 4, 5):
        (tmp_path / "class" / f"s{filters}.py").write_text(network_of(filters))
    kept = Store(tmp_path / "out")
    kept.begin("{}")
    keeper, loaded = Keeper(kept), rubric.load(str(sides()))
    with prepare(loaded, True, Watcher(), many=True, kept=keeper) as grading:
        found = discover(tmp_path / "class", tmp_path)
        kept.put_class(loaded.rubric, [(s.student, s.handed_in) for s in found.submissions], [], [])
        yield Batch(found, grading, kept, keeper, Silent())
    kept.close()


@pytest.mark.slow
def test_a_node_is_lost_in_the_middle(cluster: Any, batch: Batch) -> None:
    """What ran on it is made again elsewhere; everyone gets a grade and no attempt is kept twice."""
    runner = RUNNERS["ray"](Settings(address=cluster.address, dataset=batch.grading.dataset))
    assert runner.slots == 2
    pending, at_work = batch.structure(), list[int]()

    def lose() -> None:
        while len(runner._running) < 2:  # type: ignore[attr-defined]
            time.sleep(0.05)
        time.sleep(1.0)
        at_work.append(len(runner._running))  # type: ignore[attr-defined]
        cluster.remove_node(cluster.workers.pop(), allow_graceful=False)

    loss = threading.Thread(target=lose)
    loss.start()
    try:
        batch.retrain(pending, runner)
    finally:
        loss.join()
        runner.close()
    grades = [entry.grade for entry in batch.store.results().entries]
    assert [(g.status, len(g.runs)) for g in grades if g] == [("passed", 2)] * 3
    assert batch.failed == {}
    assert at_work == [2]
    assert len([n for n in cluster.list_all_nodes() if n is not cluster.head_node]) == 1


@pytest.mark.slow
def test_the_same_numbers_as_here(cluster: Any, batch: Batch) -> None:
    """An attempt on the cluster comes to what it comes to on this machine with as many threads."""
    examined = examine.examine(batch.found.submissions[0].place, batch.grading)
    attempt = next(examine.attempts_of(examined.candidates[0], batch.grading))
    runner = RUNNERS["ray"](Settings(address=cluster.address, dataset=batch.grading.dataset))
    (there,) = runner.begin(attempt, Watcher()).result(timeout=300)
    wrong = runner.begin(Attempt(attempt.job.model_copy(update={"max_epochs": 1, "seed": 7})), Watcher())
    assert wrong.result(timeout=300)[0].seed == 7
    runner.close()
    (here,) = RUNNERS["local"](Settings(jobs=2)).begin(attempt, Watcher()).result(timeout=300)
    assert there.environment.threads == here.environment.threads == 1
    assert [(e.correct, e.train_loss) for e in there.epochs] == [
        (e.correct, e.train_loss) for e in here.epochs
    ]


@pytest.mark.slow
def test_other_versions_are_refused(cluster: Any, batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that would come to other numbers makes no attempt."""
    examined = examine.examine(batch.found.submissions[0].place, batch.grading)
    attempt = next(examine.attempts_of(examined.candidates[0], batch.grading))
    runner = RUNNERS["ray"](Settings(address=cluster.address, dataset=batch.grading.dataset))
    monkeypatch.setattr("grader.runners.ray.trainer", lambda: "tensorflow 1.0")
    with pytest.raises(BrokenError, match="the batch with tensorflow 1"):
        runner.begin(attempt, Watcher()).result(timeout=300)
    runner.close()


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:10001", "head"])
def test_no_cluster(address: str) -> None:
    """Said at once, with what to do."""
    data = datasets.load(datasets.MNIST)
    with pytest.raises(InstructorError, match="no Ray cluster at"):
        RUNNERS["ray"](Settings(address=address, dataset=data))
