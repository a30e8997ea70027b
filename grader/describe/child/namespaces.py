"""Makes fresh namespaces for a process that has already imported its libraries.

Bubblewrap starts programs; the fork server has to wall in a process that is running. The server works inside
a box of bubblewrap's, which holds what all submissions share, and uses new namespaces of every kind, a memory
file system over the home, a new /proc, and an empty folder over the place of all inputs. See namespaces(7),
mount_namespaces(7) and user_namespaces(7).
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

_UNSHARE = {"mount": 0x00020000, "cgroup": 0x02000000, "uts": 0x04000000, "ipc": 0x08000000,
            "pid": 0x20000000, "network": 0x40000000}  # fmt: skip
_USER = 0x10000000
_READ_ONLY, _NO_SUID, _NO_DEVICES, _NO_EXEC, _REMOUNT, _BIND, _RECURSIVE, _PRIVATE = (
    1, 2, 4, 8, 32, 4096, 16384, 1 << 18,
)  # fmt: skip

_libc = ctypes.CDLL(None, use_errno=True)


def leave() -> None:
    """Leave all namespaces of the parent; the next child will be the first process of its own.

    Raises `OSError` where the kernel refuses such namespaces. The process must have one thread.
    """
    user, group = os.getuid(), os.getgid()
    kinds = sum(_UNSHARE.values())
    _check(_libc.unshare(kinds if user == 0 else kinds | _USER))
    if user != 0:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")


def furnish(shown: dict[str, str], spool: str, home: str, size: int, files: int) -> None:
    """Mount what this process may see: its own folders of the spool, an empty home, and its own /proc.

    ``shown`` gives the folder that appears at each place, read-only; the rest of the ``spool`` is hidden, and
    so is what was at these places. The home takes ``size`` bytes and ``files`` files.
    """
    _mount(None, "/", None, _PRIVATE | _RECURSIVE)
    for place, folder in shown.items():
        _mount(folder, place, None, _BIND)
        _mount(None, place, None, _BIND | _REMOUNT | _READ_ONLY | _NO_SUID | _NO_DEVICES)
    _mount("none", spool, "tmpfs", _READ_ONLY | _NO_SUID | _NO_DEVICES | _NO_EXEC, "size=4096")
    _mount("home", home, "tmpfs", _NO_SUID | _NO_DEVICES, f"size={size},nr_inodes={files},mode=1777")
    _mount("proc", "/proc", "proc", _NO_SUID | _NO_DEVICES | _NO_EXEC)
    os.chdir(home)


def _mount(source: str | None, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    given = [None if text is None else os.fsencode(text) for text in (source, target, kind, options)]
    _check(_libc.mount(given[0], given[1], given[2], ctypes.c_ulong(flags), given[3]), target)


def _check(result: int, what: str = "namespaces") -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), what)
