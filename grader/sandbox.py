"""Run one job in a fresh child process under limits, and read its answer as untrusted lines.

Both children are started here: the describing one, which runs a student's code, and the training
one, which does not. Each gets its own process group, an empty environment, a job on standard
input and a limited pipe back. Whatever happens in a child, this module returns.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

_CHUNK = 1 << 16


@dataclass(frozen=True)
class Limits:
    """Wall-clock seconds for the whole job, and bytes of its answer."""

    seconds: float
    answer_bytes: int = 128_000_000
    log_bytes: int = 20_000


@dataclass(frozen=True)
class Ended:
    """How a child ended: its exit status (negative for a signal), and the end of its log."""

    returncode: int
    timed_out: bool
    flooded: bool
    log: str


def run_child(
    program: Sequence[str],
    job: bytes,
    cwd: Path,
    limits: Limits,
    on_line: Callable[[bytes], None],
    environment: dict[str, str] | None = None,
    box: Sequence[str] = (),
) -> Ended:
    """Run Python on ``program`` (a script, or -m and a module); its complete lines go to ``on_line``.

    ``box`` is a command that closes off what it runs. ^C, and anything that ``on_line`` raises, ends
    the child first and is then passed on.
    """
    with tempfile.TemporaryFile() as job_file:
        job_file.write(job)
        job_file.seek(0)
        process = subprocess.Popen(
            [*box, sys.executable, "-I", *program],
            stdin=job_file,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env=_environment(cwd) | (environment or {}),
            start_new_session=True,
        )
    try:
        return _Pump(process, limits, on_line).run()
    finally:
        _kill(process)


def _environment(home: Path) -> dict[str, str]:
    """Nothing of the user's own environment but where programs and GPU libraries are."""
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES")}
    return kept | {
        "HOME": str(home),
        "TMPDIR": str(home),
        "LANG": "C.UTF-8",
        "KERAS_BACKEND": "tensorflow",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_ENABLE_ONEDNN_OPTS": "1",
    }


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the whole process group, whether or not its leader still lives."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
    process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


class _Pump:
    """Drains both pipes at once, so that no child can block on one that nobody reads."""

    def __init__(
        self, process: subprocess.Popen[bytes], limits: Limits, on_line: Callable[[bytes], None]
    ) -> None:
        self.process, self.limits, self.on_line = process, limits, on_line
        self.received = 0
        self.partial = b""
        self.log = b""

    def run(self) -> Ended:
        deadline = time.monotonic() + self.limits.seconds
        with selectors.DefaultSelector() as selector:
            for pipe, take in ((self.process.stdout, self._answer), (self.process.stderr, self._log)):
                assert pipe is not None
                os.set_blocking(pipe.fileno(), False)
                selector.register(pipe, selectors.EVENT_READ, take)
            return self._loop(selector, deadline)

    def _loop(self, selector: selectors.BaseSelector, deadline: float) -> Ended:
        ended_at: float | None = None
        while selector.get_map():
            for key, _ in selector.select(timeout=0.2):
                chunk = os.read(key.fd, _CHUNK)
                if chunk:
                    key.data(chunk)
                else:
                    selector.unregister(key.fileobj)
            now = time.monotonic()
            if self.received > self.limits.answer_bytes:
                return self._ended(flooded=True)
            if now > deadline:
                return self._ended(timed_out=True)
            # A grandchild may hold the pipes open after the child itself has gone.
            if self.process.poll() is not None:
                ended_at = ended_at or now
                if now - ended_at > 1.0:
                    break
        try:
            self.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return self._ended(timed_out=True)
        return self._ended()

    def _answer(self, chunk: bytes) -> None:
        self.received += len(chunk)
        *lines, self.partial = (self.partial + chunk).split(b"\n")
        if self.received <= self.limits.answer_bytes:
            for line in lines:
                self.on_line(line)

    def _log(self, chunk: bytes) -> None:
        self.log = (self.log + chunk)[-self.limits.log_bytes :]

    def _ended(self, *, timed_out: bool = False, flooded: bool = False) -> Ended:
        _kill(self.process)
        return Ended(self.process.returncode, timed_out, flooded, self.log.decode("utf-8", "replace"))
