"""Lists the GPUs of this machine and their free memory, by way of `nvidia-smi`.

`CUDA_VISIBLE_DEVICES` is respected, with numbers and with UUIDs. Without `nvidia-smi` the list is empty.
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
    """A GPU: ``name`` is what `CUDA_VISIBLE_DEVICES` calls it; ``total`` and ``free`` are bytes of memory."""

    name: str
    total: int
    free: int


def visible(most: int | None = None) -> tuple[Gpu, ...]:
    """Return the GPUs that may be used, at most ``most`` of them, in the order of `CUDA_VISIBLE_DEVICES`."""
    rows = list(_ask("--query-gpu=index,uuid,memory.total,memory.free"))
    found = [Gpu(index, _bytes(total), _bytes(free)) for index, _, total, free in rows]
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        found = list(
            _named(chosen, found, {uuid: gpu for (_, uuid, *_), gpu in zip(rows, found, strict=True)})
        )
    return tuple(found[:most])


def used_by(process: int) -> int:
    """Return the bytes of GPU memory that a process holds; 0 where the driver hides them (in containers)."""
    rows = _ask("--query-compute-apps=pid,used_memory")
    return sum(_bytes(memory) for pid, memory in rows if pid == str(process))


def _named(chosen: str, found: list[Gpu], by_uuid: dict[str, Gpu]) -> Iterator[Gpu]:
    """Yield the GPUs that ``chosen`` names, as CUDA reads it: nothing behind an unknown name counts."""
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
        output = subprocess.run(
            [program, query, "--format=csv,noheader,nounits"],
            capture_output=True, text=True, timeout=30, check=True, cwd=NEUTRAL,
        ).stdout  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return
    for line in output.splitlines():
        if line.strip():
            yield [cell.strip() for cell in line.split(",")]


def _bytes(mebibytes: str) -> int:
    return int(mebibytes) << 20 if mebibytes.isdigit() else 0
