"""`grader report`, and the option `-f` of commands that grade."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grader import __version__
from grader.commands.console import screen as terminal
from grader.commands.console import show
from grader.commands.options import Throwaway
from grader.errors import GraderError, InstructorError

if TYPE_CHECKING:
    from grader.records import ClassResults, Grade
    from grader.report.interface import Context, Files, Report, Screen


def report(
    results: Annotated[
        Path,
        typer.Argument(
            help="The output of `check --json`, a folder of such files, or the results of a batch."
        ),
    ],
    format_: Annotated[str, typer.Option("--format", "-f", help="The format; `-f list` names them all.")],
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", help="A file, or a folder (ends in /, or exists) for one per student."
        ),
    ] = "",
    student: Annotated[str, typer.Option("--student", help="Only this student.")] = "",
    gradebook: Annotated[
        Path | None,
        typer.Option("--gradebook", help="The export of Canvas or Moodle that is to be filled in."),
    ] = None,
    column: Annotated[str, typer.Option("--column", help="The assignment in that file: title or id.")] = "",
    throwaway: Throwaway = False,
) -> None:
    """Make a report of stored results, in any format; nothing is graded again."""
    from grader.report import FORMATS, deliver
    from grader.report.interface import Context
    from grader.store import results as stored

    if format_ == "list":
        show("\n".join(FORMATS))
        return
    chosen = deliver.known(format_)
    found = _only(stored.read(results), student)
    context = Context(
        **vars(terminal(not output)), gradebook=gradebook, column=column, throwaway=throwaway,
        environment=os.environ,
    )  # fmt: skip
    each = chosen.single and _is_folder(output)
    grade = found.entries[0].grade if len(found.entries) == 1 else None
    if grade is not None and chosen.single and not each and (student or results.is_file()):
        made: Report | Files = deliver.of_one(grade, format_, context)
    else:
        made = deliver.make(found, format_, context, each)
    if not output:
        if isinstance(made, dict):
            raise InstructorError(f"{format_} makes several files", "Name a folder with -o.")
        show(made)
        return
    for path in deliver.write(made, Path(output), chosen.appended):
        if path.name == "remarks.txt":
            show(path.read_text(encoding="utf-8"))


def _is_folder(path: str) -> bool:
    return path.endswith(("/", os.sep)) or (path != "" and Path(path).is_dir())


def _only(results: ClassResults, student: str) -> ClassResults:
    if not student:
        return results
    entries = tuple(entry for entry in results.entries if entry.student.id == student)
    if not entries:
        raise InstructorError(f"no student {student!r} in these results", "The id is what the table shows.")
    return results.model_copy(update={"entries": entries, "similar": (), "left_out": ()})


# --- -f on `check` ------------------------------------------------------------------------------


@contextlib.contextmanager
def fallback(formats: list[tuple[str, Path | None]], submission: Path, context: Context) -> Iterator[None]:
    """Write reports for platforms also where the block ends in an error of grader's or the machine's.

    The student's platform then shows that grading failed, instead of a job in progress for ever.
    """
    try:
        yield
    except BaseException as error:
        from grader.report import deliver

        broken = _broken(submission, error)
        trusted = replace(context, throwaway=True)  # the report holds no result
        for name, path in formats:
            if path is not None and deliver.known(name).reader == "container":
                with contextlib.suppress(GraderError, OSError):
                    made = deliver.of_one(broken, name, trusted)
                    deliver.write(made, path, deliver.known(name).appended)
        raise


def _broken(submission: Path, error: BaseException) -> Grade:
    from grader import records as r

    ours = error.message if isinstance(error, GraderError) else f"{type(error).__name__}: {error}"
    kind = "interrupted" if isinstance(error, KeyboardInterrupt) else "broken"
    return r.Grade(
        submission=submission.name,
        rubric="",
        status="interrupted" if kind == "interrupted" else "needs_person",
        points=0,
        max_points=0,
        needs_review=True,
        verdicts=(),
        problem=r.Problem(kind=kind, message=ours),
        provenance=r.Provenance(
            grader_version=__version__,
            submission_digest="",
            rubric_digest="",
            dataset="",
            dataset_digest="",
            seeds=(),
            isolation="",
            isolated=False,
            contained=True,  # nothing of the submission's is in the report
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        ),
    )


def outputs(grade: Grade, formats: list[tuple[str, Path | None]], context: Context) -> None:
    """Write the formats that have a path, then print the others.

    The report for people is printed if nothing else is.
    """
    from grader.report import deliver

    made = [(name, path, deliver.of_one(grade, name, context)) for name, path in formats]
    for name, path, text in made:
        if path is not None:
            plain = replace(context, colour=False)
            deliver.write(
                deliver.of_one(grade, name, plain) if context.colour else text,
                path,
                deliver.known(name).appended,
            )
    printed = [text for _, path, text in made if path is None]
    for text in printed or [deliver.of_one(grade, "terminal", context)]:
        show(text)


def of_class(path: Path, formats: list[tuple[str, Path | None]], screen: Screen) -> None:
    """Write or print each of the ``formats`` for a class that was just graded into ``path``."""
    from grader.report import deliver
    from grader.report.interface import Context
    from grader.store import results

    found = results.read(path)
    for name, target in formats:
        plain = Context(width=screen.width, colour=screen.colour and target is None, environment=os.environ)
        chosen = deliver.known(name)
        folder = target is not None and (target.is_dir() or not target.suffix)
        each = folder and chosen.single
        made = deliver.make(found, name, plain, each or chosen.many is None)
        if target is not None:
            deliver.write(made, target, chosen.appended)
        elif isinstance(made, dict):
            raise InstructorError(f"{name} makes several files", f"Name a folder: -f {name}=FOLDER/.")
        else:
            show(made)
