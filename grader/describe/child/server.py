"""The fork server: ``python -m grader.describe.child.server SOCKET``, for a class of submissions.

The server imports TensorFlow and Keras once. For each submission it then forks a process in fresh namespaces
(`grader.describe.child.namespaces`), which confines itself and describes or replays, as a cold start would.
Nothing but imports happens before a fork: a process that has run an operation of TensorFlow has threads, and
its children wait for those threads forever.

On the socket (inherited, SOCK_SEQPACKET) come requests (`Request`), each with four descriptors: standard
input, output and error of the child, and a socket for its fate. On the last one the server sends a descriptor
of the process (pidfd), and at the end its exit status.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import sys
from dataclasses import dataclass
from typing import NoReturn

from grader.describe.child import confine, namespaces, replay, seccomp, serve
from grader.describe.child.threads import without_threads

HOME, SPOOL = "/box", "/spool"
SIZE, FILES = 512 << 20, 20_000
READY = b"ready"
_SERVES = {
    "grader.describe.child.serve": serve.serve,
    "grader.describe.child.of_code": serve.serve,
    "grader.describe.child.replay": replay.serve,
    "grader.describe.child.confine": confine.report,
}
_SET_DUMPABLE, _DIE_WITH_PARENT = 4, 1


@dataclass(frozen=True)
class Request:
    """A child to start: what it runs, the name in the spool of what it sees at each place, and its user."""

    module: str
    shown: dict[str, str]
    user: int


def main() -> None:
    """Import TensorFlow, report that the server is ready, and fork a child for each request.

    Sends the reason instead, and ends, where the imports left threads.
    """
    requests = socket.socket(fileno=int(sys.argv[1]))
    _import()
    if reason := _not_clean():
        requests.send(reason.encode())
        return
    seccomp.prctl(_SET_DUMPABLE, 0)
    gc.freeze()  # pages that all children share stay shared
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps
    requests.send(READY)
    while True:
        message, descriptors, _, _ = socket.recv_fds(requests, 10_000, 4)
        if not message:  # the parent is gone
            return
        if os.fork() == 0:
            requests.close()
            _start(Request(**json.loads(message)), descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _import() -> None:
    without_threads()
    import h5py  # noqa: F401 - describing needs it; nothing is done with it here

    from grader.describe import program  # noqa: F401


def _not_clean() -> str:
    """Return the reason why no child may be forked from this process; empty if one may."""
    from tensorflow.python.eager import context

    if context.context_safe() is not None and context.context()._context_handle is not None:
        return "importing TensorFlow has initialised it"
    threads = len(os.listdir("/proc/self/task"))
    return f"importing has left {threads} threads" if threads > 1 else ""


# --- the process between: it leaves the namespaces, and waits for the child ---------------------


def _start(request: Request, descriptors: list[int]) -> NoReturn:
    status = 1
    try:
        seccomp.prctl(_DIE_WITH_PARENT, signal.SIGKILL)
        seccomp.prctl(_SET_DUMPABLE, 1)  # otherwise this process's files in /proc belong to root
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        *standard, last = descriptors
        fate = socket.socket(fileno=last)
        namespaces.leave()
        process = os.fork()
        if process == 0:
            _become(request, standard)
        socket.send_fds(fate, [b"started"], [os.pidfd_open(process)])
        _, waited = os.waitpid(process, 0)
        fate.send(str(os.waitstatus_to_exitcode(waited)).encode())
        status = 0
    except BaseException as error:
        os.write(descriptors[2], f"{type(error).__name__}: {error}\n".encode())
    os._exit(status)


def _become(request: Request, standard: list[int]) -> NoReturn:
    """Be the child: the first process of its namespaces, with three descriptors and no privileges."""
    try:
        for number, descriptor in enumerate(standard):
            os.dup2(descriptor, number)
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        os.setsid()
        shown = {place: f"{SPOOL}/{name}" for place, name in request.shown.items()}
        namespaces.furnish(shown, SPOOL, HOME, SIZE, FILES)
        confine.enter(request.user)
        _SERVES[request.module]()
    except BaseException as error:
        os.write(2, f"{type(error).__name__}: {error}\n".encode())
    os._exit(1)


if __name__ == "__main__":
    main()
