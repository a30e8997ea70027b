"""Strict reading of untrusted JSON: the way back from a child that has run a student's code.

The size is limited before anything is parsed; no duplicate keys, no NaN, no numbers of a thousand digits, no
nesting beyond what the parser's stack takes; and then only what the record allows, field by field.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn, TypeVar

import pydantic_core
from pydantic import BaseModel, ValidationError

MAX_BRACKETS, MAX_COMMAS = 300_000, 2_000_000  # memory grows with the number of values

Model = TypeVar("Model", bound=BaseModel)


def parse(data: bytes, record: type[Model], most: int) -> Model:
    """Parse at most ``most`` bytes of UTF-8 JSON into a record. Raises `ValueError` with a short reason."""
    if len(data) > most:
        raise ValueError(f"{len(data):,} bytes are more than {most:,}")
    if data.count(b"{") + data.count(b"[") > MAX_BRACKETS or data.count(b",") > MAX_COMMAS:
        raise ValueError("it holds too many values")
    pydantic_core.from_json(data, allow_inf_nan=False, cache_strings=False)  # depth, digits, UTF-8
    try:
        json.loads(data, object_pairs_hook=_once, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    try:
        return record.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(f"{where[:200]}: {first['msg'][:300]}") from None


def _once(pairs: list[tuple[str, Any]]) -> None:
    """Check that each key is there once; returns nothing, because only that matters here."""
    seen = set()
    for key, _ in pairs:
        if key in seen:
            raise ValueError(f"the key {key[:80]!r} is there twice")
        seen.add(key)


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number of JSON")
