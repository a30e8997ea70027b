"""No box: the child is kept from labels and secrets by what it is given, not by walls.

Where root starts it, the child becomes a user of its own, which can neither reach grader's processes nor
write what root has written; when it ends, all processes of that user are ended.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from functools import cache

from grader.box.isolation.interface import Places, Task, stranger
from grader.box.sandbox import Child, Spawned, environment

# The kernel sends it to all processes of the user at once; what is forked meanwhile meets the next round.
_END = """
import os, time
for _ in range(100):
    try:
        os.kill(-1, 9)
    except ProcessLookupError:
        break
    time.sleep(0.02)
"""


class Plain:
    """A process with resource limits. For one's own work."""

    kind = "none"
    closed = False
    absent = ""

    @property
    def contained(self) -> bool:
        return _becomes_another()

    @property
    def name(self) -> str:
        apart = "a user of its own, files and network are not closed off"
        return f"none: a process with limits; {apart if self.contained else apart.partition(', ')[2]}"

    def places(self, task: Task) -> Places:
        return Places(str(task.inputs), str(task.data or ""), str(task.home))

    def start(self, task: Task) -> Child:
        command = [sys.executable, "-I", "-m", task.module]
        settings = environment(str(task.home)) | {"CUDA_VISIBLE_DEVICES": "-1"}
        if not self.contained:
            return Spawned(command, settings, task.home)
        user = stranger()
        for folder in (task.inputs, task.home, *([task.data] if task.data else [])):
            folder.parent.chmod(0o711)
        os.chown(task.home, user, user)
        return _OfAnother([*command, str(user)], settings, task, user)


class _OfAnother(Spawned):
    """A child that gives up root for a user of its own, and takes all of that user's processes with it."""

    def __init__(self, command: list[str], settings: dict[str, str], task: Task, user: int) -> None:
        super().__init__(command, settings, task.home)
        self._user = user

    def kill(self) -> int:
        status = super().kill()
        end_all(self._user)
        return status


def end_all(user: int) -> None:
    """End every process of a user, wherever it went. Only root can."""
    subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import os; os.setgroups([]); os.setuid({user}){_END}"],
        env={}, capture_output=True, timeout=60, check=False,
    )  # fmt: skip


@cache
def _becomes_another() -> bool:
    """Whether children can become another user here, and read what they need as that user."""
    if os.geteuid() != 0:
        return False
    user = stranger()
    command = [sys.executable, "-I", "-m", "grader.describe.child.confine", str(user)]
    place = tempfile.gettempdir()
    done = subprocess.run(
        command, env=environment(place), cwd=place, capture_output=True, timeout=300, check=False
    )
    found = json.loads(done.stdout) if done.returncode == 0 else {}
    return bool(found) and found["user"] == user and bool(found["reads"])
