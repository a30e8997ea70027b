"""Prints reports, and ends commands: every error becomes a message and an exit code."""

from __future__ import annotations

import os
import shutil
import sys
import traceback
from typing import TYPE_CHECKING, NoReturn, cast

import typer

from grader.errors import BrokenError, GraderError, InstructorError, Unsupported

if TYPE_CHECKING:
    from grader.report.interface import Report, Screen

# The base of typer's errors of usage: click's UsageError, or the copy of it that newer versions hold.
_WRONG_USAGE = cast("type[typer.BadParameter]", typer.BadParameter.__mro__[1])


def run(app: typer.Typer) -> NoReturn:
    """Run the command that the arguments name, and end this process."""
    try:
        sys.exit(app(standalone_mode=False))
    except typer.Abort:  # ^C
        sys.exit(130)
    except InstructorError as error:
        _fail(error, 2)
    except (BrokenError, Unsupported) as error:
        _fail(error, 3)
    except GraderError as error:
        _fail(error, 1)
    except _WRONG_USAGE as error:
        usage = error.ctx.get_usage() if error.ctx else ""
        _fail(InstructorError(error.format_message(), usage), error.exit_code)
    except Exception:  # a bug of ours is never a verdict, and its traceback may hold a student's text
        _fail(BrokenError(traceback.format_exc(), "This is a fault of grader's: please report it."), 3)


def _fail(error: GraderError, code: int) -> NoReturn:
    from grader.report.interface import inert, marked

    lines = [marked(error.message, "grader: ")]
    lines += [marked(error.excerpt, "    > ")] if error.excerpt else []
    lines += [inert(marked(error.hint, "  "))] if error.hint else []
    print("\n".join(lines), file=sys.stderr)
    sys.exit(code)


def screen(may_colour: bool = True) -> Screen:
    """Return the terminal's width in characters, and whether to use colours.

    Colours are only for a terminal on which nobody has switched them off.
    """
    from grader.report.interface import Screen

    colour = may_colour and sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    return Screen(width=min(120, shutil.get_terminal_size((100, 24)).columns), colour=colour)


def show(text: Report) -> None:
    """Print a report, as UTF-8 whatever the terminal's encoding, with one newline at the end."""
    raw = text.encode("utf-8", "replace") if isinstance(text, str) else text
    sys.stdout.buffer.write(raw + b"\n" * (not raw.endswith(b"\n")))
    sys.stdout.flush()
