"""action.yml, the workflow and the pre-commit hook: what they name exists, and the grading step runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import yaml
from typer.main import get_command

from grader.cli import app
from grader.records import Grade
from grader.report import FORMATS
from grader.report.interface import Context

ROOT = Path(__file__).parents[2]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())


def options() -> set[str]:
    (check,) = (c for name, c in get_command(app).commands.items() if name == "check")  # type: ignore[attr-defined]
    return {name for parameter in check.params for name in (*parameter.opts, *parameter.secondary_opts)}


def test_the_action_names_what_exists() -> None:
    """Its options and formats are grader's, its outputs those that are written, its inputs declared."""
    text = (ROOT / "action.yml").read_text()
    scripts = [step["run"] for step in ACTION["runs"]["steps"] if "run" in step]
    for script in scripts:
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)
        assert "${{" not in script  # what a course writes is never run by the shell
    grading = scripts[-1]
    assert set(re.findall(r"-f \"?([a-z-]+)", grading)) <= set(FORMATS)
    assert set(re.findall(r"(?<=\s)--[a-z-]+", grading)) <= options()
    grade = Grade.model_validate_json((ROOT / "examples/grades/1-vanilla.json").read_text())
    written = {
        line.partition("=")[0] for line in str(FORMATS["github-output"](grade, Context())).splitlines()
    }
    assert set(ACTION["outputs"]) <= written
    assert set(re.findall(r"inputs\.([a-z-]+)", text)) == set(ACTION["inputs"])


def test_the_grading_step_runs(tmp_path: Path) -> None:
    """As a runner starts it: annotations are printed, the summary and the outputs are there."""
    place = tmp_path / "grader" / "bin" / "python"
    place.parent.mkdir(parents=True)
    place.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    place.chmod(0o755)
    summary, output = tmp_path / "summary.md", tmp_path / "output"
    output.write_text("before=1\n")
    environment = {
        "RUNNER_TEMP": str(tmp_path),
        "GITHUB_STEP_SUMMARY": str(summary),
        "GITHUB_OUTPUT": str(output),
        "SUBMISSION": str(ROOT / "submissions" / "8-saved-keras"),
        "RUBRIC": "assignment4",
        "RETRAIN": "false",
    }
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", ACTION["runs"]["steps"][-1]["run"]],
        env=os.environ | environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    if done.returncode == 3:  # no box on this machine: nothing was run, and nothing is told
        assert "no isolation works on this machine" in done.stderr
        assert (output.read_text(), summary.exists()) == ("before=1\n", False)
        return
    assert done.returncode == 0, done.stderr
    assert all(line.startswith("::notice title=validation accuracy") for line in done.stdout.splitlines())
    assert summary.read_text().startswith("# 8-saved-keras")
    lines = output.read_text().splitlines()
    assert lines[0] == "before=1"
    assert "result=structure_only" in lines


def test_the_example_workflow_uses_the_action_as_it_is() -> None:
    """Its inputs are the action's."""
    workflow = yaml.safe_load((ROOT / "examples/github/grade.yml").read_text())
    (step,) = (s for s in workflow["jobs"]["grade"]["steps"] if "grader" in s.get("uses", ""))
    assert set(step["with"]) <= set(ACTION["inputs"])
    assert workflow["permissions"] == {"contents": "read"}


def test_the_hook_is_a_command_of_grader() -> None:
    """The entry's options are `check`'s, and the example names the hook."""
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    words = hook["entry"].split()
    assert words[:2] == ["grader", "check"]
    assert set(words[2:]) <= options()
    example = yaml.safe_load((ROOT / "examples/github/pre-commit-config.yaml").read_text())
    (used,) = example["repos"][0]["hooks"]
    assert used["id"] == hook["id"]
    assert set(used["args"][::2]) <= options()
