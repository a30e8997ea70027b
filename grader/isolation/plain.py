"""No box: the child is kept from labels and secrets by what it is given, not by walls."""

from __future__ import annotations

import sys

from grader.isolation.interface import Places, Task
from grader.sandbox import Child, Spawned, environment


class Plain:
    """A process with resource limits. For one's own work."""

    kind = "none"
    name = "none: a process with limits; files and network are not closed off"
    closed = False
    absent = ""

    def places(self, task: Task) -> Places:
        return Places(str(task.inputs), str(task.data or ""), str(task.home))

    def start(self, task: Task) -> Child:
        command = [sys.executable, "-I", "-m", task.module]
        return Spawned(command, environment(str(task.home)) | {"CUDA_VISIBLE_DEVICES": "-1"}, task.home)
