"""The GPUs of this machine and how much of their memory is free, as `nvidia-smi` tells.

`CUDA_VISIBLE_DEVICES` is respected, with numbers and with UUIDs. Without `nvidia-smi` there are none.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

from grader.box.sandbox import NEUTRAL


@dataclass(frozen=True)
class Gpu:
    """``name`` is what `CUDA_VISIBLE_DEVICES` calls it; memory in bytes."""

    name: str
    total: int
    free: int


def visible(most: int | None = None) -> tuple[Gpu, ...]:
    """The GPUs that may be used, ``most`` of them at most, in the order of `CUDA_VISIBLE_DEVICES`."""
    rows = list(_ask("--query-gpu=index,uuid,memory.total,memory.free"))
    found = [Gpu(index, _bytes(total), _bytes(free)) for index, _, total, free in rows]
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        found = list(
            _named(chosen, found, {uuid: gpu for (_, uuid, *_), gpu in zip(rows, found, strict=True)})
        )
    return tuple(found[:most])


def used_by(process: int) -> int:
    """Bytes of GPU memory that a process holds; 0 where that is not told (in containers it often is not)."""
    rows = _ask("--query-compute-apps=pid,used_memory")
    return sum(_bytes(memory) for pid, memory in rows if pid == str(process))


def _named(chosen: str, found: list[Gpu], by_uuid: dict[str, Gpu]) -> Iterator[Gpu]:
    """As CUDA reads it: what follows the first name that is none is not seen."""
    for name in filter(None, (part.strip() for part in chosen.split(","))):
        fits = [g for g in found if g.name == name] or [g for u, g in by_uuid.items() if u.startswith(name)]
        if not fits:
            return
        yield fits[0]


def _ask(query: str) -> Iterator[list[str]]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return
    try:
        told = subprocess.run(
            [program, query, "--format=csv,noheader,nounits"],
            capture_output=True, text=True, timeout=30, check=True, cwd=NEUTRAL,
        ).stdout  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return
    for line in told.splitlines():
        if line.strip():
            yield [cell.strip() for cell in line.split(",")]


def _bytes(mebibytes: str) -> int:
    return int(mebibytes) << 20 if mebibytes.isdigit() else 0
