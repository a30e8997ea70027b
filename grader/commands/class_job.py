"""Runs `grader batch`: discover, show what was found, grade, and show the class."""

from __future__ import annotations

import shlex
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from pydantic import ValidationError
from rich.console import Console

from grader import records as r
from grader.commands.class_display import Silent, display
from grader.commands.console import show
from grader.errors import InstructorError
from grader.grade.many import Options, grade_class
from grader.intake.discover import Found, discover
from grader.intake.discover import roster as rosters
from grader.judge import rubric as rubrics
from grader.report import class_table
from grader.report.interface import Screen, clean, line
from grader.runners import RUNNERS
from grader.store.store import Store

_SHOWN = 10


@dataclass(frozen=True)
class ClassJob:
    """The arguments of the command."""

    folder: Path
    rubric: str
    out: Path | None
    roster: Path | None
    assignment: str
    attempts: int | None
    dry_run: bool
    options: Options

    @property
    def results(self) -> Path:
        """The folder for results: ``out``, or one named after the class."""
        return self.out or Path(f"{self.folder.resolve().stem or 'class'}-results")


def run(
    job: ClassJob,
    console: Console,
    quiet: bool,
    screen: Screen,
    fail_under: float | None,
) -> int:
    """Grade a class, print its table and return the exit code.

    Raises `InstructorError` before anything is graded.
    """
    rubric = _rubric(job)
    if job.options.runner not in RUNNERS:
        raise InstructorError(f"no such runner: {job.options.runner}", f"There are: {', '.join(RUNNERS)}.")
    if job.results.resolve().is_relative_to(job.folder.resolve()):
        raise InstructorError(
            f"{job.results} lies among the submissions, where a student may have put results",
            "Start from the folder above, or name another place with --out.",
        )
    people = rosters.read(job.roster) if job.roster else ()
    with tempfile.TemporaryDirectory(prefix="grader-") as scratch:
        found = discover(job.folder, Path(scratch), job.assignment)
        entries, notes = _entries(found, people)
        _check_only(job, found)
        if job.dry_run:
            show(_overview(found, entries, notes, len(found.left_out)))
            return 0
        store = Store(job.results)
        try:
            store.put_class(rubric.rubric, entries, found.left_out, notes)
            with _terminated_as_interrupted(), display(console, quiet) as shown:
                done = _graded(job, found, entries, notes, rubric, store, shown)
            results = store.results()
        finally:
            store.close()
    show(class_table.render(clean(results), screen))
    show(f"\nKept in {job.results}" + ("" if done else f"; to go on: {_again()}"))
    return _exit_code(results, job, done, fail_under)


def _graded(
    job: ClassJob,
    found: Found,
    entries: list[Entry],
    notes: list[str],
    rubric: rubrics.LoadedRubric,
    store: Store,
    shown: Silent,
) -> bool:
    shown.say(_overview(found, entries, notes, _SHOWN))
    shown.begin(len(job.options.only) or len(found.submissions))
    return grade_class(found, rubric, store, job.options, shown)


def _rubric(job: ClassJob) -> rubrics.LoadedRubric:
    loaded = rubrics.load(job.rubric)
    if job.attempts is None:
        return loaded
    policy = loaded.rubric.training.model_dump() | {"attempts": job.attempts}
    try:
        training = r.TrainingPolicy.model_validate(policy)
    except ValidationError as error:
        why = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise InstructorError(f"--attempts {job.attempts}: {why}", "List more seeds in the rubric.") from None
    return loaded.model_copy(update={"rubric": loaded.rubric.model_copy(update={"training": training})})


# --- who is in the class --------------------------------------------------------------------------

Entry = tuple[r.Student, r.HandedIn | None]


def _entries(found: Found, people: tuple[rosters.Person, ...]) -> tuple[list[Entry], list[str]]:
    """Return everyone found or on the roster, sorted by id, and notes on the class."""
    students = [(s.student, s.handed_in) for s in found.submissions]
    matched, missing = rosters.match([(s, h.keys) for s, h in students], people)
    entries: list[Entry] = [(_called(s, matched.get(s.id)), h) for s, h in students]
    taken = {s.id for s, _ in students}
    entries += [(p.student, None) for p in missing if p.student.id not in taken]
    notes = list(found.notes)
    if people and (strangers := [s.id for s, _ in students if s.id not in matched]):
        notes.append(f"not on the roster: {', '.join(strangers[:50])}"[:2_000])
    return sorted(entries, key=lambda entry: entry[0].id), notes


def _called(student: r.Student, person: rosters.Person | None) -> r.Student:
    """Return the student with the roster's name and address; the id stays the folder's."""
    if person is None:
        return student
    listed = person.student
    return student.model_copy(update={"name": listed.name, "email": listed.email or student.email})


def _check_only(job: ClassJob, found: Found) -> None:
    known = [s.student.id for s in found.submissions]
    for student in job.options.only:
        if student not in known:
            shown = ", ".join(line(name) for name in known[:50])
            raise InstructorError(
                f"--only {line(student)}: nobody with this id handed in", f"There are: {shown}."
            )


def _overview(found: Found, entries: list[Entry], notes: list[str], most: int) -> str:
    late = sum(s.handed_in.late for s in found.submissions)
    missing = [line(s.id) for s, handed_in in entries if handed_in is None]
    count = f"{len(found.submissions)} submissions, read as {found.layout}"
    lines = [f"{count}, {late} late" if late else count]
    if most > _SHOWN or len(found.submissions) <= _SHOWN:
        lines += [
            f"  {line(s.student.id)}: {line(s.handed_in.path)}{_when(s.handed_in)}" for s in found.submissions
        ]
    lines += [f"  {len(missing)} handed in nothing: {', '.join(missing[:most])}"] * bool(missing)
    lines += [f"  left out: {line(x.path)}: {line(x.reason)}" for x in found.left_out[:most]]
    if len(found.left_out) > most:
        lines.append(f"  and {len(found.left_out) - most} more left out (see --dry-run)")
    return "\n".join([*lines, *(f"  {line(note)}" for note in notes)])


def _when(handed_in: r.HandedIn) -> str:
    return (f", {handed_in.submitted_at}" if handed_in.submitted_at else "") + ", late" * handed_in.late


# --- the end --------------------------------------------------------------------------------------


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Take SIGTERM as ^C within the block: the results so far are shown, and children are ended."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _again() -> str:
    return shlex.join(["grader", *(x for x in sys.argv[1:] if x != "--fresh")])


def _exit_code(results: r.ClassResults, job: ClassJob, done: bool, fail_under: float | None) -> int:
    grades = [e.grade for e in results.entries if e.grade]
    if not done:
        return 130
    if any(g.problem is not None and g.problem.kind == "broken" and g.needs_review for g in grades):
        return 3
    low = fail_under is not None and any(100 * g.points < fail_under * g.max_points for g in grades)
    return 1 if low else 0
