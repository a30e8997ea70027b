"""The layout of a course repository: one student's, checked out by CI."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from grader.intake.discover.interface import Item
from grader.records import LeftOut


def recognises(folder: Path) -> bool:
    """Whether the folder is a checkout; a worktree or submodule has a file `.git` in place of the folder."""
    return (folder / ".git").exists()


def items(folder: Path, assignment: str) -> Iterator[Item | LeftOut]:
    """Yield the whole checkout as the only submission."""
    name = folder.resolve().name
    yield Item(name, name, name, ((folder, name),))
