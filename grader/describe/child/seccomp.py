"""The system call filter of the box: calls that `grader.describe.child.syscalls` does not list are refused.

A filter is a program of the kernel's classic packet filter over `struct seccomp_data`
(https://www.kernel.org/doc/html/latest/userspace-api/seccomp_filter.html): it sees the number of a call and
its arguments, but not the memory that pointers point to. The filter stays in force for all threads and
children.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterator

from grader.describe.child import syscalls
from grader.describe.child.syscalls import Machine

ARCHITECTURES: dict[Machine, int] = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

# Return values and instructions, from linux/seccomp.h and linux/bpf_common.h.
ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _AND, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
_X32 = 0x40000000  # calls of the x32 ABI have this bit, and numbers of their own
_NEWER = 451  # this call and later ones answer ENOSYS, so that libraries fall back to older calls

NEW_NAMESPACE = 0x7E020000  # CLONE_NEWNS, CGROUP, UTS, IPC, USER, PID, NET
# isatty (two forms), window size, process group of the terminal, bytes to read, non-blocking, close on exec.
HARMLESS_IOCTLS = (0x5401, 0x802C542A, 0x5413, 0x540F, 0x541B, 0x5421, 0x5450, 0x5451)
# Duplicates, flags of descriptors and files, a look at locks; no locks, leases, signals or pipe sizes.
HARMLESS_FCNTLS = (0, 1030, 1, 2, 3, 4, 5)
# Dumpable (get, set), name (set, get), seccomp, bounding set, no_new_privs (set, get), names of memory. Not
# the signal on a parent's death, by which a box ends with its grader.
HARMLESS_PRCTLS = (3, 4, 15, 16, 21, 23, 38, 39, 0x53564D41)
_SAME_MEMORY, _VFORK, _THREAD = 0x100, 0x4000, 0x10000  # flags of clone(2)
_SHARED_AND_ANONYMOUS = 0x21  # memory that outlives its mapping, and is counted for no process

_SET_NO_NEW_PRIVS, _SET_SECCOMP, _FILTER_MODE = 38, 22, 2

Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, operand


def machine() -> Machine | None:
    """Return the kind of this machine; None if there is no filter for it."""
    name = {"arm64": "aarch64", "AMD64": "x86_64"}.get(platform.machine(), platform.machine())
    return next((known for known in ARCHITECTURES if known == name), None)


def program(kind: Machine) -> list[Instruction]:
    """Return the whole filter: refuse other architectures, judge some calls, allow the listed ones."""
    judged = syscalls.numbers(kind, syscalls.JUDGED)
    plain = syscalls.numbers(kind, syscalls.FILES, syscalls.MEMORY, syscalls.PROCESSES, syscalls.TIME)
    return [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, ARCHITECTURES[kind]),
        (_RETURN, 0, 0, KILL),
        (_LOAD, 0, 0, _NUMBER),
        *_if(_AT_LEAST, _X32, _returning(KILL)),
        *_if(_EQUAL, judged["clone3"], _returning(ERRNO | errno.ENOSYS)),  # has its flags behind a pointer
        *_if(_EQUAL, judged["clone"], list(_clone())),
        *_if(_EQUAL, judged["ioctl"], list(_one_of(1, HARMLESS_IOCTLS, errno.ENOTTY))),
        *_if(_EQUAL, judged["fcntl"], list(_one_of(1, HARMLESS_FCNTLS, errno.EPERM))),
        *_if(_EQUAL, judged["prctl"], list(_one_of(0, HARMLESS_PRCTLS, errno.EPERM))),
        *_if(_EQUAL, judged["mmap"], list(_mmap())),
        *(step for number in plain.values() for step in _if(_EQUAL, number, _returning(ALLOW))),
        *_if(_AT_LEAST, _NEWER, _returning(ERRNO | errno.ENOSYS)),
        (_RETURN, 0, 0, ERRNO | errno.EPERM),
    ]


def _if(test: int, operand: int, then: list[Instruction]) -> list[Instruction]:
    """Run ``then``, which must return, where the test holds for the value loaded last."""
    return [(test, 0, len(then), operand), *then]


def _returning(value: int) -> list[Instruction]:
    return [(_RETURN, 0, 0, value)]


def _argument(index: int) -> Instruction:
    """Load the lower half of an argument; every value compared here fits in it."""
    return (_LOAD, 0, 0, _ARGUMENTS + 8 * index)


def _clone() -> Iterator[Instruction]:
    """Allow threads and processes, but no new namespaces, and no process that shares its parent's memory."""
    yield _argument(0)
    yield from _if(_ANY_BIT, NEW_NAMESPACE, _returning(ERRNO | errno.EPERM))
    yield (_AND, 0, 0, _THREAD | _VFORK | _SAME_MEMORY)
    yield from _if(_EQUAL, _SAME_MEMORY, _returning(ERRNO | errno.EPERM))
    yield from _returning(ALLOW)


def _mmap() -> Iterator[Instruction]:
    """Allow files and private memory, but no shared memory without a file."""
    yield _argument(3)
    yield (_AND, 0, 0, _SHARED_AND_ANONYMOUS)
    yield from _if(_EQUAL, _SHARED_AND_ANONYMOUS, _returning(ERRNO | errno.EPERM))
    yield from _returning(ALLOW)


def _one_of(index: int, values: tuple[int, ...], otherwise: int) -> Iterator[Instruction]:
    yield _argument(index)
    for value in values:
        yield from _if(_EQUAL, value, _returning(ALLOW))
    yield from _returning(ERRNO | otherwise)


def assemble(instructions: list[Instruction]) -> bytes:
    """Encode instructions as `struct sock_filter`, eight bytes each."""
    return b"".join(struct.pack("HBBI", *instruction) for instruction in instructions)


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def install() -> None:
    """Put this process, and all that it will start, under the filter for good. Raises `OSError`."""
    kind = machine()
    if kind is None:
        raise OSError(errno.ENOSYS, f"there is no system call filter for {platform.machine()}")
    code = assemble(program(kind))
    loaded = _Program(len(code) // 8, code)
    prctl(_SET_NO_NEW_PRIVS, 1)
    prctl(_SET_SECCOMP, _FILTER_MODE, ctypes.addressof(loaded))


def prctl(option: int, *arguments: int) -> None:
    """Set a property of this process. Raises `OSError`.

    See prctl(2).
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]
    if libc.prctl(option, *(*arguments, 0, 0, 0, 0)[:4]) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
