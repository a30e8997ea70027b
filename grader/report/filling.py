"""What filling in a platform's exported CSV has in common: reading it as it is, and writing it back.

Delimiter, byte order mark and line ends stay; a cell that is not filled in stays as it was.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from grader.errors import InstructorError
from grader.report import words
from grader.report.interface import Context, line
from grader.report.names import file_name


@dataclass
class Sheet:
    """A CSV file as rows of cells, and how it was written."""

    rows: list[list[str]]
    delimiter: str
    newline: str
    mark: bool

    @property
    def head(self) -> list[str]:
        """The names of the columns."""
        return self.rows[0]

    def column(self, *names: str) -> int | None:
        """The place of the first of these columns."""
        found = [self.head.index(name) for name in names if name in self.head]
        return found[0] if found else None

    def text(self) -> bytes:
        """Return the file with its changed cells, written as it was."""
        stream = io.StringIO()
        writer = csv.writer(stream, delimiter=self.delimiter, lineterminator=self.newline)
        writer.writerows(self.rows)
        return stream.getvalue().encode("utf-8-sig" if self.mark else "utf-8")


def read(context: Context, platform: str, first: str) -> Sheet:
    """The exported file. Raises `InstructorError` where there is none, or it is no CSV of the platform."""
    if context.gradebook is None:
        raise InstructorError(
            f"{platform}'s format fills in the file that {platform} exported, and none was named",
            f"Export it there and add --gradebook FILE; see the guide to {platform}.",
        )
    return parse(_bytes(context.gradebook), str(context.gradebook), platform, first)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InstructorError(f"{path} cannot be read: {error}", "Check the path.") from None


def parse(raw: bytes, name: str, platform: str, first: str) -> Sheet:
    """``first`` is what the first column is called where headers are not localised."""
    try:
        text = raw.decode("utf-8-sig")
        head = text.split("\n", 1)[0]
        delimiter = max((",", ";", "\t"), key=head.count)
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InstructorError(
            f"{name} is no CSV in UTF-8: {error}", f"Export it from {platform} again, as CSV."
        ) from None
    if len(rows) < 2 or len(rows[0]) < 3 or (first and rows[0][0].strip() != first):
        raise InstructorError(
            f"{name} does not look like {platform}'s export", f"Export it from {platform} again, as CSV."
        )
    short = next((n for n, row in enumerate(rows, 1) if row and len(row) != len(rows[0])), None)
    if short:
        raise InstructorError(
            f"{name}: row {short} has {len(rows[short - 1])} cells, the head {len(rows[0])}",
            f"Export it from {platform} again; some editors drop empty cells.",
        )
    newline = "\r\n" if "\r\n" in text else "\n"
    return Sheet([row for row in rows if row], delimiter, newline, raw.startswith(b"\xef\xbb\xbf"))


def scaled(points: float, max_points: float, possible: float, comma: bool = False) -> str:
    """Points on the platform's own scale, with two decimals."""
    whole, part, theirs = (Decimal(str(x)) for x in (max_points, points, possible))
    text = f"{words.exact(part * theirs / whole) if whole else 0:.2f}"
    return text.replace(".", ",") if comma else text


def number(text: str) -> float | None:
    """A number as spreadsheets write it, with a point or a comma."""
    try:
        return float(text.strip().replace(",", "."))
    except ValueError:
        return None


def packed(files: dict[str, str]) -> bytes:
    """A zip of text files; the same files give the same bytes."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in sorted(files.items()):
            safe = "/".join(file_name(part) for part in name.split("/"))
            info = zipfile.ZipInfo(safe, (2000, 1, 1, 0, 0, 0))
            info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(info, text.encode("utf-8", "replace"))
    return stream.getvalue()


def remarks(lines: Iterable[str]) -> str:
    """What was filled in and what was not, one sentence a line."""
    return "".join(f"{line(text, 400)}\n" for text in lines)
