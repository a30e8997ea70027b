"""What every report format is: a function from a stored grade to text."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from grader.records import Grade


@dataclass(frozen=True)
class Screen:
    """Where text will be read: its width in characters, and whether it may have colour."""

    width: int = 100
    colour: bool = False


Render = Callable[[Grade, Screen], str]

_LINES = "\n\t"
_UNSAFE = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def plain(text: str) -> str:
    """Text that came from a submission, safe to print: no control, format or lone surrogate.

    Of control characters the line feed and the tab are left.
    """
    return "".join(c if c in _LINES or unicodedata.category(c) not in _UNSAFE else "�" for c in text)


def line(text: str, most: int = 200) -> str:
    """Text that came from a submission, on one line of bounded length: nobody adds lines of their own."""
    words = " ".join(plain(text).split())
    return words if len(words) <= most else words[: most - 1] + "…"
