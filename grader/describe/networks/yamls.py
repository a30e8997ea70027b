"""Reads the YAML that `model.to_yaml()` of Keras 1 and 2 wrote, as data.

PyYAML splits the text into events. This module makes dicts, lists and scalars of the events and nothing
else: a tag that names another class is refused. Depth and number of values are limited while reading.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml
from yaml.events import AliasEvent, MappingStartEvent, NodeEvent, ScalarEvent, SequenceStartEvent

MAX_DEPTH, MAX_VALUES = 100, 400_000  # an alias counts as all the values that it stands for
_LONG = 1_000  # characters; a longer text counts as several values

_NUMBER = re.compile(r"[-+]?(?:\d{1,40}(?:\.\d{0,40})?|\.\d{1,40})(?:[eE][-+]?\d{1,4})?$")
_CONSTANTS = {"null": None, "~": None, "": None, "true": True, "false": False, ".nan": None}
_STANDARD = "tag:yaml.org,2002:"  # what `!!` is short for
_COLLECTIONS = ("map", "seq", "python/tuple")
_SCALARS = {"str": str, "python/unicode": str, "int": int, "float": float}
# Keras writes no directive, and libyaml compares each one with all that stand before it.
_DIRECTIVE = re.compile(r"^%", re.MULTILINE)


def parse(text: str) -> Any:
    """Return the value of the one document in ``text``, or None where the text holds no value.

    Raises `ValueError`, saying what cannot be read.
    """
    if _DIRECTIVE.search(text):
        raise ValueError("it has a line that begins with %")
    try:
        return _Reader(yaml.parse(text, Loader=yaml.CSafeLoader)).document()
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None


class _Reader:
    """Makes values of events, and counts the values."""

    def __init__(self, events: Iterator[Any]) -> None:
        self.events = events
        self.values = 0
        self.anchors: dict[str, tuple[Any, int]] = {}  # a value, and as how many values it counts

    def document(self) -> Any:
        found = [self.value(event, 0) for event in self.events if isinstance(event, NodeEvent)]
        if len(found) > 1:
            raise ValueError("it holds more than one document")
        return found[0] if found else None

    def value(self, event: NodeEvent, depth: int) -> Any:
        """Return the value that begins with this event."""
        if depth > MAX_DEPTH:
            raise ValueError("it is nested too deeply")
        before = self.values
        match event:
            case AliasEvent():
                return self.alias(event.anchor or "")
            case SequenceStartEvent():
                _check(event.tag)
                value: Any = [self.value(item, depth + 1) for item in self.inside()]
            case MappingStartEvent():
                _check(event.tag)
                value = {_key(key): self.value(next(self.events), depth + 1) for key in self.inside()}
            case ScalarEvent():
                value = _scalar(event)
                self.count(1 + len(event.value) // _LONG)
        if event.anchor:
            self.anchors[event.anchor] = (value, self.values - before)
        return value

    def inside(self) -> Iterator[NodeEvent]:
        """Yield the events that begin the items of the collection that has just begun."""
        self.count(1)
        while isinstance(event := next(self.events), NodeEvent):
            yield event

    def alias(self, name: str) -> Any:
        if name not in self.anchors:
            raise ValueError(f"it refers to {name[:40]!r}, which is not there")
        value, size = self.anchors[name]
        self.count(size)
        return value

    def count(self, values: int) -> None:
        self.values += values
        if self.values > MAX_VALUES:
            raise ValueError(f"it has more than {MAX_VALUES:,} values")


def _check(tag: str | None) -> None:
    """Raise `ValueError` for a collection that would become an object."""
    if tag is not None and tag.removeprefix(_STANDARD) not in _COLLECTIONS:
        raise _refused(tag)


def _refused(tag: str) -> ValueError:
    named = tag.replace(_STANDARD, "!!", 1)
    return ValueError(f"it holds an object of Python ({named[:60]}), which grader does not make")


def _key(event: NodeEvent) -> str:
    if not isinstance(event, ScalarEvent) or event.tag is not None:
        raise ValueError("it has a key that is no plain text")
    return event.value


def _scalar(event: ScalarEvent) -> Any:
    if event.tag is None:
        return _plain(event.value) if event.implicit[0] else event.value
    kind = event.tag.removeprefix(_STANDARD)
    if kind not in _SCALARS:
        raise _refused(event.tag)
    return _SCALARS[kind](event.value)


def _plain(text: str) -> Any:
    """Return a scalar without quotes and tag: a constant or number of JSON, otherwise a text."""
    if text.lower() in _CONSTANTS:
        return _CONSTANTS[text.lower()]
    if _NUMBER.match(text):
        return int(text) if text.lstrip("+-").isdigit() else float(text)
    return text
