"""Have children with limits fingerprint the code of submissions (`grader.describe.child.fingerprints`).

Many submissions share a child. One that ends its child, by crash or by limit, loses its own
fingerprint and no other's.
"""

from __future__ import annotations

import base64
import binascii
import json
import tempfile
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from grader.box.isolation import Isolation, Task
from grader.box.sandbox import Child, Limits, run
from grader.records import MAX_PRINTS, Cell

MAX_CODE = 200_000  # characters of one submission that are compared
BATCH, BATCH_CODE = 50, 2_000_000  # submissions and characters for one child
MEMORY = 1 << 30  # bytes
SECONDS, SECONDS_EACH = 30.0, 5.0
_LINE = 4 * (8 * MAX_PRINTS // 3 + 2)


@dataclass(frozen=True)
class Source:
    """What is compared of one submission: its code cells, together at most `MAX_CODE` characters."""

    student: str
    code: tuple[str, ...]
    cut: bool = False


@dataclass(frozen=True)
class Prints:
    """Hashes of one submission's code, sorted; ``remark`` says what is missing, if anything is."""

    student: str
    hashes: array[int]
    remark: str = ""


def source(student: str, cells: Sequence[Cell]) -> Source:
    """Return the code of ``cells``, cut where it exceeds `MAX_CODE` characters."""
    kept: list[str] = []
    left = MAX_CODE
    code = [cell.source for cell in cells if cell.kind == "code"]
    for text in code:
        kept.append(text[:left])
        left -= len(kept[-1])
    return Source(student, tuple(text for text in kept if text), sum(map(len, code)) > MAX_CODE)


class Batches:
    """Collects sources until there are enough for a child."""

    def __init__(self) -> None:
        self._waiting: list[Source] = []

    def add(self, one: Source) -> list[Source]:
        """Collect a source; return the batch that it completes, empty if it completes none."""
        self._waiting.append(one)
        size = sum(len(text) for x in self._waiting for text in x.code)
        return self.rest() if len(self._waiting) >= BATCH or size >= BATCH_CODE else []

    def rest(self) -> list[Source]:
        """Return the sources that are still waiting, which wait no longer."""
        taken, self._waiting = self._waiting, []
        return taken


def prints(sources: Sequence[Source], isolation: Isolation) -> list[Prints]:
    """Return the fingerprint of each of the ``sources``, in their order."""
    made: list[Prints] = []
    while len(made) < len(sources):
        rest = sources[len(made) :]
        answered, why = _ask(rest, isolation)
        made += map(_read, rest, answered)
        if len(answered) < len(rest):
            lost = rest[len(answered)]
            made.append(Prints(lost.student, array("Q"), f"its code was not compared: {why}"))
    return made


def _ask(sources: Sequence[Source], isolation: Isolation) -> tuple[list[bytes], str]:
    """Fingerprint sources in one child; return its lines, and why they are no more if some are missing."""
    answered: list[bytes] = []
    job = json.dumps([one.code for one in sources]).encode()
    seconds = SECONDS + SECONDS_EACH * len(sources)
    limits = Limits(seconds, (_LINE + 1) * len(sources), _LINE + 1, memory=MEMORY, processes=8)
    try:
        with tempfile.TemporaryDirectory(prefix="grader-") as scratch:
            ended = run(_start(Path(scratch), isolation), job, limits, answered.append)
    except OSError as error:
        return answered, f"no process could be started for it: {error}"
    why = {"time": f"it took longer than {seconds:.0f} s", "memory": f"it took more than {MEMORY >> 30} GB"}
    return answered, why.get(ended.stopped, f"the process that read it ended with {ended.returncode}")


def _start(scratch: Path, isolation: Isolation) -> Child:
    inputs, home = scratch / "input", scratch / "home"
    inputs.mkdir()
    home.mkdir()
    return isolation.start(Task("grader.describe.child.fingerprints", inputs, None, home))


def _read(one: Source, line: bytes) -> Prints:
    """Read a child's line about one source; anything but a list of numbers becomes a remark."""
    hashes: array[int] = array("Q")
    try:
        hashes.frombytes(base64.b64decode(line.strip(), validate=True))
    except (ValueError, binascii.Error):
        return Prints(one.student, array("Q"), "its code was not compared: it cannot be read")
    cut = f"only the first {MAX_CODE:,} characters of its code were compared"
    return Prints(one.student, array("Q", sorted(set(hashes))[:MAX_PRINTS]), cut if one.cut else "")
