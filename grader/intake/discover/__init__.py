"""Discovers a class: a folder, or a zip of one, -> who handed in what, and what is left out and why.

A layout is a module with `recognises` and `items`, and a line in `LAYOUTS`; the first layout that recognises
a folder reads it. What every layout has in common is decided here: which of two versions counts, what can be
no submission, and the ids of students.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from grader.errors import InstructorError
from grader.intake.discover import canvas, gradescope, moodle, nbgrader, plain, repository
from grader.intake.discover.identity import own_id, plain_id
from grader.intake.discover.interface import READ, Item, Layout, entries, fault, is_folder
from grader.intake.discover.unpack import unpack
from grader.records import HandedIn, LeftOut, Student
from grader.records.results import Layout as LayoutName

LAYOUTS: dict[LayoutName, Layout] = cast(
    "dict[LayoutName, Layout]",
    {
        "gradescope": gradescope,
        "moodle": moodle,
        "canvas": canvas,
        "nbgrader": nbgrader,
        "repository": repository,
        "plain": plain,
    },
)
_VAGUE = ("repository", "plain")


@dataclass(frozen=True)
class Submission:
    """One student's submission; ``place`` is its file or folder."""

    student: Student
    handed_in: HandedIn
    place: Path


@dataclass(frozen=True)
class Found:
    """The class that a folder holds; submissions in the order of their ids."""

    layout: LayoutName
    submissions: tuple[Submission, ...]
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()


def discover(path: Path, scratch: Path, assignment: str = "") -> Found:
    """Read the class at ``path``; files that are unpacked or put together go below ``scratch``.

    ``assignment`` names one of several, for layouts that hold several. Raises `InstructorError` where nothing
    can be graded.
    """
    root, left_out = _root(path, scratch)
    try:
        layout, folder = _layout(root, inner=root != path)
        found = list(LAYOUTS[layout].items(folder, assignment))
    except OSError as error:
        raise InstructorError(f"{path} cannot be read: {error}", "Check its permissions.") from None
    left = [*left_out, *(x for x in found if isinstance(x, LeftOut))]
    chosen = list(_chosen([x for x in found if isinstance(x, Item)], folder, left))
    submissions, notes = _named(chosen, layout, folder, scratch)
    if not submissions:
        reasons = "\n".join(f"  {x.path}: {x.reason}" for x in left[:10])
        raise InstructorError(
            f"{path}: no submission in it (read as {layout})" + (f":\n{reasons}" if reasons else ""),
            "Give the folder that holds one file or folder for each student.",
        )
    return Found(layout, submissions, tuple(left), notes)


def _root(path: Path, scratch: Path) -> tuple[Path, tuple[LeftOut, ...]]:
    if path.is_dir():
        return path, ()
    if path.is_file() and path.suffix.lower() == ".zip":
        return scratch / "class", unpack(path, scratch / "class")
    problem = "is neither a folder nor a zip" if path.exists() else "no such folder"
    raise InstructorError(f"{path}: {problem}", "Give the folder or zip that holds the class.")


def _layout(root: Path, inner: bool) -> tuple[LayoutName, Path]:
    """Return the layout and the folder in which it begins.

    Exports come within a folder of their own, and zips of folders do too.
    """
    name = _recognised(root)
    there = entries(root)
    if name in _VAGUE and len(there) == 1 and is_folder(there[0]):
        below = _recognised(there[0])
        within = [p for p in entries(there[0]) if is_folder(p) or p.suffix.lower() in READ]
        if below not in _VAGUE or (inner and len(within) > 1):
            return below, there[0]
    return name, root


def _recognised(folder: Path) -> LayoutName:
    return next(name for name, layout in LAYOUTS.items() if layout.recognises(folder))


# --- which of several counts --------------------------------------------------------------------


def _chosen(items: list[Item], folder: Path, left: list[LeftOut]) -> Iterator[Item]:
    """Yield one item for each person; append items that do not count to ``left``."""
    by_person: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        by_person[item.person].append(item)
    for versions in by_person.values():
        latest = list(_latest(versions, folder, left))
        usable = [item for item in latest if not _faulty(item, folder, left)]
        if len(usable) > 1 and any(is_folder(place) for x in usable for place, _ in x.parts):
            left += [_ambiguous(x, usable, folder) for x in usable]
        elif usable:
            yield replace(
                max(usable, key=lambda x: x.rank or ("", 0)),
                parts=tuple(part for x in usable for part in x.parts),
                late=any(x.late for x in usable),
            )


def _latest(versions: list[Item], folder: Path, left: list[LeftOut]) -> Iterator[Item]:
    """Yield the last version of each file; append all others, and versions without an order, to ``left``."""
    slots: dict[str, list[Item]] = defaultdict(list)
    for item in versions:
        slots[item.slot].append(item)
    for same in slots.values():
        if len(same) > 1 and any(item.rank is None for item in same):
            left += [_ambiguous(item, same, folder) for item in same]
            continue
        last = max(same, key=lambda x: x.rank or ("", 0))
        yield last
        for item in same:
            if item is not last:
                later = f"handed in again later: {_path(last, folder)} counts"
                left.append(LeftOut(path=_path(item, folder), reason=later))


def _ambiguous(item: Item, same: list[Item], folder: Path) -> LeftOut:
    others = ", ".join(_path(x, folder) for x in same if x is not item)[:500]
    return LeftOut(
        path=_path(item, folder),
        reason=f"{item.name[:200]} handed in twice (also {others}), and nothing says which is the later one: "
        "remove one",
    )


def _faulty(item: Item, folder: Path, left: list[LeftOut]) -> bool:
    reasons = [reason for place, _ in item.parts if (reason := fault(place))]
    if reasons:
        left.append(LeftOut(path=_path(item, folder), reason=reasons[0]))
    return bool(reasons)


def _path(item: Item, folder: Path) -> str:
    place = item.parts[0][0]
    return place.relative_to(folder).as_posix() if place != folder else place.resolve().name


# --- who it is ----------------------------------------------------------------------------------


def _named(
    items: Iterable[Item], layout: LayoutName, folder: Path, scratch: Path
) -> tuple[tuple[Submission, ...], tuple[str, ...]]:
    alike: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        alike[plain_id(item.label)].append(item)
    found: list[Submission] = []
    notes: list[str] = []
    for name, same in alike.items():
        for item in same:
            own = name if len(same) == 1 else own_id(item.label, item.person)
            found.append(_submission(item, own, layout, folder, scratch))
        if len(same) > 1:
            shown = " and ".join(
                f"{_path(x, folder)} ({s.student.id})" for x, s in zip(same, found[-len(same) :], strict=True)
            )
            notes.append(f"names that read the same, graded as different students: {shown}")
    return tuple(sorted(found, key=lambda x: x.student.id)), tuple(notes)


def _submission(item: Item, own: str, layout: LayoutName, folder: Path, scratch: Path) -> Submission:
    return Submission(
        Student(id=own, name=item.name[:1_000] or own, email=item.email),
        HandedIn(
            layout=layout,
            path=_path(item, folder),
            submitted_at=item.submitted_at,
            late=item.late,
            keys=item.keys,
        ),
        item.parts[0][0] if len(item.parts) == 1 else _together(item, scratch / "together" / own),
    )


def _together(item: Item, target: Path) -> Path:
    """Copy the files of one submission into the folder ``target``, under their original names."""
    target.mkdir(parents=True)
    for place, name in item.parts:
        safe = name if name not in ("", ".", "..") and "/" not in name else place.name
        shutil.copyfile(place, target / safe)
    return target
