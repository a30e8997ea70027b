"""Hostile zips, made on the fly: each is refused, and nothing is written outside the target."""

from __future__ import annotations

import copy
import stat
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from grader.errors import GraderError, StudentError, Unsupported
from grader.intake.archive import MAX_MEMBER, MAX_MEMBERS, extract

Fill = Callable[[zipfile.ZipFile], None]


@pytest.fixture
def sealed(tmp_path: Path) -> Iterator[Path]:
    """A folder in which only `box/target` may change while a test runs."""
    (tmp_path / "x").write_text("untouched")
    (tmp_path / "box").mkdir()
    before = outside(tmp_path)
    yield tmp_path
    assert outside(tmp_path) == before
    assert (tmp_path / "x").read_text() == "untouched"


def outside(folder: Path) -> set[str]:
    """Every path that is neither the zip itself nor below the target."""
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    return {n for n in names if not n.startswith("box/target")} - {"a.zip"}


def make(folder: Path, fill: Fill) -> Path:
    path = folder / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        fill(archive)
    return path


def refused(path: Path, why: str, kind: type[GraderError] = StudentError) -> GraderError:
    """Unpacks below the zip's folder and returns the error that this must end in."""
    target = path.parent / "box" / "target"
    with pytest.raises(kind, match=why) as caught:
        extract(path, target)
    assert all(file.is_dir() or file.is_file() for file in target.rglob("*"))
    assert not any(file.is_symlink() for file in target.rglob("*"))
    return caught.value


def patched(path: Path, field: struct.Struct, at: int, value: int, *, local: bool = True) -> None:
    """Overwrites a field ``at`` an offset in the first central header; a local one has it 2 bytes before."""
    raw = bytearray(path.read_bytes())
    field.pack_into(raw, raw.index(b"PK\x01\x02") + at, value)
    if local:
        field.pack_into(raw, raw.index(b"PK\x03\x04") + at - 2, value)
    path.write_bytes(raw)


U16, U32 = struct.Struct("<H"), struct.Struct("<I")
FLAGS, SIZE = 8, 24  # offsets in the central directory


def test_ordinary_zip(sealed: Path) -> None:
    """Files, folders and Windows separators come out under the target."""

    def fill(archive: zipfile.ZipFile) -> None:
        archive.mkdir("sub")
        archive.writestr("sub/a.ipynb", "one")
        archive.writestr("deep\\down\\b.py", "two")
        archive.writestr("./empty.txt", "")

    target = sealed / "box" / "target"
    extract(make(sealed, fill), target)
    files = {p.relative_to(target).as_posix(): p.read_text() for p in target.rglob("*") if p.is_file()}
    assert files == {"sub/a.ipynb": "one", "deep/down/b.py": "two", "empty.txt": ""}


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "sub/../../x",
        "..",
        "/tmp/x",
        "//server/x",
        "..\\x",
        "sub\\..\\..\\x",
        "\\x",
        "\\\\server\\x",
        "C:\\x",
        "C:/x",
        "C:x",
        "../",
        ".",
    ],
)
def test_names_that_lead_outside(sealed: Path, name: str) -> None:
    """No member is written above or beside the target, in the manner of any system."""

    def fill(archive: zipfile.ZipFile) -> None:
        archive.writestr("a.py", "fine")
        archive.writestr(name, "hostile")

    error = refused(make(sealed, fill), "no plain file inside the archive")
    assert repr(name) in error.message
    assert error.hint
    assert list((sealed / "box" / "target").iterdir()) == []


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK])
def test_special_files(sealed: Path, kind: int) -> None:
    """Links, pipes, devices and sockets are refused, whatever they point to."""

    def fill(archive: zipfile.ZipFile) -> None:
        info = zipfile.ZipInfo("link")
        info.create_system = 3
        info.external_attr = (kind | 0o777) << 16
        archive.writestr(info, "../../x")
        archive.writestr("link/x", "written through the link")

    refused(make(sealed, fill), "'link' is no plain file")
    assert list((sealed / "box" / "target").iterdir()) == []


def test_name_with_nul(sealed: Path) -> None:
    """A name that a C program would read as a shorter one is refused."""
    path = make(sealed, lambda archive: archive.writestr("a.pyX.txt", "hostile"))
    path.write_bytes(path.read_bytes().replace(b"a.pyX.txt", b"a.py\0.txt"))
    refused(path, "no plain file inside the archive")


def test_too_many_members(sealed: Path) -> None:
    """3,000 members are counted before the first is written."""

    def fill(archive: zipfile.ZipFile) -> None:
        for number in range(3_000):
            archive.writestr(f"{number}.txt", "")

    assert MAX_MEMBERS < 3_000
    refused(make(sealed, fill), "3,000 files; at most 2,000", Unsupported)
    assert list((sealed / "box" / "target").iterdir()) == []


def test_bomb(sealed: Path) -> None:
    """60 members over the same 10 MB of zeros: refused by the declared total, unwritten."""

    def fill(archive: zipfile.ZipFile) -> None:
        archive.writestr("0.txt", bytes(10_000_000))
        for number in range(1, 60):
            again = copy.copy(archive.filelist[0])
            again.filename = f"{number}.txt"
            archive.filelist.append(again)

    path = make(sealed, fill)
    assert path.stat().st_size < 100_000
    refused(path, "unpacks to 600,000,000 bytes; at most 500,000,000", Unsupported)
    assert list((sealed / "box" / "target").iterdir()) == []


def test_one_large_member(sealed: Path) -> None:
    """A single member over its limit is refused before a byte of it is written."""
    path = make(sealed, lambda archive: archive.writestr("a.txt", bytes(1_000_000)))
    patched(path, U32, SIZE, MAX_MEMBER + 1)
    refused(path, "'a.txt' has 200,000,001 bytes; at most 200,000,000", Unsupported)
    assert list((sealed / "box" / "target").iterdir()) == []


@pytest.mark.parametrize("local", [True, False])
def test_declared_size_lies(sealed: Path, local: bool) -> None:
    """A member that says 100 bytes and holds 5 million yields no more than it said."""
    path = make(sealed, lambda archive: archive.writestr("a.txt", bytes(5_000_000)))
    patched(path, U32, SIZE, 100, local=local)
    refused(path, "not a readable zip|larger than the archive says")
    assert sum(f.stat().st_size for f in (sealed / "box" / "target").rglob("*")) <= 100


@pytest.mark.parametrize(
    "names", [("a.py", "a.py"), ("a", "a/b"), ("a/b", "a"), ("a/b", "a\\b"), ("a", "./a")]
)
@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_duplicates(sealed: Path, names: tuple[str, str]) -> None:
    """Two members for one file: which one is graded must not depend on their order."""

    def fill(archive: zipfile.ZipFile) -> None:
        for name in names:
            archive.writestr(name, name)

    refused(make(sealed, fill), "not a readable zip")


def test_encrypted(sealed: Path) -> None:
    """A zip with a password cannot be read, and is told so."""
    path = make(sealed, lambda archive: archive.writestr("a.py", "x = 1"))
    patched(path, U16, FLAGS, 1)
    refused(path, "encrypted|password")


def test_truncated(sealed: Path) -> None:
    """An upload that broke off, at whatever place, is the student's error."""
    whole = make(sealed, lambda archive: archive.writestr("a.py", "x = 1\n" * 100)).read_bytes()
    for length in range(0, len(whole), 7):
        path = sealed / "a.zip"
        path.write_bytes(whole[:length])
        refused(path, "not a readable zip")
        (sealed / "box" / "target").rmdir()


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, zipfile.ZIP_STORED]
)
def test_corrupt_data(sealed: Path, method: int) -> None:
    """Damaged bytes inside a member are the student's error, however it is packed."""
    path = sealed / "a.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("a.py", "".join(f"x{n} = {n * n}\n" for n in range(500)))
    raw = bytearray(path.read_bytes())
    start = raw.index(b"a.py") + 20
    raw[start : start + 60] = b"\xff" * 60
    path.write_bytes(raw)
    refused(path, "not a readable zip")


def test_unknown_compression(sealed: Path) -> None:
    """A method that Python does not unpack is named as unreadable."""
    path = make(sealed, lambda archive: archive.writestr("a.py", "x = 1"))
    patched(path, U16, 10, 99)
    refused(path, "not a readable zip")


def test_long_names(sealed: Path) -> None:
    """A name that no file system takes is refused."""
    refused(make(sealed, lambda archive: archive.writestr("a" * 300, "")), "not a readable zip")


def test_hostile_name_in_the_message(sealed: Path) -> None:
    """The message quotes a name with its control characters escaped, and not at any length."""
    name = "../\x1b[31m" + "a" * 500
    error = refused(make(sealed, lambda archive: archive.writestr(name, "")), "no plain file")
    assert "\x1b" not in error.message
    assert len(error.message) < 200


@pytest.mark.parametrize(
    ("names", "why", "kind"),
    [
        (["a/" * 16 + "b.py"], "no plain file", StudentError),
        (["x" * 200 + "/" + "y" * 200 + "/" + "z" * 700], "no plain file", StudentError),
        ([f"{n}/{n}/b.py" for n in range(1_100)], "more than 2,000 folders", Unsupported),
    ],
    ids=["deep", "long", "wide"],
)
def test_a_forest_of_folders_is_refused(
    sealed: Path, names: list[str], why: str, kind: type[GraderError]
) -> None:
    """Folders cost more than the bytes that name them."""
    path = make(sealed, lambda archive: [archive.writestr(name, "x") for name in names] and None)
    refused(path, why, kind)
