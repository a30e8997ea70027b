"""The YAML of old Keras: data of the same value, and nothing but data."""

from __future__ import annotations

from typing import Any

import dialects
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.describe.networks import yamls

NAMES = st.text("abcdefgh_", min_size=1, max_size=8).filter(lambda t: t not in ("null",))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(-1e6, 1e6).map(lambda x: round(x, 6))
    | NAMES | st.text(" :#'-[]{},&*!|>%@`\"xyz0123456789.", max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(VALUES, st.booleans())
def test_what_was_written_is_read(value: Any, flow: bool) -> None:
    """Any value of JSON, in blocks or with its leaves on one line."""
    assert yamls.parse(dialects.yaml(value, flow=flow)) == value


def test_tuples_anchors_and_long_lines() -> None:
    """What PyYAML adds: tags of tuples, aliases of what occurs twice, and lines that go on."""
    text = """
# a comment
class_name: Model
config:
  a: !!python/tuple [1, 2]
  b: !!python/tuple
  - null
  - 28
  c: &id001 {mode: fan_avg, scale: 1.0,
    seed: null, name: 'it''s'}
  d: *id001
  nodes:
  - - - conv
      - 0
    - [pool, 0, {}]
  empty:
  text: "a: \\"b\\""
keras_version: 2.2.4
"""
    c = {"mode": "fan_avg", "scale": 1.0, "seed": None, "name": "it's"}
    assert yamls.parse(text) == {
        "class_name": "Model",
        "config": {
            "a": [1, 2], "b": [None, 28], "c": c, "d": c, "nodes": [[["conv", 0], ["pool", 0, {}]]],
            "empty": None, "text": 'a: "b"',
        },
        "keras_version": "2.2.4",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: !!python/object/apply:os.system ['true']", "an object of Python"),
        ("a: !!python/name:os.system", "an object of Python"),
        ("- !!python/object/new:type [a]", "an object of Python"),
        ("a: [!!python/object:x.Y {b: 1}]", "an object of Python"),
        ("a: *nowhere", "refers to 'nowhere'"),
        ("a: [1, 2", "brackets that do not match"),
        ("a: {b}", "a key without a value"),
        ("a: [1] 2", "something behind a bracket"),
        ("a: |\n  text", "a text of several lines"),
        ("a: 1\n    b: 2", "fits nowhere"),
        ("- 1\nb: 2", "fits nowhere"),
        ("a: [" * 1, "brackets"),
        ("a: " + "[" * 500 + "]" * 500, "nested too deeply"),
        ("\n".join(" " * n + "a:" for n in range(500)), "nested too deeply"),
        ("a: [" + "1, " * 500_000 + "1]", "more than 400,000 values"),
        ("a: &a [1, 1, 1, 1]\n" + "\n".join(
            f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join(['*' + chr(97 + n)] * 9)}]" for n in range(9)),
         "more than 400,000 values"),
    ],
)  # fmt: skip
def test_what_is_refused(text: str, why: str) -> None:
    """Objects, bombs, and what is no YAML of Keras's: each with what it is."""
    with pytest.raises(ValueError, match=why):
        yamls.parse(text)


@given(st.text("ab:- \n[]{},&*!'\"|>#0.", max_size=60))
def test_any_text(text: str) -> None:
    """Any text is read or refused, with no other error."""
    try:
        yamls.parse(text)
    except ValueError:
        pass
