"""Which submissions resemble each other: a pointer for a person, never a verdict.

Code is compared by its fingerprints, see `grader.describe.child.fingerprints`. What much of the class has in
common, such as a course's starter code, is left out. Networks in one class are often the same, so the
likeness of the code is reported with them.

Students are not held against each other one by one: each hash leads to those who have it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, as_completed
from dataclasses import dataclass
from typing import TYPE_CHECKING

from grader.ask.fingerprints import Batches, Prints, Source, prints
from grader.box.isolation import Isolation
from grader.grade.examine import Examined, attempts_of
from grader.grade.session import Grading
from grader.records.results import Similar

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Numbers = npt.NDArray[np.int32]
    Matrix = npt.NDArray[np.int64]

FEW = 10  # hashes: a program with fewer of its own is too short to compare
COMMON = 0.5  # of a class of CLASS students or more: code that more of them share is the course's
CLASS = 5
NEARLY = 0.8
MOST = 200  # pairs that are reported


@dataclass(frozen=True)
class Code:
    """What is compared of one submission: hashes of its code, and a digest of network and recipe."""

    prints: Sequence[int] = ()
    network: str = ""


class Comparison:
    """Fingerprints code as it comes in, and compares all of it at the end."""

    def __init__(self, pool: Executor, isolation: Isolation) -> None:
        self._pool, self._isolation = pool, isolation
        self._batches = Batches()
        self._networks: dict[str, str] = {}
        self.futures: list[Future[list[Prints]]] = []

    def add(self, one: Source, network: str) -> None:
        """Add a submission's code, and the digest of its ``network``."""
        self._networks[one.student] = network
        self._begin(self._batches.add(one))

    def _begin(self, batch: Sequence[Source]) -> None:
        if batch:
            self.futures.append(self._pool.submit(prints, batch, self._isolation))

    def result(self, progress: Callable[[int, int], None]) -> tuple[list[Similar], list[str]]:
        """Return the similar pairs, and remarks on code that could not be compared in full.

        ``progress`` is called with the number of submissions whose code has been read, and of all.
        """
        self._begin(self._batches.rest())
        made: list[Prints] = []
        for future in as_completed(self.futures):
            made += future.result()
            progress(len(made), len(self._networks))
        codes = {one.student: Code(one.hashes, self._networks[one.student]) for one in made}
        return alike(codes), [f"{x.student}: {x.remark}" for x in sorted(made, key=_student) if x.remark]


def _student(one: Prints) -> str:
    return one.student


def network(examined: Examined, grading: Grading) -> str:
    """Return a digest of the network and recipe that are graded; empty if nothing is trained."""
    first = next(iter(examined.candidates), None)
    attempt = next(attempts_of(first, grading), None) if first else None
    return attempt.key if attempt else ""


def alike(codes: Mapping[str, Code]) -> list[Similar]:
    """Return the pairs that resemble each other, the likest first."""
    import numpy as np

    students = sorted(codes)
    own, shared = _counted([codes[student].prints for student in students])
    either = own[:, None] + own[None, :] - shared
    enough = np.minimum(own[:, None], own[None, :]) >= FEW
    likeness = np.where(enough, shared / np.maximum(either, 1), 0.0)
    same = _same([codes[student].network for student in students])
    ones, others = np.nonzero(np.triu((likeness >= NEARLY) | same, 1))
    order = np.lexsort((others, ones, -np.round(likeness[ones, others], 3)))[:MOST]
    return [
        _similar(
            (students[one], students[other]), float(likeness[one, other]), bool(same[one, other]),
            int(min(own[one], own[other])),
        )
        for one, other in zip(ones[order].tolist(), others[order].tolist(), strict=True)
    ]  # fmt: skip


def _similar(students: tuple[str, str], likeness: float, same: bool, fewest: int) -> Similar:
    nearly = likeness >= NEARLY
    detail = "hardly any code that is not the whole class's" if fewest < FEW and not nearly else ""
    return Similar(
        students=students,
        kind="nearly the same code" if nearly else "same network and recipe",
        likeness=round(likeness, 3),
        detail="and the same network and recipe" if nearly and same else detail,
    )


def _counted(hashed: Sequence[Sequence[int]]) -> tuple[Matrix, Matrix]:
    """Count each student's hashes that are not the whole class's, (n,), and those each two share, (n, n)."""
    import numpy as np

    count = len(hashed)
    hashes = np.concatenate([np.asarray(one, np.uint64) for one in hashed] or [np.zeros(0, np.uint64)])
    owner = np.repeat(np.arange(count, dtype=np.int32), [len(one) for one in hashed])
    order = np.argsort(hashes, kind="stable")
    owner = owner[order]
    starts = np.flatnonzero(np.diff(hashes[order], prepend=hashes[order][:1] + np.uint64(1)))
    lengths = np.diff(starts, append=len(owner))
    own = np.bincount(owner[starts[lengths == 1]], minlength=count)
    shared = np.zeros((count, count), np.int64)
    most = COMMON * count if count >= CLASS else count
    several = (lengths > 1) & (lengths <= most)
    for holders, hashes_of_theirs in _holders(owner, starts[several], lengths[several]):
        own[holders] += hashes_of_theirs
        shared[np.ix_(holders, holders)] += hashes_of_theirs
    return own, shared


def _holders(owner: Numbers, starts: Matrix, lengths: Matrix) -> Iterator[tuple[Matrix, int]]:
    """Yield the students, by number, who have the same hashes, and how many hashes just they have."""
    import numpy as np

    ends = starts + lengths
    groups = Counter(owner[n:m].tobytes() for n, m in zip(starts.tolist(), ends.tolist(), strict=True))
    for group, count in groups.items():
        yield np.frombuffer(group, np.int32).astype(np.int64), count


def _same(networks: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Return which two have the same network, (n, n), but for a network that most of a class has."""
    import numpy as np

    counts = Counter(networks)
    usual = {x for x, count in counts.items() if len(networks) >= CLASS and count > COMMON * len(networks)}
    numbers = {x: number for number, x in enumerate(counts) if x and x not in usual}
    held = np.array([numbers.get(x, -1) for x in networks], np.int64)
    return (held[:, None] == held[None, :]) & (held >= 0)[:, None]
