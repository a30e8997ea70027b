"""Grade a class: structure first, then attempts, everybody's first before anyone's second.

Memory holds only which submissions wait for which attempt: a submission's description and its attempts are
read again from its files and the store whenever they are needed. So a batch that was killed goes on where it
was, and a class of three hundred takes no more memory than a class of ten.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Collection
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, as_completed, wait
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from heapq import heappop, heappush
from typing import Any

from grader import records as r
from grader.ask import fingerprints
from grader.ask.attempt import Attempt
from grader.ask.training import Runs, Watcher
from grader.box import isolation, tree
from grader.errors import BrokenError, Unsupported
from grader.grade import one, similarity
from grader.grade.events import Attempted, Display
from grader.grade.examine import examine
from grader.grade.session import Grading, prepare
from grader.intake.discover import Found, Submission
from grader.judge.rubric import LoadedRubric
from grader.runners import RUNNERS, Runner, Settings
from grader.store.store import Store


class Keeper:
    """Keeps descriptions in the store, until the batch is being stopped.

    The answer of a child that was killed is not kept.
    """

    def __init__(self, store: Store) -> None:
        self._store, self.stopping = store, False

    def description(self, key: str) -> r.DescribeAnswer | None:
        """Return the answer that the store has under ``key``; None if it has none."""
        return self._store.description(key)

    def keep_description(self, key: str, answer: r.DescribeAnswer) -> None:
        """Store ``answer`` under ``key``, unless the batch is being stopped."""
        if not self.stopping:
            self._store.keep_description(key, answer)


@dataclass(frozen=True)
class First:
    """A submission's structural grade, whether it needs an attempt, and what is compared with others."""

    grade: r.Grade
    waits: bool
    source: fingerprints.Source
    network: str


@dataclass
class Running:
    """One attempt under way, and the submissions that wait for it."""

    attempt: Attempt
    waiting: list[int]
    begun: float = field(default_factory=time.monotonic)


@dataclass
class Batch:
    """One run over a class. ``only``: the ids of those to grade, if not everyone."""

    found: Found
    grading: Grading
    store: Store
    keeper: Keeper
    display: Display
    only: Collection[str] = ()
    failed: dict[str, r.Problem] = field(default_factory=dict)

    @cached_property
    def submissions(self) -> list[Submission]:
        """The submissions to grade."""
        return [s for s in self.found.submissions if not self.only or s.student.id in self.only]

    # --- structure ------------------------------------------------------------------------------

    def structure(self) -> list[int]:
        """Grade every submission's structure, one per core at a time; return who needs an attempt."""
        pending = []
        firsts: dict[Future[First], int] = {}
        pool = ThreadPoolExecutor(max_workers=os.cpu_count() or 1, thread_name_prefix="describe")
        comparison = similarity.Comparison(pool, self.grading.asker.isolation)
        try:
            firsts |= {pool.submit(self._first, s): n for n, s in enumerate(self.submissions)}
            for future in as_completed(firsts):
                if self._structured(firsts[future], future.result(), comparison):
                    pending.append(firsts[future])
            if not self.only:
                self.store.put_similar(*comparison.result(self.display.compared))
        except BaseException:
            self.keeper.stopping = True
            pool.shutdown(wait=False, cancel_futures=True)
            begun: list[Future[Any]] = [*firsts, *comparison.futures]
            while not all(future.done() for future in begun):
                end_children()
                time.sleep(0.1)
            raise
        finally:
            pool.shutdown(wait=True)
        return sorted(pending)

    def _structured(self, number: int, first: First, comparison: similarity.Comparison) -> bool:
        """Store and show a submission's structural grade; return whether it needs an attempt."""
        student = self.submissions[number].student
        self.store.put_grade(student.id, first.grade)
        self.display.graded(student, first.grade, final=not first.waits)
        if not self.only:
            comparison.add(first.source, first.network)
        return first.waits

    def _first(self, submission: Submission) -> First:
        examined = examine(submission.place, self.grading)
        grade, attempt = one.advance(examined, self.grading, self._known)
        cells = examined.program.cells if examined.program else ()
        source = fingerprints.source(submission.student.id, cells)
        return First(grade, attempt is not None, source, similarity.network(examined, self.grading))

    def _known(self, attempt: Attempt) -> r.TrainingRun | r.Problem | None:
        return self.failed.get(attempt.key) or self.store.run(attempt)

    def _step(self, number: int) -> tuple[r.Grade, Attempt | None]:
        examined = examine(self.submissions[number].place, self.grading)
        return one.advance(examined, self.grading, self._known)

    # --- retraining -----------------------------------------------------------------------------

    def retrain(self, pending: list[int], runner: Runner) -> None:
        """Make the attempts that ``pending`` submissions need; equal ones once, however many wait."""
        ready = [(0, number) for number in pending]
        running: dict[str, Running] = {}
        futures: dict[Future[Runs], str] = {}
        while ready or futures:
            while ready and len(futures) < runner.slots:
                made, number = heappop(ready)
                if later := self._begin(made, number, runner, running, futures):
                    heappush(ready, (later, number))
            if not futures:
                continue
            done, _ = wait(futures, timeout=0.5, return_when=FIRST_COMPLETED)
            for future in done:
                finished = running.pop(futures.pop(future))
                self._finished(finished, future)
                for number in finished.waiting:
                    if self._updated(number):
                        heappush(ready, (finished.attempt.number, number))
            self.display.waiting(len(ready), len(futures))

    def _begin(
        self,
        made: int,
        number: int,
        runner: Runner,
        running: dict[str, Running],
        futures: dict[Future[Runs], str],
    ) -> int:
        """Begin the next attempt of submission ``number``, which had ``made`` of them when it was queued.

        Returns 0, or how many attempts it has by now, if that is more than ``made``.
        """
        grade, attempt = self._step(number)
        student = self.submissions[number].student
        if attempt is None:
            self.store.put_grade(student.id, grade)
            self.display.graded(student, grade, final=True)
        elif attempt.number > made + 1:
            return attempt.number - 1
        elif attempt.key in running:
            running[attempt.key].waiting.append(number)
        else:
            running[attempt.key] = Running(attempt, [number])
            watcher = self.display.watcher(student, attempt)
            futures[runner.begin(attempt, watcher)] = attempt.key
        return 0

    def _finished(self, finished: Running, future: Future[Runs]) -> None:
        attempt = finished.attempt
        try:
            runs = future.result()
        except (BrokenError, Unsupported) as error:
            self.failed[attempt.key] = r.Problem.of(error)
        except Exception:
            self.failed[attempt.key] = r.Problem.fault()
        else:
            for run in runs:
                self.store.keep_run(attempt.of(run.seed), run)
        seconds = time.monotonic() - finished.begun
        students = [self.submissions[number].student for number in finished.waiting]
        self.display.attempted(Attempted(students, attempt, self._known(attempt), seconds))

    def _updated(self, number: int) -> bool:
        """Store and show what is known of a submission now; return whether it needs another attempt."""
        grade, attempt = self._step(number)
        student = self.submissions[number].student
        self.store.put_grade(student.id, grade)
        self.display.graded(student, grade, final=attempt is None)
        return attempt is not None


@dataclass(frozen=True)
class Options:
    """How a class is graded; `Found` has the submissions, a rubric the criteria."""

    isolated: isolation.Wanted = "required"
    structure_only: bool = False
    fresh: bool = False
    only: tuple[str, ...] = ()
    runner: str = "local"
    settings: Settings = field(default_factory=Settings)


def grade_class(found: Found, rubric: LoadedRubric, store: Store, options: Options, display: Display) -> bool:
    """Grade what the store has not graded yet; return False if ^C came before the end.

    Raises `InstructorError` for what is wrong with the data or the store, `BrokenError` where no box works.
    """
    keeper = Keeper(store)
    conditions = {"rubric": rubric.digest, "isolated": options.isolated, "runner": options.runner}
    store.begin(json.dumps(conditions), options.fresh)
    display.say("looking for isolation and starting the process that describes")
    try:
        with prepare(rubric, True, Watcher(), options.isolated, many=True, kept=keeper) as grading:
            batch = Batch(found, grading, store, keeper, display, options.only)
            pending = batch.structure()
            if pending and not options.structure_only:
                settings = replace(options.settings, dataset=grading.dataset)
                _retrain(batch, pending, RUNNERS[options.runner](settings))
    except KeyboardInterrupt:
        store.end("interrupted")
        return False
    store.end("done")
    return True


def _retrain(batch: Batch, pending: list[int], runner: Runner) -> None:
    batch.display.say(f"{len(pending)} of {len(batch.submissions)} to be retrained; {runner.name}")
    try:
        batch.retrain(pending, runner)
    finally:
        runner.close()


def end_children() -> None:
    """Kill all that this process has started: a describing child may have minutes left."""
    for process in reversed(list(tree.descendants(os.getpid()))[1:]):
        with suppress(OSError):
            os.kill(process, signal.SIGKILL)
