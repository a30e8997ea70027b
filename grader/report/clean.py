"""The one cleaner of text that came from a submission, or from a file that others may have touched.

A writer of reports takes `CleanGrade` or `CleanResults`, which only `clean` makes: every text in them is
without control and format characters, whatever field it stands in. What else a format needs (one line,
no Markdown, no formula) is the format's own matter.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any, NewType, overload

from pydantic import BaseModel

from grader.records import ClassResults, Grade

Clean = NewType("Clean", str)
CleanGrade = NewType("CleanGrade", Grade)
CleanResults = NewType("CleanResults", ClassResults)

_COMMAND = re.compile(r"^([^\S\n]*)(?=::|##)", re.MULTILINE)
_LINES = "\n\t"
_UNSAFE = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def plain(text: str) -> Clean:
    """Text that came from a submission, safe to print: no control, format or lone surrogate.

    Of control characters the line feed and the tab are left.
    """
    return Clean("".join(c if c in _LINES or unicodedata.category(c) not in _UNSAFE else "�" for c in text))


def line(text: str, most: int = 200) -> Clean:
    """Text that came from a submission, on one line of bounded length: nobody adds lines of their own."""
    words = " ".join(plain(text).split())
    return Clean(words if len(words) <= most else words[: most - 1] + "…")


def inert(log: str) -> Clean:
    """A report for a terminal, which may be a log: no line that a CI runner takes for a command.

    GitHub's takes lines that begin with `::` or `##[`, Azure's and TeamCity's those with `##`.
    """
    return Clean(_COMMAND.sub(r"\1| ", log))


def marked(text: str, mark: str) -> Clean:
    """Text of several lines that came from a submission, each line behind a mark of ours."""
    return Clean("\n".join(mark + words for words in plain(text).splitlines()))


@overload
def clean(record: Grade) -> CleanGrade: ...
@overload
def clean(record: ClassResults) -> CleanResults: ...
def clean(record: Grade | ClassResults) -> Any:
    """The same record, every text of it made `plain`, in whichever field, list or table it stands."""
    return _cleaned(record)


def _cleaned(value: Any) -> Any:
    match value:
        case str():
            return plain(value) if not value.isascii() or not value.isprintable() else value
        case BaseModel():
            changed = {name: new for name, old in value if (new := _cleaned(old)) is not old}
            return value.model_copy(update=changed) if changed else value
        case tuple():
            new = tuple(map(_cleaned, value))
            return new if any(a is not b for a, b in zip(new, value, strict=True)) else value
        case dict():
            return {_cleaned(key): _cleaned(item) for key, item in value.items()}
        case _:
            return value
