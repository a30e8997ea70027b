"""Mutations that keep what a reader checks first: JSON stays JSON, a zip stays a zip.

Plain mutation of bytes breaks the envelope nearly every time, and nothing behind it is ever tried. About one
in five mutations is plain all the same, since the envelope is untrusted too.
"""

from __future__ import annotations

import io
import json
import random
import warnings
import zipfile
from collections.abc import Callable
from typing import Any

import seeds

Mutator = Callable[[bytes, int, int], bytes]
Plain = Callable[[bytes, int], bytes]  # atheris.Mutate

_VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 3, 28, 255, 2.5, -0.0, 1e-320, 1e308, float("inf"), float("nan"), 10**6,
    10**12, 2**63, -(2**63), 10**30, "", " ", "a", "a" * 300, "\ud800", "\x1b[31m", "\u202e", "\0", "1", [],
    {}, [[]], [None], [1], [1, 1], [0, 0, 0], [None, 28, 28, 1], [None, None, None, 1], ["a", 0, 0], {"a": 1},
)  # fmt: skip
_NAMES = (
    "", "/", "a", "..", "../a.py", "/etc/a.py", "C:a.py", "a\\b.py", "a/" * 100 + "b.py", "a.py", "b.ipynb",
    "README.md", "model.keras", "model.h5", "model.json", "saved_model.pb", "config.json",
    "__MACOSX/a.py", ".hidden/a.py", "a" * 300 + ".py", "ü.py", "a\x00b.py", "a\nb.py", "CON", "dir/",
)  # fmt: skip
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


def mutator(target: str, plain: Plain) -> Mutator | None:
    """How inputs of this target are changed; None for libFuzzer's own way."""
    change = _CHANGES.get(target)
    if change is None:
        return None

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        chance = random.Random(seed)
        if chance.random() < 0.2:
            return plain(data, most)
        try:
            changed = change(data, chance, lambda part: plain(part, max(64, len(part) + 64)))
        except Exception:  # not of the form that this mutator knows
            return plain(data, most)
        return changed if len(changed) <= most else plain(data, most)

    return mutate


Inner = Callable[[bytes], bytes]


# --- JSON ---------------------------------------------------------------------------------------


def _json(data: bytes, chance: random.Random, plain: Inner) -> bytes:
    root = [json.loads(data)]
    for _ in range(chance.choice((1, 1, 1, 2, 3, 5))):
        _change_node(root, chance, plain)
    return json.dumps(root[0], ensure_ascii=chance.random() < 0.7).encode("utf-8", "surrogatepass")


def _places(root: list[Any]) -> list[tuple[Any, Any]]:
    """Every (container, key) of the tree."""
    found: list[tuple[Any, Any]] = [(root, 0)]
    for holder, key in found:  # grows while it is walked
        value = holder[key]
        if isinstance(value, dict):
            found += [(value, name) for name in value]
        elif isinstance(value, list):
            found += [(value, index) for index in range(len(value))]
        if len(found) > 3_000:
            break
    return found


def _change_node(root: list[Any], chance: random.Random, plain: Inner) -> None:
    places = _places(root)
    holder, key = chance.choice(places)
    value = holder[key]
    match chance.randrange(9):
        case 0:
            holder[key] = chance.choice(_VALUES)
        case 1 if isinstance(value, bool | int | float):
            holder[key] = chance.choice((value + 1, value - 1, -value, value * 1000, value / 2, str(value)))
        case 1 if isinstance(value, str):
            holder[key] = plain(value.encode("utf-8", "replace")).decode("utf-8", "replace")
        case 2 if holder is not root:
            del holder[key]
        case 3:
            other, at = chance.choice(places)
            holder[key] = json.loads(json.dumps(other[at]))
        case 4 if isinstance(holder, list) and holder is not root:
            holder[key:key] = [json.loads(json.dumps(value))] * chance.choice((1, 1, 2, 50))
        case 5 if isinstance(holder, dict):
            holder[chance.choice(seeds.WORDS)] = holder.pop(key)
        case 6:
            holder[key] = chance.choice(seeds.WORDS)
        case 7:
            for _ in range(chance.choice((1, 1, 2, 20))):
                holder[key] = [holder[key]] if chance.random() < 0.5 else {"config": holder[key]}
        case 8 if isinstance(value, dict):
            value[chance.choice(seeds.WORDS)] = chance.choice(_VALUES)
        case _:
            holder[key] = chance.choice(_VALUES)


# --- containers ---------------------------------------------------------------------------------


def _keras(data: bytes, chance: random.Random, plain: Inner) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        config = archive.read("config.json")
    return seeds.zip_of({"config.json": _json(config, chance, plain)})


def _hdf5(data: bytes, chance: random.Random, plain: Inner) -> bytes:
    begin, end = data.index(b'{"'), data.rindex(b"}") + 1
    if chance.random() < 0.5:  # the file around the JSON
        around = plain(data[:begin])
        return around + data[begin:]
    return seeds.hdf5_of(_json(data[begin:end], chance, plain).decode("utf-8", "replace"))


def _savedmodel(data: bytes, chance: random.Random, plain: Inner) -> bytes:
    begin, end = data.index(b'{"'), data.rindex(b"}") + 1
    while True:  # several documents may follow one another: take the first
        try:
            json.loads(data[begin:end])
            break
        except json.JSONDecodeError as error:
            if error.msg != "Extra data":
                raise
            end = begin + len(data[begin:end].decode()[: error.pos].encode())
    text = _json(data[begin:end], chance, plain)
    for _ in range(chance.choice((1, 2, 3, 9))):
        text = seeds.field(chance.choice((1, 2, 15)), text)
    return text


def _zip(data: bytes, chance: random.Random, plain: Inner) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(info.filename, archive.read(info)[:50_000]) for info in archive.infolist()[:50]]
    names = list(_NAMES) + [name for name, _ in members]
    for _ in range(chance.choice((1, 1, 2, 4))):
        at = chance.randrange(len(members)) if members else 0
        match chance.randrange(5) if members else 0:
            case 0:
                members.append((chance.choice(names), chance.choice(members)[1] if members else b"x = 1"))
            case 1:
                members[at] = (chance.choice(names), members[at][1])
            case 2:
                members[at] = (members[at][0], plain(members[at][1]))
            case 3:
                del members[at]
            case _:
                members.append(members[at])
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w") as archive:
        warnings.simplefilter("ignore")  # duplicates are meant
        for name, content in members:
            info = zipfile.ZipInfo(name)
            info.external_attr = chance.choice((0, 0, 0, 0o100644, 0o120777, 0o010644, 0o040755)) << 16
            archive.writestr(info, content, chance.choice(_METHODS))
    return plain(file.getvalue()) if chance.random() < 0.3 else file.getvalue()


# --- text ---------------------------------------------------------------------------------------


def _lines(data: bytes, chance: random.Random, plain: Inner) -> bytes:
    lines = data.split(b"\n")
    for _ in range(chance.choice((1, 1, 2, 4))):
        at = chance.randrange(len(lines))
        match chance.randrange(6):
            case 0:
                lines.insert(at, chance.choice(lines))
            case 1 if len(lines) > 1:
                del lines[at]
            case 2:
                lines[at] = plain(lines[at])
            case 3:
                lines.insert(at, chance.choice(seeds.WORDS).encode())
            case 4:
                lines[at : at + 1] = [lines[at]] * chance.choice((2, 10, 1_000))
            case _:
                cut = chance.randrange(len(lines[at]) + 1)
                piece = lines[at][cut : cut + chance.randrange(1, 9)] or b" "
                lines[at] = lines[at][:cut] + piece * chance.choice((2, 30, 3_000)) + lines[at][cut:]
    return b"\n".join(lines)


_CHANGES: dict[str, Callable[[bytes, random.Random, Inner], bytes]] = {
    "notebook": _json,
    "architecture": _json,
    "description": _json,
    "keras": _keras,
    "hdf5": _hdf5,
    "savedmodel": _savedmodel,
    "zip": _zip,
    "script": _lines,
    "markdown": _lines,
    "claims": _lines,
    "rubric": _lines,
    "yaml": _lines,
}
