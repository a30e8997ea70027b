"""Chooses the file of a folder that is the submission: code first, then models, then a write-up.

Files are searched as bytes; none of them is run, or opened by a reader of its format.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from grader.errors import StudentError
from grader.records import Note

MAX_BYTES = 64_000_000  # of one notebook, script or write-up
# Which kind counts when a folder holds several: code describes more than weights do.
PREFERENCE = (
    ".ipynb", ".py", ".keras", ".h5", ".hdf5", ".json", ".yaml", ".yml", ".md", ".markdown", "savedmodel",
)  # fmt: skip

Found = dict[str, list[Path]]


def choose(folder: Path, files: Iterable[Path], name: str) -> tuple[Path, tuple[Note, ...]]:
    """Choose the submission among the ``files`` of a folder called ``name``; return notes on the others too.

    Raises `StudentError` where there is none, or more than one.
    """
    found: Found = {kind: [] for kind in PREFERENCE}
    for file in files:
        if file.name == "saved_model.pb":
            found["savedmodel"].append(file.parent)
        elif (kind := file.suffix.lower()) in found:
            found[kind].append(file)
    weights = _set_aside(found)
    for kind in PREFERENCE:
        if found[kind]:
            chosen = _one_of(found[kind], folder, name)
            return chosen, tuple(_weights_notes(weights, chosen))
    raise StudentError(
        f"{name}: no submission in it",
        "Hand in a notebook (.ipynb), a script (.py), a write-up (.md) or a saved model.",
    )


def _set_aside(found: Found) -> list[Path]:
    """Remove files of weights from ``found`` where other files hold the architecture; return them.

    Settings that are no architecture (`package.json`, `environment.yml`) are removed too.
    """
    texts = [f for kind in (".json", ".yaml", ".yml") for f in found[kind]]
    settings = [f for f in texts if b"class_name" not in _head(f)]
    hdf5 = [f for kind in (".h5", ".hdf5") for f in found[kind]]
    weights = [f for f in hdf5 if _holds_weights_only(f)]
    prose = [f for kind in (".md", ".markdown") for f in found[kind]]
    whole = [f for files in found.values() for f in files if f not in {*settings, *weights, *prose}]
    aside = {*(settings if whole or weights or prose else ()), *(weights if whole else ())}
    for kind, files in found.items():
        found[kind] = [f for f in files if f not in aside]
    return weights if whole else []


def _holds_weights_only(path: Path) -> bool:
    """Whether an HDF5 file lacks the name of the attribute in which Keras keeps the architecture.

    Searched as bytes: HDF5 itself is read in the box alone.
    """
    if path.name.lower().endswith(".weights.h5"):
        return True
    with path.open("rb") as file:
        if file.read(8) != b"\x89HDF\r\n\x1a\n":
            return False  # no HDF5 at all: the reader will report that
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return content.find(b"model_config") < 0


def _head(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(MAX_BYTES)


def _weights_notes(weights: list[Path], chosen: Path) -> Iterator[Note]:
    for file in weights[:20]:
        yield Note(
            message=f"{file.name[:200]} holds weights only: {chosen.name[:200]} describes the network, "
            "which is trained from scratch"
        )


def _one_of(files: list[Path], folder: Path, name: str) -> Path:
    if len(files) > 1:  # take the one file with a network in it
        telling = [f for f in files if f.is_file() and re.search(rb"\.fit\(|Sequential|Model\(", _head(f))]
        if len(telling) != 1:
            names = ", ".join(str(f.relative_to(folder)) for f in (telling or files)[:5])
            raise StudentError(
                f"{name}: several files could be the submission: {names}",
                "Hand in one, or name it on the command line.",
            )
        files = telling
    return files[0]
