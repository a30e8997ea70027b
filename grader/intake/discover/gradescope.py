"""The layout of a Gradescope export: `assignment_<id>_export/submission_<id>/…` with metadata.

`submission_metadata.yml` maps folders to `:submitters:` (several for a group) and `:created_at:`; Ruby writes
the file, so its keys begin with a colon and its tags are unknown to other programs.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from grader.errors import InstructorError
from grader.intake.discover.interface import Item, entries, is_folder
from grader.records import LeftOut

METADATA = "submission_metadata.yml"


def recognises(folder: Path) -> bool:
    """Whether the folder holds Gradescope's metadata."""
    return (folder / METADATA).is_file()


def items(folder: Path, assignment: str) -> Iterator[Item | LeftOut]:
    """Yield each folder once for each of its submitters; leave out folders without metadata or submitters.

    Raises `InstructorError` for metadata that cannot be read.
    """
    listed = _metadata(folder / METADATA)
    for name, about in sorted(listed.items()):
        if not is_folder(folder / name):
            yield LeftOut(path=name, reason=f"named in {METADATA}, but there is no such folder")
            continue
        about = about if isinstance(about, dict) else {}
        submitters = _get(about, "submitters")
        people = [s for s in submitters if isinstance(s, dict)] if isinstance(submitters, list) else []
        if not people:
            yield LeftOut(path=name, reason=f"{METADATA} names no student for it")
        for person in people:
            yield _item(folder / name, about, person)
    for place in entries(folder):
        if place.name not in listed and place.name != METADATA:
            yield LeftOut(path=place.name, reason=f"not named in {METADATA}")


def _item(place: Path, about: dict[Any, Any], person: dict[Any, Any]) -> Item:
    name, sid, email = (str(_get(person, key) or "")[:200] for key in ("name", "sid", "email"))
    created = _created(_get(about, "created_at"))
    return Item(
        person=sid or email or name or place.name,
        label=f"{name or place.name} {sid or email.split('@')[0]}",
        name=name or place.name,
        parts=((place, place.name),),
        email=email,
        submitted_at=created,
        keys={"submission": place.name.removeprefix("submission_"), "sid": sid},
        rank=(created, 0) if created else None,
    )


def _get(table: dict[Any, Any], key: str) -> Any:
    return table.get(f":{key}", table.get(key))


def _created(value: Any) -> str:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip().replace(" UTC", "+00:00").replace(" Z", "+00:00"))
        except ValueError:
            return ""
    if not isinstance(value, datetime):
        return ""
    aware = value if value.tzinfo else value.replace(tzinfo=UTC)
    return aware.astimezone(UTC).isoformat(timespec="microseconds")


def _metadata(file: Path) -> dict[str, Any]:
    """Read the metadata by name of folder; entries that are paths are dropped. Raises `InstructorError`."""
    import yaml

    class Loader(yaml.SafeLoader):
        """Reads a value with one of Ruby's tags as a plain value."""

    def untagged(loader: Any, suffix: str, node: Any) -> Any:
        if isinstance(node, yaml.MappingNode):
            return loader.construct_mapping(node, deep=True)
        if isinstance(node, yaml.SequenceNode):
            return loader.construct_sequence(node, deep=True)
        return loader.construct_scalar(node)

    Loader.add_multi_constructor("!", untagged)
    try:
        table = yaml.load(file.read_text(encoding="utf-8-sig", errors="replace"), Loader)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise InstructorError(
            f"{file.name} cannot be read: {str(error)[:300]}", "Export the submissions from Gradescope again."
        ) from None
    table = table if isinstance(table, dict) else {}
    return {str(k): v for k, v in table.items() if str(k) == Path(str(k)).name and str(k) not in ("", "..")}
