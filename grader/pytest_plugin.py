"""pytest as a grader: `pytest --grader-rubric rubrics/assignment4.toml submissions/`.

Each submission and criterion is a test item; a submission is graded when the first of its items
runs, and under xdist all of its items run in one worker. Without the option nothing of pytest
changes, and nothing but this file is loaded.

With it every folder among the arguments is a class, whose entries are submissions, and every file a
submission. No `conftest.py` is loaded and no test module imported then:
they could be students'.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from grader.grading import Grading
    from grader.records import Grade, Verdict
    from grader.rubric import LoadedRubric

SUFFIXES = (".ipynb", ".py", ".md", ".markdown", ".keras", ".h5", ".hdf5", ".zip")
_state = pytest.StashKey["_State"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("grader", "grading submissions")
    group.addoption(
        "--grader-rubric",
        metavar="RUBRIC",
        help="Grade submissions by this rubric: its path, or the name of one that ships. A folder among the "
        "arguments is a class, a file a submission. No conftest.py is loaded then.",
    )
    group.addoption(
        "--grader-no-retrain", action="store_true", help="Answer the structural criteria only; skip the rest."
    )
    group.addoption(
        "--grader-isolation",
        choices=("required", "preferred", "none"),
        default="required",
        help="Isolation of the submissions' code (default: required; `none` is for your own work).",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    if early_config.known_args_namespace.grader_rubric:
        early_config.known_args_namespace.noconftest = True


def pytest_configure(config: pytest.Config) -> None:
    rubric = config.getoption("grader_rubric")
    if rubric:
        config.stash[_state] = _State(config, rubric)


def pytest_unconfigure(config: pytest.Config) -> None:
    if _state in config.stash:
        config.stash[_state].close()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """The items of a submission go to one worker, so that it is graded once."""
    if _state not in config.stash:
        return None
    from xdist.scheduler import LoadScopeScheduling

    return LoadScopeScheduling(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collect_directory(path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    state = parent.config.stash.get(_state, None)
    if state is None:
        return None
    return Class.from_parent(parent, path=path) if path in state.classes else None


@pytest.hookimpl(tryfirst=True)
def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    state = parent.config.stash.get(_state, None)
    if state is None or file_path.suffix.lower() not in SUFFIXES:
        return None
    return Submission.from_parent(parent, path=file_path)


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """A test module among submissions is one of them, and never imported."""
    return pytest_collect_file(module_path, parent)


class _State:
    """The rubric, and the machinery of grading once something is graded."""

    def __init__(self, config: pytest.Config, rubric: str) -> None:
        from grader.errors import InstructorError
        from grader.rubric import load

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
        from rich.console import Console

        from grader import pipeline, progress
        from grader.grading import prepare

        if self._grading is None:
            watcher = self._open.enter_context(progress.watcher(Console(stderr=True), True))
            self._grading = self._open.enter_context(
                prepare(self.rubric, self.retrain, watcher, self.isolation)
            )
        return pipeline.grade_one(path, self._grading)

    def close(self) -> None:
        self._open.close()


class Class(pytest.Directory):
    """A folder of submissions: one file or folder for each."""

    def collect(self) -> Iterator[pytest.Collector]:
        for path in sorted(self.path.iterdir()):
            if path.name.startswith((".", "__")) or path.name == "conftest.py":
                continue
            if path.is_dir() or path.suffix.lower() in SUFFIXES:
                yield Submission.from_parent(self, path=path)


class Submission(pytest.File):
    """One submission: an item for each criterion of the rubric."""

    _grade: Grade | None = None

    def collect(self) -> Iterator[pytest.Item]:
        for criterion in self.config.stash[_state].rubric.rubric.criterion:
            yield CriterionItem.from_parent(self, name=criterion.id)

    def grade(self) -> Grade:
        if self._grade is None:
            self._grade = self.config.stash[_state].grade(self.path)
        return self._grade


class CriterionItem(pytest.Item):
    """One criterion of one submission: passes, fails with the verdict's message, or is skipped."""

    parent: Submission

    def runtest(self) -> None:
        grade = self.parent.grade()
        verdict = next(v for v in grade.verdicts if v.criterion == self.name)
        if grade.problem is not None and verdict.outcome in ("not_reached", "broken"):
            raise NotMet(_problem(grade))
        _judge(verdict)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        from grader.errors import GraderError

        if isinstance(excinfo.value, NotMet | GraderError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, None, f"{self.path.name}: {self.name}"


class NotMet(Exception):
    """A required criterion that is not met; its text is the verdict's."""


def _judge(verdict: Verdict) -> None:
    from grader.report import marks, words

    points = f"{words.points(verdict.points)} of {words.points(verdict.max_points)} points"
    told = f"{verdict.title}: {words.OUTCOME[verdict.outcome]}, {points}\n{marks.told(verdict)}"
    if marks.passed(verdict):
        return
    if verdict.outcome == "not_reached" and not verdict.needs_review:
        pytest.skip(verdict.message)
    if not verdict.required:
        pytest.xfail(f"optional: {verdict.message}")
    raise NotMet(f"A person must look. {told}" if verdict.needs_review else told)


def _problem(grade: Grade) -> str:
    from grader.report import marks

    return marks.problem(grade)
