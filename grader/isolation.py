"""What a describing child can see and reach: a bubblewrap box where there is one, else a process.

In the box there is no network, no other process, no file of the user's, and nothing writable
but a small memory file system; the package's own data, test labels included, are hidden. Whether
bubblewrap works is found out by running something in it, not by its presence.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

SIZE = 512 << 20  # bytes of the only writable place in the box
PACKAGE = Path(__file__).parent


class Box(Protocol):
    """Where one child runs. ``command`` goes in front of Python's; ``home`` is its folder inside."""

    name: str
    home: str

    def show(self, path: Path, name: str) -> str:
        """Make a file or folder readable; returns its path as the child sees it."""

    @property
    def command(self) -> list[str]: ...


class Process:
    """No box: the child is kept from labels and secrets by what it is given, not by walls."""

    name = "separate process with resource limits; files and network are not closed off"

    def __init__(self, home: Path) -> None:
        self.home = str(home)

    def show(self, path: Path, name: str) -> str:
        return str(path)

    @property
    def command(self) -> list[str]:
        return []


class Bubblewrap:
    """https://github.com/containers/bubblewrap, with fresh namespaces of every kind."""

    name = "bubblewrap: no network, no other processes, no files but its own"
    home = "/box"

    def __init__(self) -> None:
        self._shown: list[str] = []

    def show(self, path: Path, name: str) -> str:
        inside = f"/input/{name}"
        self._shown += ["--ro-bind", str(path.resolve()), inside]
        return inside

    @property
    def command(self) -> list[str]:
        return [
            "bwrap", "--unshare-all", "--unshare-user", "--die-with-parent", "--new-session",
            "--cap-drop", "ALL", "--uid", "65534", "--gid", "65534", "--hostname", "box",
            *_system(), *_python(), *self._shown,
            "--proc", "/proc", "--dev", "/dev",
            "--size", str(SIZE), "--tmpfs", self.home,
            "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", self.home,
        ]  # fmt: skip


def _system() -> Iterator[str]:
    """The system's libraries, read-only, with its own symbolic links (`/lib` to `usr/lib`)."""
    yield from ("--ro-bind", "/usr", "/usr")
    for folder in ("/bin", "/lib", "/lib64", "/sbin"):
        if os.path.islink(folder):
            yield from ("--symlink", os.readlink(folder), folder)
        elif os.path.isdir(folder):
            yield from ("--ro-bind", folder, folder)
    yield from ("--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache")


def _python() -> Iterator[str]:
    """This interpreter, its packages and grader itself, without the data that grader ships."""
    for path in dict.fromkeys([sys.base_prefix, sys.prefix, str(PACKAGE)]):
        if not Path(path).is_relative_to("/usr"):
            yield from ("--ro-bind", path, path)
    for hidden in (PACKAGE / "data", PACKAGE / "rubrics"):
        if hidden.is_dir():
            yield from ("--tmpfs", str(hidden))


def box(home: Path) -> Box:
    """The best box that this machine has. ``home`` is used where there is none."""
    return Bubblewrap() if bubblewrap_works() else Process(home)


@functools.cache
def bubblewrap_works() -> bool:
    """Run Python in the box once, and see whether it can import what a child needs."""
    if shutil.which("bwrap") is None:
        return False
    test = [*Bubblewrap().command, sys.executable, "-I", "-c", "import grader, numpy"]
    try:
        return subprocess.run(test, capture_output=True, timeout=60, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
