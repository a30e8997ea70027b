"""How much a process and all its descendants use, from Linux's /proc.

The descendants of a sandboxed child stay below its root whatever they do: a process that has lost its
parent is handed to the first process of its own namespace. Where there is no /proc, nothing is measured.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_MEMORY = re.compile(r"^(?:RssAnon|RssShmem|VmSwap):\s+(\d+) kB", re.MULTILINE)
_THREADS = re.compile(r"^Threads:\s+(\d+)", re.MULTILINE)


def works() -> bool:
    """Whether this system shows the children of a process (Linux, CONFIG_PROC_CHILDREN)."""
    return Path(f"/proc/self/task/{os.getpid()}/children").exists()


@dataclass(frozen=True)
class Usage:
    """Bytes in memory or swapped out, libraries on disk not counted; and the number of threads."""

    memory: int = 0
    threads: int = 0


def measure(root: int) -> Usage:
    """The usage of ``root`` and its descendants. What ends meanwhile counts for nothing."""
    memory = threads = 0
    for process in descendants(root):
        with suppress(OSError):
            status = Path(f"/proc/{process}/status").read_text()
            memory += 1024 * sum(map(int, _MEMORY.findall(status)))
            threads += sum(map(int, _THREADS.findall(status)))
    return Usage(memory, threads)


def descendants(root: int) -> Iterator[int]:
    """``root``, its children, theirs, and so on."""
    waiting = [root]
    while waiting:
        process = waiting.pop()
        yield process
        with suppress(OSError):
            for thread in Path(f"/proc/{process}/task").iterdir():
                with suppress(OSError):
                    waiting += map(int, (thread / "children").read_text().split())
