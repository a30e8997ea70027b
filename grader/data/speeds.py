"""The measured speed of each engine on this machine: `grader doctor --measure` stores it, "auto" reads it.

A measurement counts only for the machine, GPUs and library versions that it was made with.
"""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from grader import __version__
from grader.data import cache
from grader.record import Record

EngineName = Literal["native", "jax", "keras"]
_FILE = "measured-{}.json"  # a home may be shared by several machines
_LIBRARIES = ("tensorflow", "keras", "jax", "numba", "numpy")
_GPU_DEVICES = ("nvidia[0-9]*", "dxg", "kfd")


class Measured(Record):
    """Milliseconds per training step of a usual network by engine, measured under the ``conditions``."""

    conditions: tuple[str, ...]
    milliseconds: dict[EngineName, float]


def order(home: Path | None = None) -> tuple[EngineName, ...]:
    """Return engines from the fastest to the slowest; empty without a measurement under these conditions."""
    folder = cache.folder(home=home)
    try:
        text = _file(folder).read_bytes() if folder else b""
        found = Measured.model_validate_json(text)
    except (OSError, ValidationError):
        return ()
    if found.conditions != conditions():
        return ()
    return tuple(sorted(found.milliseconds, key=lambda name: found.milliseconds[name]))


def keep(milliseconds: dict[EngineName, float], home: Path | None = None) -> Path | None:
    """Store milliseconds per step and return the file; None where there is no place for it."""
    folder = cache.folder(home=home)
    if folder is None:
        return None
    file = _file(folder)
    found = Measured(conditions=conditions(), milliseconds=milliseconds)
    file.write_text(found.model_dump_json(indent=2) + "\n")
    return file


def conditions() -> tuple[str, ...]:
    """Return what the speed of the engines depends on: grader, processors, GPUs, library versions."""
    gpus = f"{os.environ.get('CUDA_VISIBLE_DEVICES', 'all')} of {_gpus()} GPUs" if shows_gpu() else "no GPU"
    versions = (f"{name} {_version(name)}" for name in _LIBRARIES)
    return (f"grader {__version__}", f"{platform.machine()}, {os.cpu_count()} cores", gpus, *versions)


def shows_gpu() -> bool:
    """Whether this machine has the device file of a GPU that the environment does not hide.

    Loads no library.
    """
    return os.environ.get("CUDA_VISIBLE_DEVICES") not in ("", "-1") and bool(_gpus())


def _gpus() -> int:
    return sum(len(list(Path("/dev").glob(name))) for name in _GPU_DEVICES)


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return "absent"


def _file(folder: Path) -> Path:
    return folder / _FILE.format("".join(x if x.isalnum() else "-" for x in platform.node()))
