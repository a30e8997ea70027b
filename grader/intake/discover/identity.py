"""Ids of students: unique in a class, the same in every run, safe as a file name on any system."""

from __future__ import annotations

import hashlib
import re
import unicodedata

MOST = 60  # characters; 240 bytes in UTF-8 at most, and a suffix has its place yet
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)", re.ASCII)  # names that Windows keeps for itself


def plain_id(label: str) -> str:
    """Lower case letters, digits, `.`, `_` and single `-`; two labels may come to the same."""
    text = unicodedata.normalize("NFC", unicodedata.normalize("NFKC", label).casefold())
    text = re.sub(r"[^\w.]+", "-", text)
    text = re.sub(r"-*\.[.-]*", ".", text).strip("-._")[:MOST].rstrip("-._")
    return f"{text}-x" if _RESERVED.fullmatch(text.split(".")[0]) else text or "student"


def own_id(label: str, person: str) -> str:
    """An id that only this person has, for two whose labels come to the same."""
    told = hashlib.sha256(person.encode("utf-8", "surrogateescape")).hexdigest()
    return f"{plain_id(label)[:MOST]}-{told[:8]}"
