"""Loads files -> `Program`: cells of source with their saved output, or the path of a saved model.

Everything is read as text or bytes; nothing is executed and no model file is opened here. Notebooks of every
nbformat, scripts, Markdown, saved models, and a folder or zip with one of these.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grader.errors import InstructorError, StudentError, Unsupported
from grader.intake import choice, parcel
from grader.intake.archive import extract
from grader.intake.choice import MAX_BYTES
from grader.intake.parcel import PERSON, Parcel
from grader.intake.readers import MAX_CELLS, markdown, notebook, script
from grader.records import Note, Program

MODEL_SUFFIXES = (".keras", ".h5", ".hdf5", ".json", ".yaml", ".yml")


@dataclass(frozen=True)
class Loaded:
    """A program, and the private folder of other files that it may import or load, if there are any."""

    program: Program
    beside: Path | None = None


def load(path: Path, scratch: Path) -> Loaded:
    """Copy the submission at ``path`` to a private folder below ``scratch``, and load it from there.

    Raises `InstructorError` when there is no such file, `StudentError` for what is in the file, `Unsupported`
    for what exceeds grader's bounds.
    """
    if not path.exists():
        raise InstructorError(f"{path}: no such file or folder", "Check the path.")
    if not path.is_file() and not path.is_dir():
        raise StudentError(f"{path.name} is neither a file nor a folder", "Hand in a plain file.")
    scratch.mkdir(parents=True, exist_ok=True)
    private = Path(tempfile.mkdtemp(prefix="submission-", dir=scratch))
    target = private / "copy" / path.resolve().name
    if path.is_dir():
        return _of_parcel(parcel.of_folder(path, target, path.name), path.name)
    if path.suffix.lower() != ".zip":
        return _of_parcel(parcel.of_file(path, target.parent), path.name)
    _check_zip(path)
    extract(path, private / "unpacked")
    return _of_parcel(parcel.of_folder(private / "unpacked", target, path.name, "zip"), path.name)


def _check_zip(path: Path) -> None:
    if (size := path.stat().st_size) > parcel.MAX_SEEN_BYTES:
        raise Unsupported(
            f"{path.name} has {size:,} bytes; at most {parcel.MAX_SEEN_BYTES:,} are read",
            PERSON,
        )


def _of_parcel(handed_in: Parcel, name: str) -> Loaded:
    place, digest = handed_in.place, handed_in.digest
    if place.is_file():
        return Loaded(_program(place, name, digest))
    whole = handed_in.kind == "folder" and _is_saved_model(place)
    chosen, notes = (place, ()) if whole else _chosen(handed_in, name)
    program = _program(chosen, name, digest)
    program = program.model_copy(update={"notes": (*handed_in.notes, *notes)})
    return Loaded(program, None if program.model_file else place)


def _chosen(handed_in: Parcel, name: str) -> tuple[Path, tuple[Note, ...]]:
    """Choose the submission's file; a person must look where files beyond grader's bounds may hold it."""
    try:
        return choice.choose(handed_in.place, handed_in.files, name)
    except StudentError as error:
        if not handed_in.beyond:
            raise
        raise Unsupported(f"{error.message}; {handed_in.beyond}", PERSON) from None


def _is_saved_model(path: Path) -> bool:
    return path.is_dir() and (path / "saved_model.pb").is_file()


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
        raise Unsupported(f"{path.name} has {len(cells):,} cells; at most {MAX_CELLS:,} are read", PERSON)
    if not any(c.kind == "code" and c.source.strip() for c in cells):
        raise StudentError(f"{path.name} holds no code", "Hand in the file that builds the network.")
    return Program(**common, cells=tuple(cells), **extra)


def _text(path: Path) -> str:
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise Unsupported(
            f"{path.name} has {size:,} bytes; at most {MAX_BYTES:,} are read",
            f"{PERSON} It becomes smaller when outputs that hold pictures or data are cleared.",
        )
    raw = path.read_bytes()
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw.decode("utf-16", "replace")
    return raw.decode("utf-8-sig", "replace")
