"""A place to attack from, and what must be the same after an attack.

Attacks are cells of a notebook. Most go through the fork server, because it makes the suite fast; those
on the walls go through a cold box as well. Where no isolation works, the suite is skipped, and says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from attacks import HONEST, Attack, Grade, ask, notebook, unharmed

from grader import records as r
from grader.ask.asker import Asker
from grader.ask.training import Watcher
from grader.box import isolation
from grader.data.datasets import Dataset
from grader.grade import one
from grader.grade.session import Grading
from grader.judge import rubric


@pytest.fixture(scope="session")
def box(box: isolation.Isolation) -> isolation.Isolation:
    """One that holds strangers' code, or there is nothing to attack."""
    if not box.closed:
        pytest.skip("no isolation works on this machine: grader doctor")
    return box


@pytest.fixture(scope="session")
def cold(box: isolation.Isolation, some_mnist: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Asker:
    """A box of its own for every child."""
    return Asker(some_mnist, box, tmp_path_factory.mktemp("cold"))


@pytest.fixture(scope="session")
def warm(box: isolation.Isolation, asker: Asker) -> Asker:
    """Children of a fork server, where there can be one."""
    return asker


@pytest.fixture(scope="session")
def honest(warm: Asker, tmp_path_factory: pytest.TempPathFactory) -> r.Description | None:
    """What the next submission comes out as where nothing has been attacked."""
    folder = tmp_path_factory.mktemp("honest")
    return ask(warm, notebook(folder, HONEST), folder).description


@pytest.fixture
def attack(warm: Asker, honest: r.Description | None, tmp_path: Path) -> Iterator[Attack]:
    with unharmed(warm, honest, tmp_path) as run:
        yield run


@pytest.fixture
def grade(warm: Asker) -> Grade:
    """The structural grade of a submission, as a class gets it with `--structure-only`."""

    def run(path: Path, rules: str = "assignment4") -> r.Grade:
        return one.grade_one(path, Grading(rubric.load(rules), warm.dataset, warm, False, Watcher()))

    return run
