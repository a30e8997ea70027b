"""A child that makes fingerprints of code: ``python -m grader.describe.child.fingerprints [USER]``.

Parsing a stranger's text can take any amount of memory and end the process, so a child does it, in a box like
that of every other child. The child runs nothing of the text.

Code is compared as tokens, without comments, layout and docstrings, and with one name for all names that a
program defines. Of the hashes of every K tokens in a row, winnowing chooses some (Schleimer, Wilkerson and
Aiken 2003): every run of K + WINDOW - 1 equal tokens is found.

The job is a JSON list with the code cells of one submission after the other. The answer has a line for each
submission, in their order: the hashes as bytes in base64, or `-` where they could not be made.
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
SECONDS = 600  # of processor time; the parent's limit comes first
_SKIPPED = {
    tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
    tokenize.ENCODING, tokenize.ENDMARKER,
}  # fmt: skip


def main() -> None:
    """Confine this process, and answer the job on standard input."""
    confine.enter(int(sys.argv[1]) if len(sys.argv) > 1 else None)
    confine.limit(SECONDS // confine.CORES)
    for code in json.loads(sys.stdin.buffer.read()):
        try:
            made = base64.b64encode(array("Q", fingerprint(code)).tobytes()).decode()
        except (MemoryError, RecursionError, ValueError):
            made = "-"
        print(made, flush=True)


def fingerprint(code: Iterable[str]) -> list[int]:
    """Return the smallest `MAX_PRINTS` hashes (64 bits) of the ``code`` cells, sorted."""
    sources = [_readable(source) for source in code]
    own: set[str] = set().union(*map(_own_names, sources))
    tokens = [token for source in sources for token in _tokens(source, own)]
    grams = (" ".join(tokens[n : n + K]) for n in range(len(tokens) - K + 1))
    hashes = [int.from_bytes(hashlib.blake2b(g.encode(), digest_size=8).digest()) for g in grams]
    last = max(1, len(hashes) - WINDOW + 1)
    return sorted({min(hashes[n : n + WINDOW]) for n in range(last) if hashes})[: r.MAX_PRINTS]


def _readable(source: str) -> str:
    """Remove IPython's own lines."""
    return "\n".join(line for line in source.split("\n") if not line.lstrip().startswith(("%", "!")))


def _tokens(text: str, own: set[str]) -> Iterator[str]:
    """Yield the tokens of a cell; its words, where the cell is no Python."""
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
    """Return names that the program defines: variables, functions, arguments, and aliases of imports."""
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
