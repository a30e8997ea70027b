"""Outside the box a student's folder is data: every entry point, beside all that tools obey.

Each process meets all planted files at once. None of them may be obeyed, isolation stays on, and the grade is
that of the same model in a clean folder.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from planted import BAD_NAME, plant

from grader.box import isolation

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "submissions" / "8-saved-keras" / "model.keras"
GRADER = Path(sysconfig.get_path("scripts")) / "grader"
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
STRUCTURE = ("--no-retrain", "--isolation", "--quiet")
ITEMS = ("--grader-rubric", "assignment4", "--grader-no-retrain", "-p", "no:cacheprovider")

Done = subprocess.CompletedProcess[str]


class Course:
    """A class with the model of one student, and a folder of another's; all of it planted full."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.canaries = place / "canaries"
        self.klass, self.work, self.clean = place / "class", place / "class" / "beta", place / "clean"
        self.canaries.mkdir()
        for folder in (self.klass, self.work):
            folder.mkdir()
            # A class is no checkout, or it would be one student's.
            plant(folder, MODEL.read_bytes(), self.canaries, repository=folder is self.work)
        self.clean.mkdir()
        (self.clean / "model.keras").write_bytes(MODEL.read_bytes())

    def run(self, cwd: Path, *command: str | Path, **environment: str) -> Done:
        """A process as a user starts it; afterwards no canary has sung, and nothing odd is printed."""
        done = subprocess.run(
            command,
            cwd=cwd,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert [x.name for x in self.canaries.iterdir()] == [], done.stdout + done.stderr
        assert "\x1b" not in done.stdout + done.stderr
        assert not re.search(r"^\s*::error::x", done.stdout + done.stderr, re.MULTILINE)
        return done


@pytest.fixture(scope="module")
def course(box: isolation.Isolation, tmp_path_factory: pytest.TempPathFactory) -> Course:
    return Course(tmp_path_factory.mktemp("outside"))


@pytest.fixture(scope="module")
def honest(course: Course) -> dict[str, Any]:
    """What the model is worth where nothing is planted."""
    return essence(course.run(course.clean, GRADER, "check", "model.keras", *STRUCTURE, "--json").stdout)


def essence(report: str) -> dict[str, Any]:
    """A report without the time at which it was made."""
    made: dict[str, Any] = json.loads(report)
    assert made["provenance"].pop("isolated") is True
    del made["provenance"]["created"]
    return made


def test_the_canaries_sing(tmp_path: Path) -> None:
    """What is planted is obeyed by tools that are started beside it, or the tests here would show nothing."""
    course = Course(tmp_path)
    for command in (
        (sys.executable, "-m", "pytest"),
        (sys.executable, "-m", "venv", tmp_path / "x"),
        (sys.executable, "-m", "grader"),
        (sys.executable, "-c", "import json"),
        ("git", "status"),
    ):
        subprocess.run(
            command,
            cwd=course.work,
            env=os.environ | {"PYTHONPATH": "."},
            capture_output=True,
            timeout=60,
            check=False,
        )
    sung = {x.name for x in course.canaries.iterdir()}
    assert {
        "sitecustomize.py",
        "pytest+__init__.py",
        "venv.py",
        "grader+__init__.py",
        "json.py",
        "fsmonitor",
    } <= sung
    for canary in course.canaries.iterdir():
        canary.unlink()
    (course.work / "pytest" / "__init__.py").unlink()
    (course.work / "pytest").rmdir()
    subprocess.run(
        [sys.executable, "-P", "-m", "pytest", course.work], cwd=tmp_path, capture_output=True, check=False
    )
    assert "evil.py" in {x.name for x in course.canaries.iterdir()}


def test_commands_started_in_a_students_folder(course: Course, honest: dict[str, Any]) -> None:
    """check, describe and rubric: the shipped rubric by its name, the same grade, and no file obeyed."""
    done = course.run(course.work, GRADER, "check", "model.keras", *STRUCTURE, "--json")
    assert essence(done.stdout) == honest
    bad = course.run(course.work, GRADER, "check", *STRUCTURE, "--", BAD_NAME)
    assert "STRUCTURE PASSES" in bad.stdout
    assert "red.keras" in bad.stdout.splitlines()[0]
    shown = course.run(course.work, GRADER, "describe", "model.keras", "--isolation")
    assert "(graded): total" in shown.stdout
    assert (
        "Assignment 4"
        in json.loads(course.run(course.work, GRADER, "rubric", "show", "assignment4").stdout)["title"]
    )
    whole = course.run(course.work, GRADER, "check", ".", *STRUCTURE)
    assert "several files could be the submission" in " ".join(whole.stdout.split())
    named = course.run(course.work, GRADER, "check", *STRUCTURE, BAD_NAME, "gone.keras")
    assert named.returncode == 2
    assert "unexpected extra argument" in named.stderr


def test_children_of_grader(
    course: Course, sides: Callable[..., Path], network_of: Callable[[int], str]
) -> None:
    """A script in its box among all the modules; the boxes, the fork server and the training child of `doctor`."""
    (course.work / "work.py").write_text(network_of(3))
    inside = course.run(course.work, GRADER, "check", ".", *STRUCTURE, "--rubric", str(sides(seconds=60)))
    assert "STRUCTURE PASSES" in inside.stdout
    (course.work / "work.py").unlink()
    found = json.loads(course.run(course.work, GRADER, "doctor", "--json").stdout)
    states = {finding["subject"]: finding["state"] for finding in found}
    assert (states["strangers' code"], states["retraining"]) == ("works", "works")


def test_python_m_grader(course: Course) -> None:
    """Started as a module it leaves the folder alone as well, but for a package of its own name."""
    shutil.rmtree(course.klass / "grader")
    done = course.run(course.klass, sys.executable, "-m", "grader", "rubric", "validate", "assignment4")
    assert "60,000 training" in done.stdout


def test_no_relative_entry_is_on_the_path(course: Course) -> None:
    """Python looks there for sitecustomize.py before anything else runs: grader's installation leaves none.

    (Where this fails, install grader again by `make`.) What other packages leave goes when grader is loaded.
    """
    left = "import os, sys; print([p for p in sys.path if not os.path.isabs(p)])"
    assert course.run(course.work, sys.executable, "-I", "-c", left).stdout == "[]\n"
    later = f"import sys; sys.path.append('relative'); import grader; {left}"
    assert course.run(course.work, sys.executable, "-I", "-c", later).stdout == "[]\n"


def test_a_class_and_its_results(course: Course, honest: dict[str, Any]) -> None:
    """batch from above and from within, then report and set in a student's folder."""
    results = course.place / "results"
    narrow = ("--only", "model", "--structure-only", "--quiet")
    within = course.run(course.klass, GRADER, "batch", ".", *narrow)
    assert within.returncode == 2
    assert "lies among the submissions" in within.stderr
    done = course.run(course.klass, GRADER, "batch", ".", *narrow, "--out", results)
    assert done.returncode == 0, done.stderr
    told = course.run(course.work, GRADER, "report", results, "-f", "json", "--student", "model")
    grade = essence(told.stdout)
    assert (grade["model"], grade["status"], grade["points"]) == tuple(
        honest[x] for x in ("model", "status", "points")
    )
    by_hand = course.run(
        course.work, GRADER, "set", results, "model", "parameters", "--points", "1", "--reason", "seen"
    )
    assert "parameters is 1/" in by_hand.stdout


WAYS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "above",
        ("class/beta", "class/beta/model.keras", "{place}/class/model.keras", "-v", "-k", "model or red"),
    ),
    ("above", ("class/beta/model.keras::parameters", "-q", "-c", "own.ini", "--rootdir", "class")),
    ("class", (".", "-n", "2", "-v", "-k", "model and parameters")),
    ("class", ("beta", "-vv", "-k", "red and parameters")),
    ("work", ("-q", "-k", "model and parameters")),
)


@pytest.mark.parametrize(("where", "told"), WAYS, ids=[" ".join(told) for _, told in WAYS])
def test_pytest_in_all_ways_of_naming_folders(course: Course, where: str, told: tuple[str, ...]) -> None:
    """No configuration but grader's own, or the file that an instructor names, is read."""
    (course.place / "own.ini").write_text("[pytest]\naddopts = --strict-markers\n")
    cwd = {"above": course.place, "class": course.klass, "work": course.work}[where]
    named = [argument.format(place=course.place) for argument in told]
    done = course.run(cwd, GRADER, "pytest", *ITEMS, *named)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\d+ passed", done.stdout)
    assert "WITHOUT ISOLATION" not in done.stdout


def test_pytest_and_what_a_shell_makes_of_a_star(course: Course) -> None:
    """Names that look like options or files of options are files, in a folder that is named by `*`."""
    command = f'"{GRADER}" pytest {" ".join(ITEMS)} -v -k "model and parameters" -- '
    done = course.run(course.work, "bash", "-c", command + "[!w]*.keras")
    assert "1 passed" in done.stdout, done.stdout + done.stderr
    others = course.run(course.work, "bash", "-c", command + "[!w]*")
    assert others.returncode == 4  # pytest wants files that can be graded
    assert "not found" in others.stderr
    assert "beta/@options" in others.stderr
    refused = course.run(course.work, "bash", "-c", command + "*")
    assert refused.returncode == 2
    assert "pytest cannot be given the file" in refused.stderr


def test_pytest_itself_refuses(course: Course) -> None:
    """Started in any other way, whatever is in force, nothing is graded; isolation cannot be turned off."""
    mild = course.place / "mild"
    mild.mkdir()
    (mild / "model.keras").write_bytes(MODEL.read_bytes())
    (mild / "pytest.ini").write_text(f"[pytest]\naddopts = --grader-isolation=none -c {mild}/pytest.ini\n")
    for start, told in (("-m", ()), ("-Pm", ()), ("-m", ("-c", "pytest.ini"))):
        done = course.run(mild, sys.executable, start, "pytest", *ITEMS, *told)
        assert done.returncode == 4
        assert "Start it as: grader pytest" in done.stderr
    own = course.run(
        mild, sys.executable, "-Pm", "pytest", *ITEMS, "-c", "../own.ini", "--collect-only", "-q"
    )
    assert own.returncode == 0, own.stderr


def test_the_hook(course: Course) -> None:
    """pre-commit hands over names behind the entry: none that is an option, and a bad name is shown clean."""
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    names = ("work.ipynb", "--rubric=x.ipynb", "-x.ipynb", "a/-x.ipynb", "a\nb.ipynb", "x.py")
    assert [name for name in names if re.search(hook["files"], name)] == [
        "work.ipynb",
        "a/-x.ipynb",
        "a\nb.ipynb",
    ]
    name = "w\n::error::x\x1b[31m.ipynb"
    (course.work / name).write_text('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 4}')
    done = course.run(course.work, GRADER, *hook["entry"].split()[1:], name)
    assert done.returncode == 1
    assert "holds no code" in " ".join(done.stdout.split())
    assert course.run(course.work, GRADER, *hook["entry"].split()[1:], name, "model.keras").returncode == 2


def test_the_action(course: Course, honest: dict[str, Any]) -> None:
    """Its scripts, run by bash in the checkout: an environment, an installation, and the same grade."""
    runner = course.place / "runner"
    package = course.place / "action"
    (runner / "grader").mkdir(parents=True)
    package.mkdir()
    (package / "requirements.lock").write_text("")
    (package / "pyproject.toml").write_text('[project]\nname = "stands-for-grader"\nversion = "1"\n')
    output, summary = runner / "output", runner / "summary"
    environment = {
        "RUNNER_TEMP": str(runner), "ACTION": str(package), "PIP_NO_INDEX": "1",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "GITHUB_OUTPUT": str(output), "GITHUB_STEP_SUMMARY": str(summary), "GITHUB_ACTIONS": "true",
        "SUBMISSION": "model.keras", "RUBRIC": "assignment4", "RETRAIN": "false",
    }  # fmt: skip
    steps = {step["name"]: step["run"] for step in ACTION["runs"]["steps"] if "run" in step}
    bash = ("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c")
    inside = runner / "grader" / Path(sysconfig.get_path("purelib")).relative_to(sys.prefix)
    inside.mkdir(parents=True)
    (inside / "tools.pth").write_text(sysconfig.get_path("purelib"))  # setuptools, to build without an index
    installed = course.run(course.work, *bash, steps["Install grader"], **environment)
    assert installed.returncode == 0, installed.stderr
    assert list(inside.glob("stands_for_grader*"))
    (inside / "tools.pth").unlink()
    (runner / "grader" / "bin" / "python").unlink()
    (runner / "grader" / "bin" / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (runner / "grader" / "bin" / "python").chmod(0o755)
    graded = course.run(course.work, *bash, steps["Grade"], **environment)
    assert graded.returncode == 0, graded.stderr
    written = dict(line.split("=", 1) for line in output.read_text().splitlines())
    assert written["result"] == honest["status"]
    assert float(written["points"]) == honest["points"]
    assert summary.read_text().startswith("# model")


def test_gradescope(course: Course, honest: dict[str, Any], alone: tuple[str, ...]) -> None:
    """run_autograder with all of it handed in, started beside it."""
    root = course.place / "autograder"
    built = course.run(
        course.work, GRADER, "gradescope", "build", course.place / "a.zip", "--rubric", "assignment4"
    )
    assert built.returncode == 0, built.stderr
    with zipfile.ZipFile(course.place / "a.zip") as archive:
        archive.extractall(root / "source")
    python = root / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    made = []
    for modules in (False, True):  # every module is a candidate for the submission itself
        submission = root / f"submission-{modules}"
        submission.mkdir()
        plant(submission, MODEL.read_bytes(), course.canaries, modules=modules)
        (submission / BAD_NAME).unlink()
        (submission / "-p evil.keras").unlink()
        submission.replace(root / "submission")
        done = course.run(
            root / "submission", *alone, "bash", root / "source" / "run_autograder", AUTOGRADER=str(root)
        )
        assert done.returncode == 0
        made.append(json.loads((root / "results" / "results.json").read_text()))
        (root / "submission").replace(submission)
    assert made[0]["score"] == honest["points"]
    assert "several files could be the submission" in made[1]["output"]


NO_BOX = "import grader.box.isolation as i; i.wheel = lambda: None; from grader.cli import main; main()"


def test_no_box_no_verdict_for_a_program(course: Course) -> None:
    """Nothing is run, nothing is written that a program takes for a grade, and the remedy is shown."""
    written = course.place / "no-box"
    written.mkdir()
    formats = ("github-output", "github-summary", "github", "classroom50")
    asked = [word for name in formats for word in ("-f", f"{name}={written / name}")]
    done = course.run(
        course.work, sys.executable, "-P", "-c", NO_BOX, "check", "model.keras", "--no-retrain", *asked,
        PATH="/nonexistent",
    )  # fmt: skip
    assert done.returncode == 3
    assert "no isolation works on this machine" in done.stderr
    assert "bubblewrap" in done.stderr
    assert [x.name for x in written.iterdir()] == []
