"""Opens a stranger's zip without paying for what the zip claims to hold.

Python reads the whole directory of a zip when it opens the zip, and inflates bzip2 and LZMA without a limit
however little is asked for. Directory and methods are therefore checked first. See the ZIP file format
specification (APPNOTE), 4.3.12 and 4.4.5.
"""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

MAX_DIRECTORY = 1_000_000  # bytes; 2,000 members with names of 300 characters take 700,000
_SIZE = 5  # index of the directory's size in what `zipfile` reads of the record at the end


def open_zip(path: Path, most: int = MAX_DIRECTORY) -> zipfile.ZipFile:
    """Open the archive, if its directory has at most ``most`` bytes and its members are stored or deflated.

    Raises `zipfile.BadZipFile` for anything else, and whatever `zipfile` raises.
    """
    with path.open("rb") as file:
        try:
            end = zipfile._EndRecData(file)  # type: ignore[attr-defined] # what ZipFile itself goes by
        except (struct.error, OverflowError, ValueError):
            end = None
    if end is None:
        raise zipfile.BadZipFile("File is not a zip file")
    if end[_SIZE] > most:
        raise zipfile.BadZipFile(f"its directory has {end[_SIZE]:,} bytes; at most {most:,} are read")
    archive = zipfile.ZipFile(path)
    for member in archive.infolist():
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            archive.close()
            raise zipfile.BadZipFile(f"{member.filename[:80]!r} is neither stored nor deflated")
    return archive
