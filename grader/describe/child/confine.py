"""Gives up this process's rights: the first thing that a describing child does.

There are two kinds of walls. What a process sees (files, network, other processes) is decided by the program
that starts it: bubblewrap, a container, the fork server. What a process may do is given up here by the
process itself, for good, before it reads a submission: the user, the capabilities, the limits of the kernel,
the system calls.

Covered here: privileges, system calls, memory, processor time, sizes and numbers of files and processes of
this child. Not covered: which files and networks the child sees, and what all processes of a box use together
(`grader.box.sandbox`).

Run as a program, this module confines itself and prints its findings, for the self-test of a box.
"""

from __future__ import annotations

import ctypes
import importlib.util
import json
import os
import platform
import resource
import signal
import struct
import sys
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from grader import __version__
from grader.describe.child import seccomp

ADDRESS_SPACE = 8 << 30
FILE_SIZE = 200 << 20
OPEN_FILES = 256
SIGNALS = 1_000  # pending ones, and timers
PROCESSES = 200  # and threads; TensorFlow starts some twenty
NOBODY = 65534  # an ordinary user's number in a box; root makes a new user for each box
CORES = 4  # seconds of processor time for each second on the wall clock

_DROP_FROM_BOUNDING_SET, _NO_HUGE_PAGES, _AMBIENT, _CLEAR_ALL = 24, 41, 47, 4
_CAPABILITY_VERSION = 0x20080522
_LAST_CAPABILITY = 63
_CLOSED = ("/", "/tmp", "/etc", "/dev", "/dev/shm", "/usr", "/input")


def limit(seconds: int) -> None:
    """Set hard limits, which no later code can raise; processor time is for ``seconds`` on the wall clock."""
    for kind, value in (
        (resource.RLIMIT_AS, ADDRESS_SPACE),
        (resource.RLIMIT_FSIZE, FILE_SIZE),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        (resource.RLIMIT_CPU, seconds * CORES),
        (resource.RLIMIT_CORE, 0),
        *([(resource.RLIMIT_SIGPENDING, SIGNALS)] if sys.platform == "linux" else []),
    ):
        _set(kind, value)


def enter(user: int | None = None) -> None:
    """Become ``user`` (when started as root), and give up all privileges. Raises `OSError`."""
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        # When the machine runs out of memory, this process is killed first; root's setting is final.
        file.write("1000")
    if os.getuid() == 0 and user is not None:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    if os.getuid() != 0 and _counted_here():
        _set(resource.RLIMIT_NPROC, PROCESSES)
    with suppress(OSError):  # a huge page of 2 MB stays in memory for the sake of one small page in it
        seccomp.prctl(_NO_HUGE_PAGES, 1)
    _drop_capabilities()
    seccomp.install()
    os.umask(0o077)


def _counted_here() -> bool:
    """Whether the kernel counts this box's processes alone; before 5.14 it counts all of the user's."""
    major, minor = platform.release().split(".")[:2]
    return os.getuid() != NOBODY or (int(major), int(minor.split("-")[0])) >= (5, 14)


def _set(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (allowed, allowed))


def _drop_capabilities() -> None:
    """Empty all five sets of capabilities(7), so that programs started later have none either."""
    for capability in range(_LAST_CAPABILITY + 1):
        with suppress(OSError):  # unknown, or not ours to drop: no_new_privs keeps it out of reach
            seccomp.prctl(_DROP_FROM_BOUNDING_SET, capability)
    seccomp.prctl(_AMBIENT, _CLEAR_ALL)
    libc = ctypes.CDLL(None, use_errno=True)
    header = struct.pack("Ii", _CAPABILITY_VERSION, 0)
    if libc.capset(header, struct.pack("6I", *[0] * 6)) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


# --- findings -----------------------------------------------------------------------------------


def findings() -> dict[str, object]:
    """Return what this process can see and do here, for the self-test of a box."""
    lines = Path("/proc/self/status").read_text().splitlines()
    status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    interfaces = Path("/proc/net/dev").read_text().splitlines()[2:]
    return {
        "version": __version__,
        "user": os.getuid(),
        "seccomp": status.get("Seccomp"),
        "no_new_privileges": status.get("NoNewPrivs"),
        "capabilities": sorted({status.get(f"Cap{kind}", "") for kind in ("Inh", "Prm", "Eff", "Amb")}),
        "interfaces": sorted(line.split(":")[0].strip() for line in interfaces),
        "processes": sum(name.isdigit() for name in os.listdir("/proc")),
        "descriptors": sorted(int(name) for name in os.listdir("/proc/self/fd"))[3:-1],
        "writable": [folder for folder in _CLOSED if _writable(folder)],
        "home": _writable("."),
        "reads": _reads("h5py") and _reads("sqlite3") and os.access(".", os.X_OK),
    }  # fmt: skip


def _reads(package: str) -> bool:
    """Whether this process's present user can read the code of a package."""
    found = importlib.util.find_spec(package)
    return found is not None and found.origin is not None and os.access(found.origin, os.R_OK)


def _writable(folder: str) -> bool:
    path = os.path.join(folder, f"grader-{os.getpid()}")
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except OSError:
        return False
    os.unlink(path)
    return True


def main() -> None:
    """Confine this process, as the user that the command line names, and report."""
    signal.alarm(60)
    limit(60)
    enter(int(sys.argv[1]) if len(sys.argv) > 1 else None)
    report()


def report() -> NoReturn:
    """Print the findings as a line of JSON, and end this process."""
    print(json.dumps(findings()), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
