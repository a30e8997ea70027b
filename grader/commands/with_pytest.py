"""`grader pytest`: starts pytest so that nothing of a submission configures it.

pytest looks for its configuration in the folders that are named and above them, and obeys it before any
plugin is loaded: pytest imports what the configuration lists under `-p`, `filterwarnings` and `pythonpath`.
So grader starts pytest itself: in an isolated interpreter, with a configuration of grader's own, and with no
plugins but grader's and xdist.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from grader.data import cache
from grader.errors import InstructorError
from grader.report.interface import line

MODULE = "grader.commands.with_pytest"
CONFIGURATION = Path(__file__).with_name("pytest.ini")


def pytest_items(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            help="pytest's arguments, --grader-rubric RUBRIC and folders of submissions among them."
        ),
    ] = None,
) -> None:
    """Grade submissions as tests: pytest with grader's plugin, configured by nothing of a submission's.

    `grader pytest --help` is pytest's own help. Exit codes are pytest's; 3: no isolation works.
    """
    run(sys.argv[sys.argv.index("pytest") + 1 :])


def run(arguments: Sequence[str]) -> NoReturn:
    """Replace this process by pytest with these arguments.

    Raises `InstructorError` where that is impossible.
    """
    here = Path.cwd()
    if line(str(here), 4_000) != str(here):  # pytest prints where it was started
        raise InstructorError("the name of this folder cannot be shown", "Start from the folder above.")
    if find_spec("pytest") is None:
        raise InstructorError("pytest is not installed", "pip install pytest pytest-xdist")
    options = (*_ours(here), *_cache(here, arguments), *files(arguments))
    os.execve(sys.executable, [sys.executable, "-I", "-m", MODULE, *options], _environment())


def files(arguments: Sequence[str]) -> Iterator[str]:
    """Yield the arguments so that pytest takes no file among them for an option or for more arguments.

    A shell puts any existing names in place of `*`: an argument behind `--` is a file, and `@name` never is a
    file of arguments. Raises `InstructorError` for a name that pytest cannot be given.
    """
    only_files = False
    for argument in arguments:
        # pytest would take the name for the id of a test in another file, or print it unescaped.
        odd = "::" in argument or line(argument, 4_000) != argument
        if odd and os.path.lexists(argument):
            raise InstructorError(
                f"pytest cannot be given the file {line(argument)!r}", "Name its folder instead."
            )
        if argument == "--" and not only_files:
            only_files = True
        elif argument.startswith("@") or (only_files and argument.startswith("-")):
            yield f"./{argument}"
        else:
            yield argument


def _ours(here: Path) -> Iterator[str]:
    """Yield options that come first, so that an instructor's own `-c` and `--rootdir` override them."""
    yield from ("-c", str(CONFIGURATION), "--rootdir", str(here), "--confcutdir", str(here))
    yield from ("-p", "grader.commands.pytest_plugin")
    if find_spec("xdist") is not None:
        yield from ("-p", "xdist.plugin")


def _cache(here: Path, arguments: Sequence[str]) -> Iterator[str]:
    """Yield the option for `--lf`'s folder: in the user's cache, as the present folder may be a student's."""
    if "no:cacheprovider" in arguments:
        return
    place = cache.folder(f"pytest-{hashlib.sha256(os.fsencode(here)).hexdigest()[:16]}")
    yield from ("-p", "no:cacheprovider") if place is None else ("-o", f"cache_dir={place}")


def _environment() -> dict[str, str]:
    """Return an environment in which Python takes no module from the present folder or the user's packages.

    Without these variables xdist's workers, which `python -c` starts, would.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return kept | {"PYTHONSAFEPATH": "1", "PYTHONNOUSERSITE": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


if __name__ == "__main__":  # started by `run`; importing grader has cleared the path
    import pytest

    sys.argv[0] = "grader pytest"
    sys.exit(pytest.console_main())
