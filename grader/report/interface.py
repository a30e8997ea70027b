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


def plain(text: str) -> str:
    """Text that came from a submission, safe to print: no control, format or lone surrogate."""
    return "".join(
        c if c in _LINES or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Cn") else "�"
        for c in text
    )
