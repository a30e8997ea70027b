"""A child that makes fingerprints of code: ``python -m grader.describe.child.fingerprints [USER]``.

To parse a stranger's text can take any memory and end the process, so a child does it, in a box like that of
every other child. It runs nothing of what it reads.

Code is compared as tokens, without comments, layout and docstrings, and with the names that a program gives
itself made alike. Of the hashes of every K tokens in a row some are chosen by winnowing (Schleimer, Wilkerson
and Aiken 2003): every run of K + WINDOW - 1 equal tokens is found.

The job is a JSON list with the code cells of one submission after the other. The answer is a line for each,
in their order: the hashes as bytes in base64, or `-` where they could not be made.
"""

from __future__ import annotations

import ast
import base64
import builtins
import hashlib
import io
import json
import keyword
import sys
import tokenize
from array import array
from collections.abc import Iterable, Iterator

from grader import records as r
from grader.describe.child import confine

K, WINDOW = 12, 6
SECONDS = 600  # of processor time, of which the parent grants less
_SKIPPED = {
    tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
    tokenize.ENCODING, tokenize.ENDMARKER,
}  # fmt: skip


def main() -> None:
    confine.enter(int(sys.argv[1]) if len(sys.argv) > 1 else None)
    confine.limit(SECONDS // confine.CORES)
    for code in json.loads(sys.stdin.buffer.read()):
        try:
            made = base64.b64encode(array("Q", fingerprint(code)).tobytes()).decode()
        except (MemoryError, RecursionError, ValueError):
            made = "-"
        print(made, flush=True)


def fingerprint(code: Iterable[str]) -> list[int]:
    """Numbers of 64 bits that stand for the ``code`` cells, the smallest `MAX_PRINTS` of them, sorted."""
    sources = [_readable(source) for source in code]
    own: set[str] = set().union(*map(_own_names, sources))
    tokens = [token for source in sources for token in _tokens(source, own)]
    grams = (" ".join(tokens[n : n + K]) for n in range(len(tokens) - K + 1))
    hashes = [int.from_bytes(hashlib.blake2b(g.encode(), digest_size=8).digest()) for g in grams]
    last = max(1, len(hashes) - WINDOW + 1)
    return sorted({min(hashes[n : n + WINDOW]) for n in range(last) if hashes})[: r.MAX_PRINTS]


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


if __name__ == "__main__":
    main()
