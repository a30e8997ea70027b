"""How much a process and all its descendants use, from Linux's /proc.

The descendants of a sandboxed child stay below its root whatever they do: a process that has lost its
parent is handed to the first process of its own namespace. Where there is no /proc, nothing is measured.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_MEMORY = re.compile(r"^(?:RssAnon|RssShmem|VmSwap|VmPTE):\s+(\d+) kB", re.MULTILINE)
_TABLES = re.compile(r"^VmPTE:\s+(\d+) kB", re.MULTILINE)
_AVAILABLE = re.compile(r"^MemAvailable:\s+(\d+) kB", re.MULTILINE)
_SHARE = re.compile(r"^(?:Pss_Anon|Pss_Shmem|SwapPss):\s+(\d+) kB", re.MULTILINE)


def works() -> bool:
    """Whether this system shows the children of a process (Linux, CONFIG_PROC_CHILDREN)."""
    return Path(f"/proc/self/task/{os.getpid()}/children").exists()


@dataclass(frozen=True)
class Usage:
    """Bytes in memory or swapped out, page tables included and libraries on disk not; and processes."""

    memory: int = 0
    processes: int = 0


def measure(root: int, most: int | None = None) -> Usage:
    """The usage of ``root`` and its descendants. What ends meanwhile counts for nothing.

    What forked processes share is counted for each of them, which is quick; if that comes to more than
    ``most`` bytes, each is asked again for its share, which is exact.
    """
    memory = 0
    processes = list(descendants(root))
    for process in processes:
        with suppress(OSError):
            memory += 1024 * sum(map(int, _MEMORY.findall(_of_a_thread(process, "status", "RssAnon"))))
    return Usage(memory if most is None or memory <= most else _shares(processes, memory), len(processes))


def _of_a_thread(process: int, file: str, sign: str) -> str:
    """What is told of a process; by one of its other threads where its first one has ended."""
    for place in (Path(f"/proc/{process}"), *Path(f"/proc/{process}/task").iterdir()):
        with suppress(FileNotFoundError, ProcessLookupError):
            told = (place / file).read_text()
            if sign in told:
                return told
    return ""


def _shares(processes: list[int], otherwise: int) -> int:
    """Bytes, with what is shared divided among those who share it; ``otherwise`` where that is not told."""
    total = 0
    for process in processes:
        try:
            told = _of_a_thread(process, "smaps_rollup", "Pss_Anon")
            tables = _of_a_thread(process, "status", "RssAnon")
        except (FileNotFoundError, ProcessLookupError):  # it has ended
            continue
        except OSError:
            return otherwise
        total += 1024 * sum(map(int, (*_SHARE.findall(told), *_TABLES.findall(tables))))
    return total


def available() -> int:
    """Bytes that programs may still take on this machine; without limit where that is not told."""
    try:
        found = _AVAILABLE.search(Path("/proc/meminfo").read_text())
    except OSError:
        found = None
    return int(found[1]) * 1024 if found else sys.maxsize


def files(root: int, home: str) -> int:
    """Files and folders in the file system that the descendants of ``root`` see at ``home``."""
    for process in descendants(root):
        with suppress(OSError):
            for thread in Path(f"/proc/{process}/task").iterdir():
                with suppress(OSError):
                    found = os.statvfs(f"{thread}/root{home}")
                    return found.f_files - found.f_ffree
    return 0


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
