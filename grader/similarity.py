"""Which submissions resemble each other: a pointer for a person, never a verdict.

Code is compared as tokens, without comments, layout and docstrings, and with the names that a program gives
itself made alike. Of the hashes of every K tokens in a row some are chosen by winnowing (Schleimer, Wilkerson
and Aiken 2003): every run of K + WINDOW - 1 equal tokens is found. What much of the class has in common, such
as a course's starter code, is left out. Networks in one class are often the same: how like the code is
is told with them.
"""

from __future__ import annotations

import ast
import builtins
import hashlib
import io
import keyword
import tokenize
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

from grader.examining import Examined, attempts_of
from grader.grading import Grading
from grader.records import Cell
from grader.records.results import Similar

K, WINDOW = 12, 6
FEW = 10  # chosen hashes: a program with fewer of its own says nothing
COMMON = 0.5  # of the class: what more share belongs to the course; from CLASS students on
CLASS = 5
NEARLY = 0.8
MOST = 200  # pairs that are told
_SKIPPED = {
    tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
    tokenize.ENCODING, tokenize.ENDMARKER,
}  # fmt: skip


@dataclass(frozen=True)
class Code:
    """What is compared of one submission: hashes of its code, and a digest of network and recipe."""

    prints: frozenset[int] = frozenset()
    network: str = ""


def code(examined: Examined, grading: Grading) -> Code:
    cells = examined.program.cells if examined.program else ()
    first = next(iter(examined.candidates), None)
    attempt = next(attempts_of(first, grading), None) if first else None
    return Code(fingerprint(cells), attempt.key if attempt else "")


def alike(codes: Mapping[str, Code]) -> list[Similar]:
    """The pairs that resemble each other, the likest first."""
    own = _without_common({student: code.prints for student, code in codes.items()})
    counts = Counter(code.network for code in codes.values())
    usual = {x for x, count in counts.items() if len(codes) >= CLASS and count > COMMON * len(codes)} | {""}
    pairs: list[Similar] = []
    for one, other in combinations(sorted(codes), 2):
        likeness = _likeness(own[one], own[other])
        same = codes[one].network == codes[other].network and codes[one].network not in usual
        if likeness >= NEARLY or same:
            kind = "nearly the same code" if likeness >= NEARLY else "same network and recipe"
            detail = _detail(same and likeness >= NEARLY, min(len(own[one]), len(own[other])))
            pairs.append(
                Similar(students=(one, other), kind=kind, likeness=round(likeness, 3), detail=detail)
            )
    return sorted(pairs, key=lambda s: (-s.likeness, s.students))[:MOST]


def _detail(both: bool, prints: int) -> str:
    if both:
        return "and the same network and recipe"
    return "hardly any code that is not the whole class's" if prints < FEW else ""


def _without_common(prints: Mapping[str, frozenset[int]]) -> dict[str, frozenset[int]]:
    if len(prints) < CLASS:
        return dict(prints)
    counts = Counter(x for one in prints.values() for x in one)
    common = {x for x, count in counts.items() if count > COMMON * len(prints)}
    return {student: one - common for student, one in prints.items()}


def _likeness(one: frozenset[int], other: frozenset[int]) -> float:
    """The part of what both have that is the same (Jaccard)."""
    if min(len(one), len(other)) < FEW:
        return 0.0
    return len(one & other) / len(one | other)


def fingerprint(cells: Iterable[Cell]) -> frozenset[int]:
    sources = [_readable(cell.source) for cell in cells if cell.kind == "code"]
    own: set[str] = set().union(*map(_own_names, sources))
    tokens = [token for source in sources for token in _tokens(source, own)]
    grams = (" ".join(tokens[n : n + K]) for n in range(len(tokens) - K + 1))
    hashes = [int.from_bytes(hashlib.blake2b(g.encode(), digest_size=8).digest()) for g in grams]
    last = max(1, len(hashes) - WINDOW + 1)
    return frozenset(min(hashes[n : n + WINDOW]) for n in range(last) if hashes)


def _readable(source: str) -> str:
    """Without IPython's own lines."""
    return "\n".join(line for line in source.split("\n") if not line.lstrip().startswith(("%", "!")))


def _tokens(text: str, own: set[str]) -> Iterator[str]:
    """The tokens of a cell; its words, where it is no Python."""
    try:
        found = list(tokenize.generate_tokens(io.StringIO(text).readline))
    except (tokenize.TokenError, SyntaxError):
        yield from text.split()
        return
    previous = tokenize.NEWLINE
    for token in found:
        if token.type in _SKIPPED:
            previous = token.type if token.type != tokenize.COMMENT else previous
            continue
        alone = token.type == tokenize.STRING and previous in (
            tokenize.NEWLINE, tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING,
        )  # fmt: skip
        previous = token.type
        if not alone:  # a docstring
            yield "name" if token.type == tokenize.NAME and token.string in own else token.string


def _own_names(text: str) -> set[str]:
    """Names that the program itself gives: variables, functions, arguments, and what it imports as."""
    try:
        parsed = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    names: set[str] = set()
    for node in ast.walk(parsed):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
                names.add(name)
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.alias(asname=str(name)):
                names.add(name)
    return names - set(dir(builtins)) - set(keyword.kwlist)
