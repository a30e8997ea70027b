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
  lines: |
    of
    a text
  tagged: [!!str 28, !!python/unicode 'x', !!int "3", !!float 1]
  flow: [&id002 {b}, *id002]
keras_version: 2.2.4
"""
    c = {"mode": "fan_avg", "scale": 1.0, "seed": None, "name": "it's"}
    assert yamls.parse(text) == {
        "class_name": "Model",
        "config": {
            "a": [1, 2], "b": [None, 28], "c": c, "d": c, "nodes": [[["conv", 0], ["pool", 0, {}]]],
            "empty": None, "text": 'a: "b"', "lines": "of\na text\n", "tagged": ["28", "x", 3, 1.0],
            "flow": [{"b": None}, {"b": None}],
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
        ("a: [1, 2", "parsing a flow sequence"),
        ("a: [1] 2", "did not find expected key"),
        ("a: 1\n    b: 2", "not allowed in this context"),
        ("- 1\nb: 2", "did not find expected '-'"),
        ("a: [", "did not find expected node"),
        ("a: !!str [b]", "an object of Python"),
        ("a: !own 1", "an object of Python"),
        ("? [a]\n: 1", "a key that is no plain text"),
        ("a: &b [*b]", "refers to 'b'"),
        ("a: 1\n---\nb: 2", "more than one document"),
        ("%TAG ! !!\n--- a", "begins with %"),
        ("a: !!int x", "invalid literal"),
        ("a: !!int " + "9" * 5_000, "digits"),
        ("a: \x1b[31m", "control characters"),
        ("a: " + "[" * 500 + "]" * 500, "nested too deeply"),
        ("\n".join(" " * n + "a:" for n in range(500)), "nested too deeply"),
        ("a: [" + "1, " * 500_000 + "1]", "more than 400,000 values"),
        ("a: &a [1, 1, 1, 1]\n" + "\n".join(
            f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join(['*' + chr(97 + n)] * 9)}]" for n in range(9)),
         "more than 400,000 values"),
        ("a: &a " + "x" * 1_000_000 + "\nb: [" + "*a, " * 400 + "1]", "more than 400,000 values"),
        ("".join(f"{chr(98 + n)}: &{chr(98 + n)}\n  <<: [{', '.join(['*' + chr(97 + n)] * 9)}]\n"
                 for n in range(9)).replace("*a", "x"), "more than 400,000 values"),
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
