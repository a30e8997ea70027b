"""Run one job in a child process under limits, and read its answer as untrusted lines.

Both children are run here: the describing one, which runs a student's code, and the training
one, which does not. Each gets a job on standard input and limited pipes back. Whatever happens in a child,
this module returns.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, Protocol, cast

from grader.box import tree

NEUTRAL = Path("/")  # working directory of a child that needs no folder: no configuration lies there
_CHUNK = 1 << 16
_KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)  # of the child itself, or as a box reports its child's
_LOOK_EVERY = 0.1  # seconds between two looks at memory and processes

Stopped = Literal["", "time", "memory", "processes", "files", "machine", "flood"]


@dataclass(frozen=True)
class Limits:
    """Wall-clock seconds for the whole job; bytes of its answer, of one line of the answer, and of the log.

    ``memory`` (bytes) and ``processes`` count over the child and all that it started, ``files`` in the memory
    file system at ``home``, as the child sees it. A child is also stopped, by no fault of its own, when the
    machine has no more than ``reserve`` bytes of memory left.
    """

    seconds: float
    answer_bytes: int = 128_000_000
    line_bytes: int = 128_000_000
    log_bytes: int = 20_000
    memory: int | None = None
    processes: int | None = None
    files: int | None = None
    home: str = ""
    reserve: int = 0


@dataclass(frozen=True)
class Ended:
    """How a child ended: exit status (negative for a signal), the limit that stopped it, the log's end."""

    returncode: int
    stopped: Stopped
    log: str


class Child(Protocol):
    """A started child: its pipes, its process id, and its end."""

    stdin: IO[bytes]
    stdout: IO[bytes]
    stderr: IO[bytes]

    @property
    def pid(self) -> int | None:
        """The process id on this machine of the child's first process; None if it has none here."""

    def wait(self, seconds: float) -> int | None:
        """Wait up to ``seconds``; return the exit status, or None if the child has not ended by then."""

    def kill(self) -> int:
        """End the child and all that it started; return its exit status. May be called again."""


class Spawned:
    """A child that is a process of ours, in a process group of its own."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        cwd: Path = NEUTRAL,
        descriptors: Sequence[int] = (),
        stop: Sequence[str] = (),
    ) -> None:
        """Start ``command`` in ``cwd`` with no environment but ``environment``.

        ``cwd`` is never a submission's: Numba and others read settings from the folder in which they are
        started. ``stop`` is a command that ends what killing the process group would leave running. The child
        inherits ``descriptors``.
        """
        self._stop = stop
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env=dict(environment),
            pass_fds=tuple(descriptors),
            start_new_session=True,
        )
        self.stdin = cast(IO[bytes], self._process.stdin)
        self.stdout = cast(IO[bytes], self._process.stdout)
        self.stderr = cast(IO[bytes], self._process.stderr)

    @property
    def pid(self) -> int | None:
        """The process that was started, which may be the client of a container's engine."""
        return self._process.pid

    def wait(self, seconds: float) -> int | None:
        """Wait up to ``seconds`` for the process that was started."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> int:
        """Run ``stop``, then kill the descendants that have left the process group, then the group."""
        if self._stop:
            with suppress(OSError, subprocess.TimeoutExpired):
                subprocess.run(self._stop, capture_output=True, timeout=30, check=False, cwd=NEUTRAL)
        # Processes that have left the group go first, while they can still be found below the root.
        for process in reversed(list(tree.descendants(self._process.pid))):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGKILL)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        return self._process.wait()


def environment(home: str) -> dict[str, str]:
    """Return a child's environment: of the user's own, only where programs and GPU libraries are."""
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES")}
    return kept | {
        "HOME": home,
        "TMPDIR": home,
        "LANG": "C.UTF-8",
        "KERAS_BACKEND": "tensorflow",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_ENABLE_ONEDNN_OPTS": "1",
    }


def run(child: Child, job: bytes, limits: Limits, on_line: Callable[[bytes], None]) -> Ended:
    """Give the child its job, and pass its complete lines to ``on_line`` until it ends or a limit stops it.

    ^C, and anything that ``on_line`` raises, ends the child first and is then passed on.
    """
    try:
        return _Pump(child, job, limits, on_line).run()
    finally:
        child.kill()
        for pipe in (child.stdin, child.stdout, child.stderr):
            with suppress(OSError):  # bytes that the child did not read are still in a buffer
                pipe.close()


def _read(pipe: int) -> bytes | None:
    """Read what the pipe holds; None if it is empty, because the child has read its own output meanwhile."""
    try:
        return os.read(pipe, _CHUNK)
    except BlockingIOError:
        return None


class _Pump:
    """Serves all three pipes at once, so that no child can block on one that nobody reads."""

    def __init__(self, child: Child, job: bytes, limits: Limits, on_line: Callable[[bytes], None]) -> None:
        self.child, self.limits, self.on_line = child, limits, on_line
        self.job = memoryview(job)
        self.received = 0
        self.partial = b""
        self.log = b""
        self.flooded = False
        self.killed_for_memory = tree.killed_for_memory()

    def run(self) -> Ended:
        with selectors.PollSelector() as selector:  # epoll has a limit that all programs of a user share
            for pipe, event, serve in (
                (self.child.stdin, selectors.EVENT_WRITE, self._give),
                (self.child.stdout, selectors.EVENT_READ, self._answer),
                (self.child.stderr, selectors.EVENT_READ, self._log),
            ):
                os.set_blocking(pipe.fileno(), False)
                selector.register(pipe, event, serve)
            return self._loop(selector, time.monotonic() + self.limits.seconds)

    def _loop(self, selector: selectors.BaseSelector, deadline: float) -> Ended:
        ended_at: float | None = None
        look_at = 0.0
        while selector.get_map():
            self._serve(selector)
            now = time.monotonic()
            if self.flooded:
                return self._ended("flood")
            if now > deadline:
                return self._ended("time")
            if now > look_at:
                if excess := self._excess():
                    return self._ended(excess)
                # Looking at many processes takes long: at most a third of the time is spent on it.
                look_at = time.monotonic() + max(_LOOK_EVERY, 2 * (time.monotonic() - now))
            # A grandchild may hold the pipes open after the child itself has gone.
            if self.child.wait(0) is not None:
                ended_at = ended_at or now
                if now - ended_at > 1.0:
                    break
        self.child.wait(max(0.0, min(5.0, deadline - time.monotonic())))
        return self._ended("" if self.child.wait(0) is not None else "time")

    def _serve(self, selector: selectors.BaseSelector) -> None:
        """Serve the pipes that are ready; forget those that are done, and close the child's input."""
        for key, _ in selector.select(timeout=_LOOK_EVERY):
            if not key.data(key.fd):
                selector.unregister(key.fileobj)
                if key.data == self._give:
                    self.child.stdin.close()

    def _excess(self) -> Stopped:
        """Return the limit that the whole tree of processes exceeds; an empty string if none."""
        limits = self.limits
        if limits.reserve and tree.exhausted(limits.reserve):
            return "machine"
        if self.child.pid is None or (limits.memory is None and limits.processes is None):
            return ""
        if limits.files is not None and tree.files(self.child.pid, limits.home) > limits.files:
            return "files"
        used = tree.measure(self.child.pid, limits.memory)
        if limits.processes is not None and used.processes > limits.processes:
            return "processes"
        if limits.memory is not None and used.memory > limits.memory:
            return "memory"
        return ""

    # Each of these serves one pipe, and returns whether the pipe may have more to do.

    def _give(self, pipe: int) -> bool:
        with suppress(BlockingIOError):
            try:
                self.job = self.job[os.write(pipe, self.job[:_CHUNK]) :]
            except BrokenPipeError:  # the child reads no more
                return False
        return bool(self.job)

    def _answer(self, pipe: int) -> bool:
        if (chunk := _read(pipe)) is None:
            return True
        self.received += len(chunk)
        *lines, self.partial = (self.partial + chunk).split(b"\n")
        longest = max(map(len, (*lines, self.partial)))
        self.flooded |= self.received > self.limits.answer_bytes or longest > self.limits.line_bytes
        if not self.flooded:
            for line in lines:
                self.on_line(line)
        return bool(chunk)

    def _log(self, pipe: int) -> bool:
        if (chunk := _read(pipe)) is None:
            return True
        self.log = (self.log + chunk)[-self.limits.log_bytes :]
        return bool(chunk)

    def _ended(self, stopped: Stopped) -> Ended:
        returncode = self.child.kill()
        # The system ran out of memory, and killed, between two looks at the memory that is left.
        if not stopped and returncode in _KILLED and tree.killed_for_memory() > self.killed_for_memory:
            stopped = "machine"
        return Ended(returncode, stopped, self.log.decode("utf-8", "replace"))
