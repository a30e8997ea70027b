"""pytest as a grader: `grader pytest --grader-rubric rubrics/assignment4.toml submissions/`.

Each submission and criterion is a test item; a submission is graded when the first of its items runs, and
under xdist all items of a submission run in one worker. Without the option pytest behaves as ever, and only
this file is loaded.

With the option every folder among the arguments is a class, whose entries are submissions, and every file a
submission. No `conftest.py`, test module or `__init__.py` is imported then: a student could have written it.
A student could also have written the configuration that pytest reads before any plugin is loaded, and the
modules in the folder in which pytest is started. So the option is refused where pytest was not started by
`grader pytest` (`grader.commands.with_pytest`), or just as carefully.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

if TYPE_CHECKING:
    from grader.grade.session import Grading
    from grader.judge.rubric import LoadedRubric
    from grader.records import Grade, Verdict

SUFFIXES = (".ipynb", ".py", ".md", ".markdown", ".keras", ".h5", ".hdf5", ".zip")
_state = pytest.StashKey["_State"]()
Node = TypeVar("Node", bound=pytest.Collector)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options `--grader-…`."""
    group = parser.getgroup("grader", "grading submissions")
    group.addoption(
        "--grader-rubric",
        metavar="RUBRIC",
        help="Grade submissions by this rubric: its path, or the name of one that ships. A folder among the "
        "arguments is a class, a file a submission. No conftest.py is loaded then. Needs `grader pytest`.",
    )
    group.addoption(
        "--grader-no-retrain", action="store_true", help="Answer the structural criteria only; skip the rest."
    )
    group.addoption(
        "--grader-isolation",
        choices=("required", "none"),
        default="required",
        help="Isolation of the submissions' code (default: required; `none` is for your own work).",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config, parser: pytest.Parser) -> None:
    """Switch off every conftest.py, and refuse to start where a submission could configure pytest."""
    if early_config.known_args_namespace.grader_rubric:
        _refuse_configuration(early_config, parser)
        early_config.known_args_namespace.noconftest = True


def _refuse_configuration(config: pytest.Config, parser: pytest.Parser) -> None:
    """Raise `pytest.UsageError` where a file that nobody named configures pytest, or could be imported.

    Only the command line itself counts: a configuration file could name itself.
    """
    named = parser.parse_known_args(list(config.invocation_params.args)).inifilename
    own = named is not None and Path(os.path.abspath(named)) == config.inipath
    if not own or not sys.flags.safe_path:
        raise pytest.UsageError(
            "Submissions are not graded by pytest as it was started: their folders may hold configuration "
            "and modules that pytest takes for its own.\n"
            "Start it as: grader pytest --grader-rubric RUBRIC FOLDER"
        )


def pytest_configure(config: pytest.Config) -> None:
    """Load the rubric, and end pytest where isolation is required and no box works."""
    rubric = config.getoption("grader_rubric")
    if rubric:
        config.stash[_state] = _State(config, rubric)
        if config.getoption("grader_isolation") == "required" and not config.option.collectonly:
            _need_isolation()


def _need_isolation() -> None:
    """Exit with code 3 where no box works: then nothing is graded, and nothing passes or fails."""
    from grader.box import isolation
    from grader.errors import BrokenError

    try:
        isolation.choose("required")
    except BrokenError as error:
        pytest.exit(f"{error.message}\n{error.hint}", 3)


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Warn above the results where submissions run without isolation."""
    if _state in config.stash and config.stash[_state].isolation == "none":
        return ["grader: WITHOUT ISOLATION, for your own work only"]
    return []


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the children that graded."""
    if _state in config.stash:
        config.stash[_state].close()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Send all items of a submission to one worker, so that the submission is graded once."""
    if _state not in config.stash:
        return None
    from xdist.scheduler import LoadScopeScheduling

    return LoadScopeScheduling(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collect_directory(path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect a class or a folder, and never a package, whose `__init__.py` pytest would import."""
    return _folder(path, parent) if _state in parent.config.stash else None


@pytest.hookimpl(tryfirst=True)
def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect a file as a submission if its suffix is one that grader reads."""
    state = parent.config.stash.get(_state, None)
    if state is None or file_path.suffix.lower() not in SUFFIXES:
        return None
    return _cleaned(Submission, parent, file_path)


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect a test module among submissions as a submission, without importing it."""
    return pytest_collect_file(module_path, parent)


def _folder(path: Path, parent: pytest.Collector) -> Folder | Class:
    is_class = path in parent.config.stash[_state].classes
    return _cleaned(Class, parent, path) if is_class else _cleaned(Folder, parent, path)


def _cleaned(kind: type[Node], parent: pytest.Collector, path: Path) -> Node:
    """Make a node whose name and id may be printed, whatever its file is called; no two have the same id."""
    root = parent.config.rootpath
    parts = path.relative_to(root).parts if path.is_relative_to(root) else path.parts
    shown = [_shown(part) for part in parts]
    known = {} if shown == list(parts) else {"name": shown[-1], "nodeid": "/".join(shown)}
    node: Node = kind.from_parent(parent, path=path, **known)
    return node


def _shown(name: str) -> str:
    """Return the name on one line, without anything that separates ids or begins a command of a CI runner.

    Where that changes the name, a part of the original's digest is appended.
    """
    from grader.report.interface import line

    shown = line(name, 1_000).replace("::", ": :").replace("##", "# #")
    if shown == name:
        return name
    return f"{shown} ({hashlib.sha256(name.encode(errors='surrogateescape')).hexdigest()[:8]})"


class _State:
    """The rubric, and the machinery of grading once anything is graded."""

    def __init__(self, config: pytest.Config, rubric: str) -> None:
        from grader.errors import InstructorError
        from grader.judge.rubric import load

        try:
            self.rubric: LoadedRubric = load(rubric)
        except InstructorError as error:
            raise pytest.UsageError(f"{error.message}\n{error.hint}") from None
        names = [arg.split("::")[0] for arg in config.args]
        self.classes = {Path(config.invocation_params.dir, name).resolve() for name in names}
        self.retrain = not config.getoption("grader_no_retrain")
        self.isolation = config.getoption("grader_isolation")
        self._open = contextlib.ExitStack()
        self._grading: Grading | None = None

    def grade(self, path: Path) -> Grade:
        """Grade one submission; the first call starts the machinery."""
        from grader.ask.training import Watcher
        from grader.grade import one
        from grader.grade.session import prepare

        if self._grading is None:
            self._grading = self._open.enter_context(
                prepare(self.rubric, self.retrain, Watcher(), self.isolation)
            )
        return one.grade_one(path, self._grading)

    def close(self) -> None:
        """End the machinery."""
        self._open.close()


class Folder(pytest.Directory):
    """A folder above the named ones, which pytest searches for them."""

    def collect(self) -> Iterator[pytest.Collector]:
        """Yield folders, and files that grader reads."""
        for path in sorted(self.path.iterdir()):
            if os.path.isdir(path):
                yield _folder(path, self)
            elif path.suffix.lower() in SUFFIXES:
                yield _cleaned(Submission, self, path)


class Class(pytest.Directory):
    """A folder of submissions: one file or folder for each."""

    def collect(self) -> Iterator[pytest.Collector]:
        """Yield the submissions, without hidden and private names."""
        for path in sorted(self.path.iterdir()):
            if path.name.startswith((".", "__")) or path.name == "conftest.py":
                continue
            if os.path.isdir(path) or path.suffix.lower() in SUFFIXES:
                yield _cleaned(Submission, self, path)


class Submission(pytest.File):
    """One submission: an item for each criterion of the rubric."""

    _grade: Grade | None = None

    def collect(self) -> Iterator[pytest.Item]:
        """Yield an item for each criterion."""
        for criterion in self.config.stash[_state].rubric.rubric.criterion:
            yield CriterionItem.from_parent(self, name=criterion.id)

    def grade(self) -> Grade:
        """Grade the submission on the first call; return the same grade on later ones."""
        if self._grade is None:
            self._grade = self.config.stash[_state].grade(self.path)
        return self._grade


class CriterionItem(pytest.Item):
    """One criterion of one submission: passes, fails with the verdict's message, or is skipped."""

    parent: Submission

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        isolation = self.config.stash[_state].isolation
        self.user_properties.append(("isolated", str(isolation == "required").lower()))

    def runtest(self) -> None:
        """Raise `NotMet` for a verdict that does not pass, or for the problem that left it open."""
        grade = self.parent.grade()
        verdict = next(v for v in grade.verdicts if v.criterion == self.name)
        if grade.problem is not None and verdict.outcome in ("not_reached", "broken"):
            raise NotMet(_problem(grade))
        _judge(verdict)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Return the failure as marked lines: a verdict or an error of grader's without a traceback."""
        from grader.errors import GraderError
        from grader.report.interface import marked

        known = isinstance(excinfo.value, NotMet | GraderError)
        return marked(str(excinfo.value if known else super().repr_failure(excinfo, style)), "E   ")

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Return the path and the item's title in forms that may be printed."""
        path = Path(*map(_shown, self.path.parts))
        return path, None, f"{path.name}: {self.name}"


class NotMet(Exception):
    """A required criterion that is not met; the exception's text is the verdict's."""


def _judge(verdict: Verdict) -> None:
    from grader.report import marks, words
    from grader.report.interface import line

    points = f"{words.points(verdict.points)} of {words.points(verdict.max_points)} points"
    text = f"{verdict.title}: {words.OUTCOME[verdict.outcome]}, {points}\n{marks.told(verdict)}"
    if marks.passed(verdict):
        return
    if verdict.outcome == "not_reached" and not verdict.needs_review:
        pytest.skip(line(verdict.message, 1_000))
    if not verdict.required:
        pytest.xfail(f"optional: {line(verdict.message, 1_000)}")
    raise NotMet(f"A person must look. {text}" if verdict.needs_review else text)


def _problem(grade: Grade) -> str:
    from grader.report import marks

    return marks.problem(grade)
