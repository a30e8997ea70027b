"""A written explanation: words are counted where people write them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from grader import records as r
from grader.judge.checks.explanation import Explanation, check
from grader.judge.checks.interface import Subject

Build = Callable[..., Subject]


def prose(text: str) -> r.Cell:
    return r.Cell(kind="markdown", source=text)


def code(text: str) -> r.Cell:
    return r.Cell(kind="code", source=text)


@pytest.mark.parametrize(("min_words", "result"), [(6, "pass"), (7, "fail")])
def test_words_of_markdown(subject: Build, min_words: int, result: str) -> None:
    """Six words in two cells; signs, numbers, single letters and code do not count."""
    cells = (
        prose("# Größe\n\nFewer filters: 12 × 3 = 36"),
        code("# not counted here"),
        prose("`layers` help. A lot!"),
    )
    finding = check(Explanation(id="x", min_words=min_words), subject(cells=cells))
    assert finding.result == result
    assert finding.message == f"6 words of Markdown; {min_words} required"
    assert finding.evidence[0].text == "2 passages"
    assert bool(finding.hint) is (result == "fail")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("x = 1  # three more words", 3),
        ('"""A docstring\nof two lines"""\nx = 1', 4),
        ("'''single quotes'''", 2),
        ('x = """an assigned string"""', 0),
        ("x = 'no comment'", 0),
        ("# before it breaks\nx = (", 3),
        ("# indented\nif x:\n  y\n z", 1),
        ("# fine so far\n'''never closed", 3),
        ("", 0),
    ],
)
def test_words_of_a_script(subject: Build, source: str, words: int) -> None:
    """A script has no Markdown: comments and docstrings count, even where it does not parse."""
    finding = check(Explanation(id="x", min_words=100), subject(cells=(code(source),)))
    assert (finding.result, finding.message) == ("fail", f"{words} words of comments; 100 required")


def test_saved_model(subject: Build) -> None:
    """A saved model explains nothing."""
    assert check(Explanation(id="x", min_words=1), subject(cells=())).result == "fail"
