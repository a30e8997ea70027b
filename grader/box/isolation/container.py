"""One container per submission, by Docker or Podman: for where bubblewrap cannot run, other systems included.

The image holds grader and its libraries without grader's data (`make image` builds it). The engine limits
memory and processes, and the child confines itself in there as it does in every box.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator

from grader import __version__
from grader.box.isolation.interface import (
    BOX_BYTES,
    BOX_MEMORY,
    BOX_THREADS,
    DATA,
    HOME,
    INPUTS,
    NOBODY,
    Places,
    Task,
    box_environment,
)
from grader.box.sandbox import Child, Spawned

IMAGE = "GRADER_IMAGE"  # environment variable: another image than grader:VERSION


class Container:
    """A fresh container for each child; ``engine`` is docker or podman."""

    closed = contained = True

    def __init__(self, engine: str, program: str | None) -> None:
        self.kind = engine
        self.name = f"{engine}: a container without network, files of its own only, a system call filter"
        self.program = program or engine
        self.absent = "" if program else "not installed"

    def places(self, task: Task) -> Places:
        """The fixed folders of every box."""
        return Places(INPUTS, DATA if task.data else "", HOME)

    def start(self, task: Task) -> Child:
        """Start the task in a container, which is killed by its name."""
        name = f"grader-{secrets.token_hex(8)}"
        return Spawned(
            [self.program, "run", "--name", name, *_walls(), *_view(task), image(),
             "python3", "-I", "-m", task.module, str(NOBODY)],
            dict(os.environ),  # of the engine's client, not of the container
            stop=[self.program, "kill", name],
        )  # fmt: skip


def image() -> str:
    """Return the name of the image to run: that of this version, unless `GRADER_IMAGE` names another."""
    return os.environ.get(IMAGE) or f"grader:{__version__}"


def _walls() -> Iterator[str]:
    """Yield options that close the container, all of which Docker and Podman share.

    Source: https://docs.docker.com/reference/cli/docker/container/run/
    """
    yield from ("--rm", "--interactive", "--pull", "never", "--log-driver", "none", "--hostname", "box")
    yield from ("--network", "none", "--ipc", "none", "--read-only", "--user", f"{NOBODY}:{NOBODY}")
    yield from ("--cap-drop", "ALL", "--security-opt", "no-new-privileges")
    yield from ("--memory", str(BOX_MEMORY), "--memory-swap", str(BOX_MEMORY))
    yield from (
        "--pids-limit",
        str(BOX_THREADS),
        "--ulimit",
        "nofile=256",
        "--ulimit",
        f"nproc={BOX_THREADS}",
    )


def _view(task: Task) -> Iterator[str]:
    yield from ("--mount", f"type=bind,source={task.inputs.resolve()},target={INPUTS},readonly")
    if task.data is not None:
        yield from ("--mount", f"type=bind,source={task.data.resolve()},target={DATA},readonly")
    yield from ("--tmpfs", f"{HOME}:rw,nosuid,nodev,size={BOX_BYTES},mode=1777", "--workdir", HOME)
    for name, value in box_environment().items():
        if name != "PATH":  # the image knows where its Python is
            yield from ("--env", f"{name}={value}")
