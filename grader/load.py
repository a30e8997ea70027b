"""Files -> `Program`: cells of source with their saved output, or the path of a saved model.

Everything is read as text or bytes; nothing is executed and no model file is opened here.
Notebooks of every nbformat, scripts, Markdown, saved models, and a folder or zip with one of these.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grader import choosing
from grader.archive import extract
from grader.choosing import MAX_BYTES
from grader.errors import InstructorError, StudentError
from grader.readers import MAX_CELLS, markdown, notebook, script
from grader.records import Program

MAX_SUBMISSION, MAX_FILES = 1_000_000_000, 20_000  # of a file, or of a folder with all in it
MAX_PATH = 1_000  # characters of a name within a folder

MODEL_SUFFIXES = (".keras", ".h5", ".hdf5", ".json", ".yaml", ".yml")


@dataclass(frozen=True)
class Loaded:
    """A program, and the folder whose other files it may import or load, if it came with any."""

    program: Program
    beside: Path | None = None


def load(path: Path, scratch: Path) -> Loaded:
    """Load the submission at ``path``; a zip is unpacked below ``scratch``.

    Raises `InstructorError` when there is no such file, `StudentError` for what is in it.
    """
    if not path.exists():
        raise InstructorError(f"{path}: no such file or folder", "Check the path.")
    if not path.is_file() and not path.is_dir():
        raise StudentError(f"{path.name} is neither a file nor a folder", "Hand in a plain file.")
    try:
        _check_size(path)
    except RecursionError:
        raise StudentError(
            f"{path.name}: its folders are nested too deeply", "Hand in a flat folder."
        ) from None
    digest = _digest(path)
    if path.is_file() and path.suffix.lower() == ".zip":
        folder = scratch / "unpacked"
        extract(path, folder)
        return _load_folder(folder, path.name, digest)
    if path.is_dir() and not _is_saved_model(path):
        return _load_folder(path, path.name, digest)
    return Loaded(_program(path, path.name, digest))


def _check_size(path: Path) -> None:
    """Nothing is read of what is larger than any submission."""
    size = count = 0
    for file in [path] if path.is_file() else path.rglob("*"):
        if len(str(file)) - len(str(path)) > MAX_PATH:
            raise StudentError(f"{path.name}: a name in it is too long", "Hand in a flat folder.")
        size, count = size + (file.stat().st_size if file.is_file() else 0), count + 1
        if size > MAX_SUBMISSION or count > MAX_FILES:
            most = f"{MAX_SUBMISSION:,} bytes and {MAX_FILES:,} files"
            raise StudentError(
                f"{path.name} is larger than any submission: at most {most} are read",
                "Hand in the notebook and what it needs, without data sets and environments.",
            )


def _digest(path: Path) -> str:
    """SHA-256 of a file, or of a folder's files with their relative names."""
    total = hashlib.sha256()
    files = [path] if path.is_file() else sorted(_files(path))
    for file in files:
        if path.is_dir():
            total.update(file.relative_to(path).as_posix().encode("utf-8", "surrogateescape") + b"\0")
        with file.open("rb") as stream:
            total.update(hashlib.file_digest(stream, "sha256").digest())
    return total.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    """Regular files below a folder, without hidden ones and what other systems leave behind."""
    for file in folder.rglob("*"):
        parts = file.relative_to(folder).parts
        hidden = any(p.startswith(".") or p in ("__MACOSX", "__pycache__") for p in parts)
        if not hidden and file.is_file() and not file.is_symlink():
            yield file


def _is_saved_model(path: Path) -> bool:
    return path.is_dir() and (path / "saved_model.pb").is_file()


def _load_folder(folder: Path, name: str, digest: str) -> Loaded:
    chosen, notes = choosing.choose(folder, sorted(_files(folder)), name)
    return Loaded(_program(chosen, name, digest).model_copy(update={"notes": notes}), folder)


def _program(path: Path, name: str, digest: str) -> Program:
    suffix = path.suffix.lower()
    common: dict[str, Any] = {"name": name, "path": str(path), "digest": digest}
    if _is_saved_model(path) or suffix in MODEL_SUFFIXES:
        program = Program(**common, model_file=str(path.resolve()))
        if program.model_file != str(path.resolve()):
            raise StudentError(f"{program.name}: the file's name is not valid text", "Rename the file.")
        return program
    readers = {".ipynb": notebook, ".py": script, ".md": markdown, ".markdown": markdown}
    if suffix not in readers:
        raise StudentError(
            f"{path.name}: grader does not read {suffix or 'files without a suffix'!r}",
            "Hand in .ipynb, .py, .md, .keras, .h5, .json, .yaml, a SavedModel folder, or a zip of one.",
        )
    cells, extra = readers[suffix](_text(path), path)
    if len(cells) > MAX_CELLS:
        raise StudentError(f"{path.name} has {len(cells):,} cells; at most {MAX_CELLS:,} are read")
    if not any(c.kind == "code" and c.source.strip() for c in cells):
        raise StudentError(f"{path.name} holds no code", "Hand in the file that builds the network.")
    return Program(**common, cells=tuple(cells), **extra)


def _text(path: Path) -> str:
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise StudentError(
            f"{path.name} has {size:,} bytes; at most {MAX_BYTES:,} are read",
            "Clear the outputs that hold pictures or data.",
        )
    raw = path.read_bytes()
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw.decode("utf-16", "replace")
    return raw.decode("utf-8-sig", "replace")
