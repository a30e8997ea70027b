"""The YAML that `model.to_yaml()` of Keras 1 and 2 wrote, read as data.

A part of YAML 1.1, the part that PyYAML writes for such a configuration: block and flow collections,
plain and quoted scalars, anchors, and tuples. No tag makes an object: what names another Python class
is refused. Work and memory go with the length of the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

MAX_DEPTH, MAX_VALUES = 100, 400_000  # aliases counted as what they stand for

_LINE = re.compile(r"( *)(.*?)\s*$")
_KEY = re.compile(r"""("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\s'"\[\]{}#&*!|>%@`,][^:#]{0,300}?)\s*:(?:\s+|$)""")
_MARK = re.compile(r"(!\S*|&\S+)(?:\s+|$)")
_NUMBER = re.compile(r"[-+]?(?:\d{1,40}(?:\.\d{0,40})?|\.\d{1,40})(?:[eE][-+]?\d{1,4})?$")
_QUOTED = r"""\"(?:[^"\\]|\\.)*\"|'(?:[^']|'')*'"""
_PLAIN = r"(?:[^\s\[\]{},:]|:(?=\S)|[ ](?=[^\s:,\[\]{}])){1,9999}"
_FLOW = re.compile(rf"\s*([\[\]{{}},]|{_QUOTED}|:(?=\s|$)|{_PLAIN})\s*")
_TAGS = ("!!python/tuple", "!!python/unicode", "!!str", "!!int", "!!float", "!!bool", "!!null")
_CONSTANTS = {"null": None, "~": None, "": None, "true": True, "false": False, ".nan": None}
_ESCAPES = {"n": "\n", "t": "\t", "0": "\0", "r": "\r"}


@dataclass
class _Line:
    indent: int
    text: str


class _Reader:
    def __init__(self, lines: list[_Line]) -> None:
        self.lines, self.at = lines, 0
        self.values = 0
        self.anchors: dict[str, tuple[Any, int]] = {}  # what it stands for, and how many values that is

    # --- blocks ---------------------------------------------------------------------------------

    def block(self, depth: int) -> Any:
        """The collection or scalar that begins at this line."""
        if depth > MAX_DEPTH:
            raise ValueError("it is nested too deeply")
        line = self.lines[self.at]
        if _is_item(line.text):
            return self.sequence(line.indent, depth)
        if _KEY.match(line.text):
            return self.mapping(line.indent, depth)
        self.at += 1
        return self.inline(line.text, line.indent, depth)

    def sequence(self, indent: int, depth: int) -> list[Any]:
        items: list[Any] = []
        while (line := self.here(indent)) is not None and _is_item(line.text):
            rest = line.text[1:].lstrip()
            if not rest:
                self.at += 1
                items.append(self.deeper(indent, depth))
            elif _is_item(rest) or _KEY.match(rest):
                self.lines[self.at] = _Line(indent + len(line.text) - len(rest), rest)
                items.append(self.block(depth + 1))
            else:
                self.at += 1
                items.append(self.inline(rest, indent, depth))
            self.count()
        return items

    def mapping(self, indent: int, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while (line := self.here(indent)) is not None and (key := _KEY.match(line.text)) is not None:
            self.at += 1
            rest = line.text[key.end() :]
            found[str(_scalar(key[1]))] = self.inline(rest, indent, depth)
            self.count()
        return found

    def here(self, indent: int) -> _Line | None:
        """The next line, if it is on this level."""
        line = self.lines[self.at] if self.at < len(self.lines) else None
        if line is not None and line.indent > indent:
            raise ValueError(f"it has a line that fits nowhere: {line.text[:60]!r}")
        return line if line is not None and line.indent == indent else None

    def deeper(self, indent: int, depth: int) -> Any:
        """The block below a key or dash; a list may stand as far left as its key."""
        line = self.lines[self.at] if self.at < len(self.lines) else None
        if line is None or line.indent < indent or (line.indent == indent and not _is_item(line.text)):
            return None
        return self.block(depth + 1)

    # --- values ---------------------------------------------------------------------------------

    def inline(self, text: str, indent: int, depth: int) -> Any:
        """What stands behind a key or dash, with its tag and anchor; what follows, if nothing does."""
        anchor, before = "", self.values
        while (mark := _MARK.match(text)) is not None:
            anchor = mark[1][1:] if mark[1][0] == "&" else anchor
            _check_tag(mark[1])
            text = text[mark.end() :]
        if text.startswith("*"):
            return self.alias(text[1:])
        if not text:
            value = self.deeper(indent, depth)
        elif text[0] in "[{":
            value = self.flow(text, depth)
        elif text[0] in "|>":
            raise ValueError("it has a text of several lines")
        else:
            value = _scalar(text)
        if anchor:
            self.anchors[anchor] = (value, self.values - before)
        return value

    def alias(self, name: str) -> Any:
        if name not in self.anchors:
            raise ValueError(f"it refers to {name[:40]!r}, which is not there")
        value, size = self.anchors[name]
        self.count(size)
        return value

    def count(self, values: int = 1) -> None:
        self.values += values
        if self.values > MAX_VALUES:
            raise ValueError(f"it has more than {MAX_VALUES:,} values")

    # --- flow collections -----------------------------------------------------------------------

    def flow(self, text: str, depth: int) -> Any:
        """`[1, 2]` or `{a: 1}`, which may go on over the next lines."""
        tokens = list(_tokens(text))
        level = _open(tokens)
        while level > 0 and self.at < len(self.lines):
            more = list(_tokens(self.lines[self.at].text))
            tokens += more
            level += _open(more)
            self.at += 1
        if level:
            raise ValueError(f"it has brackets that do not match: {text[:60]!r}")
        value, end = self.part(tokens, 0, depth)
        if end != len(tokens):
            raise ValueError(f"it has something behind a bracket: {text[:60]!r}")
        return value

    def part(self, tokens: list[str], at: int, depth: int) -> tuple[Any, int]:
        if depth > MAX_DEPTH:
            raise ValueError("it is nested too deeply")
        token = tokens[at]
        self.count()
        if token == "[":
            return self.listed(tokens, at + 1, depth)
        if token == "{":
            return self.mapped(tokens, at + 1, depth)
        if token[0] in "!&":
            _check_tag(token.split(" ")[0])
            rest = token.partition(" ")[2]
            return (_scalar(rest), at + 1) if rest else self.part(tokens, at + 1, depth + 1)
        if token[0] == "*":
            return self.alias(token[1:]), at + 1
        return _scalar(token), at + 1

    def listed(self, tokens: list[str], at: int, depth: int) -> tuple[list[Any], int]:
        items: list[Any] = []
        while tokens[at] != "]":
            value, at = self.part(tokens, at, depth + 1)
            items.append(value)
            at += tokens[at] == ","
        return items, at + 1

    def mapped(self, tokens: list[str], at: int, depth: int) -> tuple[dict[str, Any], int]:
        found: dict[str, Any] = {}
        while tokens[at] != "}":
            key = str(_scalar(tokens[at]))
            if tokens[at + 1] != ":":
                raise ValueError(f"it has a key without a value: {key[:60]!r}")
            found[key], at = self.part(tokens, at + 2, depth + 1)
            at += tokens[at] == ","
        return found, at + 1


def parse(text: str) -> Any:
    """The value of a document. Raises `ValueError`, saying what it is that cannot be read."""
    reader = _Reader(list(_lines(text)))
    if not reader.lines:
        return None
    try:
        value = reader.block(0)
    except IndexError:
        raise ValueError("it ends within a collection") from None
    if reader.at < len(reader.lines):
        raise ValueError(f"it has a line that fits nowhere: {reader.lines[reader.at].text[:60]!r}")
    return value


def _lines(text: str) -> Iterator[_Line]:
    for raw in text.split("\n"):
        indent = len(raw) - len(raw.lstrip(" "))
        line = raw.strip()
        if line and not line.startswith(("#", "---", "...", "%")):
            yield _Line(indent, line)


def _is_item(text: str) -> bool:
    return text == "-" or text.startswith("- ")


def _check_tag(mark: str) -> None:
    if mark.startswith("!") and mark not in (
        "!!python/tuple",
        "!!python/unicode",
        "!!str",
        "!!int",
        "!!float",
    ):
        raise ValueError(f"it holds an object of Python ({mark[:60]}), which grader does not make")


def _scalar(text: str) -> Any:
    if text[:1] == '"' and text[-1:] == '"':
        return re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1]), text[1:-1])
    if text[:1] == "'" and text[-1:] == "'":
        return text[1:-1].replace("''", "'")
    if text.lower() in _CONSTANTS:
        return _CONSTANTS[text.lower()]
    if _NUMBER.match(text):
        return int(text) if text.lstrip("+-").isdigit() else float(text)
    return text


def _tokens(text: str) -> Iterator[str]:
    at = 0
    while at < len(text):
        match = _FLOW.match(text, at)
        if match is None:
            raise ValueError(f"it has something unreadable: {text[at : at + 60]!r}")
        yield match[1]
        at = match.end()


def _open(tokens: list[str]) -> int:
    return sum(token in ("[", "{") for token in tokens) - sum(token in ("]", "}") for token in tokens)
