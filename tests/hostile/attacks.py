"""What attacks are made of, and what is looked at after each."""

from __future__ import annotations

import ast
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from grader import records as r
from grader.ask.asker import Asker
from grader.ask.description import describe
from grader.box import isolation, tree
from grader.errors import GraderError
from grader.intake import load

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

# Gives what an action gives, or the kind of error it raises; and calls the kernel past every library.
TRY = """
import ctypes, os, socket, subprocess, sys
libc = ctypes.CDLL(None, use_errno=True)
def attempt(action):
    try:
        return action()
    except BaseException as error:
        return type(error).__name__
def syscall(number, *arguments):
    result = libc.syscall(number, *arguments)
    return os.strerror(ctypes.get_errno()) if result < 0 else f"allowed: {result}"
"""


@dataclass(frozen=True)
class Outcome:
    """What an attacker gets: a description or an error; and what the attack said."""

    description: r.Description | None
    error: GraderError | None

    @property
    def said(self) -> str:
        return next(iter(self.sayings), "")

    @property
    def sayings(self) -> list[str]:
        """What each cell said, up to 1,000 characters; of all cells only where a model came of the submission."""
        failures = self.description.failures if self.description else ()
        messages = [failure.error for failure in failures] + [str(self.error or "")]
        return [m.split("SAID ", 1)[1] for m in messages if "SAID " in m]

    @property
    def rows(self) -> list[object]:
        """What the attack said, where that is a list: one row for each thing that was tried."""
        rows = ast.literal_eval(self.said)
        assert isinstance(rows, list)
        return rows


Attack = Callable[..., Outcome]
Grade = Callable[..., r.Grade]


def notebook(folder: Path, *cells: str) -> Path:
    """Write the cells as a notebook in a folder."""
    path = folder / "submission.ipynb"
    content = [{"cell_type": "code", "source": cell, "metadata": {}, "outputs": []} for cell in cells]
    path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 2, "metadata": {}, "cells": content}))
    return path


def ask(asker: Asker, path: Path, scratch: Path, seconds: float = 60) -> Outcome:
    """Describe a submission; whatever the grader says of it is the outcome."""
    try:
        return Outcome(describe(load.load(path, scratch), asker, seconds), None)
    except GraderError as error:
        return Outcome(None, error)


@contextmanager
def unharmed(warm: Asker, honest: r.Description | None, folder: Path) -> Iterator[Attack]:
    """Run cells as submissions; afterwards the host is unchanged and the next submission described the same."""
    before = host()

    def run(*cells: str, asker: Asker = warm, seconds: float = 60) -> Outcome:
        running = boxes()
        outcome = ask(asker, notebook(folder, SAY, *cells), folder, seconds)
        assert_only(running)
        return outcome

    yield run
    assert host() == before
    again = ask(warm, notebook(folder, HONEST), folder)
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


def boxes() -> set[int]:
    """The processes of boxes and fork servers that this process has started, and theirs."""
    return {p for p in tree.descendants(os.getpid()) if _is_box(p)}


def assert_only(before: set[int]) -> None:
    """No process of a box is left but those that were there before."""
    deadline = time.monotonic() + 5.0  # the kernel takes a moment to bury the dead
    while (left := boxes() - before) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not left, {p: _command(p) for p in left}


def _is_box(process: int) -> bool:
    return b"bwrap" in _command(process) or b"grader.describe" in _command(process)


def _command(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""
