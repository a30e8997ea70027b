"""One target under atheris: ``python worker.py TARGET CRASHES [libFuzzer's arguments and folders]``.

Started by `run.py`. An uncaught exception or a call that takes too long is noted and fuzzing goes on, so
that one run finds all there is; only what ends the process (a crash in C, memory, a hang in C) stops it.
"""

from __future__ import annotations

import hashlib
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import atheris

with atheris.instrument_imports(include=["grader", "zipfile"]):
    import targets

import mutate
import seeds

SECONDS = 5.0  # of processor time for one input, which is at most 128 kB, or hard on purpose
MEGABYTES = 700  # that the hard inputs may make this process grow to


class TooSlow(BaseException):
    """Not an `Exception`: no boundary of grader's may take it for an error of the file."""


class Findings:
    """Writes each input that breaks a promise, and shows the traceback of each place once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.places: set[str] = set()

    def note(self, data: bytes, error: BaseException, about: str = "") -> None:
        place = f"{type(error).__name__} {_place(error)}"
        if place in self.places:
            return
        self.places.add(place)
        file = self.folder / f"finding-{hashlib.sha1(data).hexdigest()[:12]}"
        file.write_bytes(data)
        shown = "".join(traceback.format_exception(error)).splitlines()
        if len(shown) > 40:
            shown = [*shown[:20], "  ...", *shown[-20:]]
        print(f"FINDING {file} {about}", *shown, sep="\n", file=sys.stderr, flush=True)


def _place(error: BaseException) -> str:
    """The innermost line of grader's own."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "/grader/" in f.filename or f.filename.endswith("targets.py")]
    return f"{own[-1].filename}:{own[-1].lineno}" if own else "?"


def watched(target: Callable[[bytes], None], findings: Findings) -> Callable[..., None]:
    """The target with a limit on its time, and with its exceptions noted."""

    def late(signal_number: int, frame: FrameType | None) -> None:
        raise TooSlow(f"more than {SECONDS:.0f} s")

    signal.signal(signal.SIGVTALRM, late)

    def one(data: bytes, about: str = "") -> None:
        try:
            signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
            try:
                target(data)
            finally:
                signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        except (Exception, TooSlow) as error:
            findings.note(data, error, about)

    return one


def main() -> None:
    name, folder = sys.argv[1], Path(sys.argv[2])
    findings = Findings(folder)
    one = watched(targets.TARGETS[name], findings)
    start = folder / "seeds"
    start.mkdir()
    for number, data in enumerate(seeds.of(name)):
        (start / f"{number:03}").write_bytes(data)
    words = (folder / "words").open("w", encoding="utf-8")
    with words:
        for word in seeds.WORDS:
            words.write('"' + "".join(f"\\x{byte:02x}" for byte in word.encode()) + '"\n')
    for about, data in seeds.hard(name):
        before = _megabytes()
        one(data, about)
        if _megabytes() > max(before, MEGABYTES):
            findings.note(data, MemoryError(f"grew from {before} to {_megabytes()} MB"), about)
    arguments = [sys.argv[0], *sys.argv[3:], str(start), f"-dict={folder / 'words'}"]
    atheris.Setup(arguments, one, custom_mutator=mutate.mutator(name, _plain))
    atheris.Fuzz()


def _plain(data: bytes, most: int) -> bytes:
    """libFuzzer's own mutation, which is there only once `atheris.Fuzz` has begun."""
    return atheris.Mutate(data, most)


def _megabytes() -> int:
    """The most that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    main()
