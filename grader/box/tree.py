"""Measures what a process and all its descendants use, from Linux's /proc.

The descendants of a sandboxed child stay below its root whatever they do: a process that has lost its parent
is handed to the first process of its own namespace. Where there is no /proc, nothing is measured.
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
_OOM_KILLS = re.compile(r"^oom_kill (\d+)", re.MULTILINE)
_SHARE = re.compile(r"^(?:Pss_Anon|Pss_Shmem|SwapPss):\s+(\d+) kB", re.MULTILINE)


def works() -> bool:
    """Whether this system shows the children of a process (Linux, CONFIG_PROC_CHILDREN)."""
    return Path(f"/proc/self/task/{os.getpid()}/children").exists()


@dataclass(frozen=True)
class Usage:
    """Bytes of memory, and a count of processes.

    Memory that is swapped out and page tables count; libraries on disk do not.
    """

    memory: int = 0
    processes: int = 0


def measure(root: int, most: int | None = None) -> Usage:
    """Measure ``root`` and its descendants. A process that ends meanwhile counts for nothing.

    Memory that forked processes share is counted for each of them, which is quick; if the sum is more than
    ``most`` bytes, each process's share is read again, which is exact and slow.
    """
    memory = 0
    processes = list(descendants(root))
    for process in processes:
        with suppress(OSError):
            memory += 1024 * sum(map(int, _MEMORY.findall(_of_a_thread(process, "status", "RssAnon"))))
    return Usage(memory if most is None or memory <= most else _shares(processes, memory), len(processes))


def _of_a_thread(process: int, file: str, sign: str) -> str:
    """Read a file of a process in /proc; from one of its other threads where the first one has ended.

    Returns the first text that holds ``sign``, or an empty string.
    """
    for place in (Path(f"/proc/{process}"), *Path(f"/proc/{process}/task").iterdir()):
        with suppress(FileNotFoundError, ProcessLookupError):
            text = (place / file).read_text()
            if sign in text:
                return text
    return ""


def _shares(processes: list[int], otherwise: int) -> int:
    """Sum the bytes of ``processes``, shared memory divided among those who share it.

    Returns ``otherwise`` where the system does not show the shares.
    """
    total = 0
    for process in processes:
        try:
            shares = _of_a_thread(process, "smaps_rollup", "Pss_Anon")
            tables = _of_a_thread(process, "status", "RssAnon")
        except (FileNotFoundError, ProcessLookupError):  # it has ended
            continue
        except OSError:
            return otherwise
        total += 1024 * sum(map(int, (*_SHARE.findall(shares), *_TABLES.findall(tables))))
    return total


def available() -> int:
    """Return the bytes that programs may still take on this machine, or in this container.

    Without a limit (`sys.maxsize`) where the system does not show how many.
    """
    try:
        found = _AVAILABLE.search(Path("/proc/meminfo").read_text())
    except OSError:
        found = None
    machine = int(found[1]) * 1024 if found else sys.maxsize
    return min([machine, *(group.left for group in groups())])


def exhausted(reserve: int) -> bool:
    """Whether fewer than ``reserve`` bytes are left; in a small container, less than 1/16 of its limit."""
    return available() < min([reserve, *(group.limit // 16 for group in groups())])


def killed_for_memory() -> int:
    """Count the processes that the system has killed so far for lack of memory; 0 where it keeps no count."""
    try:
        found = _OOM_KILLS.search(Path("/proc/vmstat").read_text())
    except OSError:
        found = None
    return int(found[1]) if found else 0


@dataclass(frozen=True)
class Group:
    """A control group of this process: the bytes that all of it may take, and how many of them are left."""

    limit: int
    left: int


def groups(system: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> Iterator[Group]:
    """Yield the control groups that limit this process's memory, of version 1 or 2.

    ``own`` is the file that lists this process's groups; ``system`` is where they are mounted.
    https://docs.kernel.org/admin-guide/cgroup-v2.html
    https://docs.kernel.org/admin-guide/cgroup-v1/memory.html
    """
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            yield from _limiting(system, path, ("memory.max", "memory.current", ""))
        elif "memory" in controllers.split(","):
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_")
            yield from _limiting(system / "memory", path, names)


def _limiting(root: Path, path: str, names: tuple[str, str, str]) -> Iterator[Group]:
    """Yield the groups with a limit, from the one at ``path`` upwards.

    In a container ``path`` may be one of the host's, which does not exist here.
    """
    limit, usage, prefix = names
    parts = Path(path).parts[1:]
    for count in range(len(parts), -1, -1):
        folder = root.joinpath(*parts[:count])
        with suppress(OSError, ValueError):  # "max"
            most, taken = int((folder / limit).read_text()), int((folder / usage).read_text())
            kept = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
            # Files that were read stay in memory only while there is room: they count as left.
            files = sum(int(kept.get(f"{prefix}{name}_file", 0)) for name in ("active", "inactive"))
            yield Group(most, most - taken + files)


def files(root: int, home: str) -> int:
    """Count files and folders in the file system that the descendants of ``root`` see at ``home``."""
    for process in descendants(root):
        with suppress(OSError):
            for thread in Path(f"/proc/{process}/task").iterdir():
                with suppress(OSError):
                    found = os.statvfs(f"{thread}/root{home}")
                    return found.f_files - found.f_ffree
    return 0


def descendants(root: int) -> Iterator[int]:
    """Yield ``root``, its children, their children, and so on."""
    waiting = [root]
    while waiting:
        process = waiting.pop()
        yield process
        with suppress(OSError):
            for thread in Path(f"/proc/{process}/task").iterdir():
                with suppress(OSError):
                    waiting += map(int, (thread / "children").read_text().split())
