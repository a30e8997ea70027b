"""Makes ids of students: unique in a class, the same in every run, safe as a file name on any system."""

from __future__ import annotations

import hashlib
import re
import unicodedata

MOST = 60  # characters; at most 240 bytes in UTF-8, which leaves room for a suffix
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)", re.ASCII)  # names that Windows keeps for itself


def plain_id(label: str) -> str:
    """Make an id of lower case letters, digits, `.`, `_` and single `-`; two labels may give the same id."""
    text = unicodedata.normalize("NFC", unicodedata.normalize("NFKC", label).casefold())
    text = re.sub(r"[^\w.]+", "-", text)
    text = re.sub(r"-*\.[.-]*", ".", text).strip("-._")[:MOST].rstrip("-._")
    return f"{text}-x" if _RESERVED.fullmatch(text.split(".")[0]) else text or "student"


def own_id(label: str, person: str) -> str:
    """Make an id that only ``person`` has, for two people whose labels give the same plain id."""
    digest = hashlib.sha256(person.encode("utf-8", "surrogateescape")).hexdigest()
    return f"{plain_id(label)[:MOST]}-{digest[:8]}"
