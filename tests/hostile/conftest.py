"""A place to attack from, and what must be the same after an attack.

Attacks are cells of a notebook. Most go through the fork server, because it makes the suite fast; those
on the walls go through a cold box as well. Where no isolation works, the suite is skipped, and says so.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from grader import datasets, describing, isolation, load, pipeline, rubric, tree
from grader import records as r
from grader.asking import Asker
from grader.errors import GraderError, InstructorError
from grader.progress import Quiet

SERVERS: list[int] = []  # the processes of running fork servers: those of bubblewrap, and the Python in it
MARK = "attacker-was-here"  # in the name of whatever an attack tries to leave behind

HONEST = """
import keras
from keras import layers
model = keras.Sequential([keras.Input((28, 28, 1)), layers.Conv2D(4, 28), layers.Flatten(),
                          layers.Activation("softmax")])
model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
"""

# An attack tells what it has found by way of the message of a failing cell.
SAY = "def say(value):\n    raise RuntimeError('SAID ' + repr(value))\n"


@dataclass(frozen=True)
class Outcome:
    """What an attacker gets: a description or an error; and what the attack said."""

    description: r.Description | None
    error: GraderError | None

    @property
    def said(self) -> str:
        failures = self.description.failures if self.description else ()
        messages = [failure.error for failure in failures] + [str(self.error or "")]
        found = [m.split("SAID ", 1)[1] for m in messages if "SAID " in m]
        return found[0] if found else ""


Attack = Callable[..., Outcome]
Grade = Callable[..., r.Grade]


@pytest.fixture(scope="session")
def box() -> isolation.Isolation:
    try:
        return isolation.choose("required")
    except InstructorError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def cold(box: isolation.Isolation, tmp_path_factory: pytest.TempPathFactory) -> Asker:
    """A box of its own for every child."""
    return Asker(datasets.load(datasets.MNIST), box, tmp_path_factory.mktemp("cold"))


@pytest.fixture(scope="session")
def warm(box: isolation.Isolation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asker]:
    """Children of a fork server, where there can be one."""
    asker = Asker(datasets.load(datasets.MNIST), box, tmp_path_factory.mktemp("warm"))
    asker.serve()
    if asker._server is not None and asker._server.pid is not None:
        SERVERS.extend(tree.descendants(asker._server.pid))
    yield asker
    asker.close()


def notebook(folder: Path, *cells: str) -> Path:
    """Write the cells as a notebook in a folder."""
    path = folder / "submission.ipynb"
    content = [{"cell_type": "code", "source": cell, "metadata": {}, "outputs": []} for cell in cells]
    path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 2, "metadata": {}, "cells": content}))
    return path


def ask(asker: Asker, path: Path, scratch: Path, seconds: float = 60) -> Outcome:
    """Describe a submission; whatever the grader says of it is the outcome."""
    try:
        return Outcome(describing.describe(load.load(path, scratch), asker, seconds), None)
    except GraderError as error:
        return Outcome(None, error)


@pytest.fixture(scope="session")
def honest(warm: Asker, tmp_path_factory: pytest.TempPathFactory) -> r.Description | None:
    """What the next submission comes out as where nothing has been attacked."""
    folder = tmp_path_factory.mktemp("honest")
    return ask(warm, notebook(folder, HONEST), folder).description


@pytest.fixture
def attack(warm: Asker, honest: r.Description | None, tmp_path: Path) -> Iterator[Attack]:
    """Run cells as a submission; afterwards the host must be unchanged and the next one graded the same."""
    before = host()

    def run(*cells: str, asker: Asker = warm, seconds: float = 60) -> Outcome:
        outcome = ask(asker, notebook(tmp_path, SAY, *cells), tmp_path, seconds)
        assert_nothing_runs()
        return outcome

    yield run
    assert host() == before
    again = ask(warm, notebook(tmp_path, HONEST), tmp_path)
    assert honest is not None
    assert again.description == honest


def host() -> dict[str, object]:
    """What an attack could have left on this machine, by the mark that all attacks put on their things."""
    folders = (
        Path("/"),
        Path("/tmp"),
        Path("/etc"),
        Path("/dev/shm"),
        Path("/var/tmp"),
        Path.home(),
        Path.cwd(),
    )
    found: dict[str, object] = {}
    for folder in folders:
        with suppress(OSError):
            found[str(folder)] = sorted(name for name in os.listdir(folder) if MARK in name)
    found["passwd"] = Path("/etc/passwd").read_bytes()
    found["package"] = sorted(str(p) for p in isolation.interface.PACKAGE.rglob("*.py"))
    return found


def assert_nothing_runs() -> None:
    """No child of this process is left but the fork server."""
    deadline = time.monotonic() + 5.0  # the kernel takes a moment to bury the dead
    while (left := _left()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not left


def _left() -> dict[int, bytes]:
    """Processes of boxes that should be gone, with their command lines."""
    return {p: _command(p) for p in tree.descendants(os.getpid()) if _is_box(p) and p not in SERVERS}


def _command(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


def _is_box(process: int) -> bool:
    return b"bwrap" in _command(process) or b"grader.describe" in _command(process)


@pytest.fixture
def grade(tmp_path: Path, box: isolation.Isolation) -> Grade:
    """The structural grade of a submission, as `grader check --no-retrain` gives it."""

    def run(path: Path, rules: str = "assignment4") -> r.Grade:
        with pipeline.prepare(rubric.load(rules), False, Quiet(), "required") as grading:
            return pipeline.grade_one(path, grading)

    return run
