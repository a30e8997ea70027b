"""Bubblewrap with a fork server in it: one import of TensorFlow for a whole class.

The server's own box holds what all submissions share. Each child leaves it for fresh namespaces, sees its
own inputs only, and confines itself like any other (`grader.describe.child.server`).
"""

from __future__ import annotations

import json
import os
import secrets
import select
import shutil
import signal
import socket
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Any

from grader.box.isolation.bubblewrap import Bubblewrap
from grader.box.isolation.interface import DATA, HOME, INPUTS, SECONDS_TO_START, Places, Task, stranger
from grader.box.sandbox import Child

_READY = b"ready"


class ServerGone(OSError):
    """The fork server does not answer any more, and no child was started."""


class ForkServer:
    """A running fork server, for describing and replaying. Closing it ends all its children."""

    closed = contained = True
    absent = ""

    def __init__(self, box: Bubblewrap, data: Path) -> None:
        """Start the server with the folder of data that all its children see, and wait until it is ready.

        Raises `OSError` with the reason where the server cannot run.
        """
        self.kind = box.kind
        self.name = f"{box.name}; one fork server"
        self._data = data
        self._spool = tempfile.TemporaryDirectory(prefix="grader-")
        Path(self._spool.name).chmod(0o711)
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._server = box.serve(Path(self._spool.name), data, theirs.fileno())
        try:
            self._await_ready()
        except OSError:
            self.close()
            raise

    def _await_ready(self) -> None:
        self._requests.settimeout(SECONDS_TO_START)
        answer = self._requests.recv(10_000)
        if answer != _READY:
            log = answer or os.read(self._server.stderr.fileno(), 10_000)
            raise OSError(" ".join(log.decode("utf-8", "replace").split())[-300:] or "it ended at once")

    def places(self, task: Task) -> Places:
        """The fixed folders of every box."""
        return Places(INPUTS, DATA if task.data else "", HOME)

    def start(self, task: Task) -> Child:
        """Fork a child for the task, whose inputs move into the server's spool, and so do data of its own.

        Raises `ServerGone` where the server does not answer; inputs and data are then back in their place.
        """
        shown = {INPUTS: task.inputs} | ({DATA: task.data} if task.data not in (None, self._data) else {})
        folder = Path(self._spool.name) / secrets.token_hex(16)
        folder.mkdir()
        moved = {place: folder / place.strip("/") for place in shown}
        _move(shown, moved)  # they are private copies already
        request = {
            "module": task.module,
            "shown": {place: f"{folder.name}/{there.name}" for place, there in moved.items()},
            "user": stranger(),
        }
        try:
            return _Forked(self._requests, request, folder)
        except ServerGone:
            _move(moved, shown)  # for a cold start
            folder.rmdir()
            raise

    @property
    def pid(self) -> int | None:
        """The server's own process id on this machine."""
        return self._server.pid

    def close(self) -> None:
        """End the server and its children, and delete the spool."""
        self._requests.close()
        self._server.kill()
        for pipe in (self._server.stdin, self._server.stdout, self._server.stderr):
            pipe.close()
        self._spool.cleanup()


class _Forked:
    """A child of the server, seen from outside through a descriptor of its process."""

    def __init__(self, requests: socket.socket, request: dict[str, Any], folder: Path) -> None:
        self._folder = folder
        self._status: int | None = None
        with ExitStack() as theirs:
            pipes = [os.pipe() for _ in range(3)]
            self._fate, fate = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            given = [pipes[0][0], pipes[1][1], pipes[2][1], fate.fileno()]
            for descriptor in given[:3]:
                theirs.callback(os.close, descriptor)
            theirs.enter_context(fate)
            try:
                socket.send_fds(requests, [json.dumps(request).encode()], given)
            except OSError as error:
                for descriptor in (pipes[0][1], pipes[1][0], pipes[2][0]):
                    os.close(descriptor)
                self._fate.close()
                raise ServerGone(str(error)) from None
        self.stdin: IO[bytes] = os.fdopen(pipes[0][1], "wb", buffering=0)
        self.stdout: IO[bytes] = os.fdopen(pipes[1][0], "rb", buffering=0)
        self.stderr: IO[bytes] = os.fdopen(pipes[2][0], "rb", buffering=0)
        process = self._begin()
        self.pid = _pid(process)
        self._process: int | None = process

    def _begin(self) -> int:
        """Return the descriptor of the process. Raises `ServerGone` if the server has not started it."""
        self._fate.settimeout(SECONDS_TO_START)
        started, descriptors, _, _ = socket.recv_fds(self._fate, 100, 1)
        if started:
            return descriptors[0]
        os.set_blocking(self.stderr.fileno(), False)
        log = self.stderr.read(10_000) or b"the fork server is gone"
        for pipe in (self.stdin, self.stdout, self.stderr, self._fate):
            pipe.close()
        raise ServerGone(log.decode("utf-8", "replace").strip())

    def wait(self, seconds: float) -> int | None:
        """Wait for the status that the server sends; a server that is gone counts as SIGKILL."""
        if self._status is None and select.select([self._fate], [], [], seconds)[0]:
            status = self._fate.recv(100)
            self._status = int(status) if status else -signal.SIGKILL
        return self._status

    def kill(self) -> int:
        """End the child, whose namespace ends with it, and delete its inputs."""
        if self._process is not None:
            with suppress(OSError):
                signal.pidfd_send_signal(self._process, signal.SIGKILL)
            os.close(self._process)
            self._process = None
        status = self.wait(SECONDS_TO_START)
        self._fate.close()
        shutil.rmtree(self._folder, ignore_errors=True)
        return -signal.SIGKILL if status is None else status


def _move(here: Mapping[str, Path], there: Mapping[str, Path]) -> None:
    for place, folder in here.items():
        shutil.move(folder, there[place])


def _pid(process: int) -> int | None:
    """Return the process id on this side of a process descriptor; None once the process has ended."""
    lines = Path(f"/proc/self/fdinfo/{process}").read_text().splitlines()
    number = next((int(line.split()[1]) for line in lines if line.startswith("Pid:")), -1)
    return number if number > 0 else None
