"""No box: the child is never given labels or secrets, but no wall keeps it from other files.

Where root starts the child, the child becomes a user of its own, which can neither reach grader's processes
nor write what root has written; when the child ends, all processes of that user are ended.
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

# The kernel signals all processes of the user at once; a process forked meanwhile is met by the next round.
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
    """A child process with resource limits only, for one's own work."""

    kind = "none"
    closed = False
    absent = ""

    @property
    def contained(self) -> bool:
        """Whether the child can become a user of its own here."""
        return _becomes_another()

    @property
    def name(self) -> str:
        """The sentence that reports show; it depends on `contained`."""
        apart = "a user of its own, files and network are not closed off"
        return f"none: a process with limits; {apart if self.contained else apart.partition(', ')[2]}"

    def places(self, task: Task) -> Places:
        """The task's own folders: nothing is mounted elsewhere."""
        return Places(str(task.inputs), str(task.data or ""), str(task.home))

    def start(self, task: Task) -> Child:
        """Start the task, as a user of its own where root can arrange that."""
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
    """A child that gives up root for a user of its own; killing the child ends all processes of that user."""

    def __init__(self, command: list[str], settings: dict[str, str], task: Task, user: int) -> None:
        super().__init__(command, settings, task.home)
        self._user = user

    def kill(self) -> int:
        """End the child, then every process of its user."""
        status = super().kill()
        end_all(self._user)
        return status


def end_all(user: int) -> None:
    """Kill every process of ``user``, wherever the process went. Only root can."""
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
