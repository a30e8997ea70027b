"""The autograder zip: built, unpacked as Gradescope does, and run on submissions."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from grader.box.isolation.plain import Plain

ROOT = Path(__file__).parents[2]


def build(folder: Path, *options: str) -> Path:
    command = [sys.executable, "-P", "-m", "grader", "gradescope", "build", "autograder.zip", *options]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=120)
    return folder / "autograder.zip"


@pytest.fixture(scope="module")
def autograder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """/autograder of a container: the zip unpacked, and set up by its own script.

    The requirements are those that are installed here, so that nothing is downloaded; grader itself is not
    among them, as it is found by a .pth file here and .pth files work only where Python looks for them.
    """
    folder = tmp_path_factory.mktemp("gradescope")
    root = folder / "autograder"
    with zipfile.ZipFile(build(folder, "--rubric", "assignment4", "--throwaway-container")) as archive:
        archive.extractall(root / "source")
    inside = root / "venv" / Path(sysconfig.get_path("purelib")).relative_to(sys.prefix)
    inside.mkdir(parents=True)
    (inside / "requirements.pth").write_text(sysconfig.get_path("purelib"))
    programs = folder / "bin"
    programs.mkdir()
    for version in ("3.13", "3.12", "3.11"):
        (programs / f"python{version}").symlink_to(sys.executable)
    subprocess.run(
        ["bash", root / "source" / "setup.sh"],
        env=os.environ | {"AUTOGRADER": str(root), "PATH": f"{programs}:{os.environ['PATH']}"},
        check=True, capture_output=True, timeout=300,
    )  # fmt: skip
    return root


def run(root: Path, submission: Path, alone: tuple[str, ...]) -> dict[str, object]:
    shutil.rmtree(root / "submission", ignore_errors=True)
    shutil.copytree(submission, root / "submission")
    done = subprocess.run(
        [*alone, "bash", root / "source" / "run_autograder"],
        env=os.environ | {"AUTOGRADER": str(root)}, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0
    made = json.loads((root / "results" / "results.json").read_text())
    assert isinstance(made, dict)
    return made


def test_a_submission_is_graded(autograder: Path, alone: tuple[str, ...]) -> None:
    """From the zip's own grader: points of the structural criteria, and the rest announced for later."""
    made = run(autograder, ROOT / "submissions" / "8-saved-keras", alone)
    if not Plain().contained:  # nor can a box show the packages that this test borrows
        assert "no isolation works" in str(made["output"])
        pytest.skip("the submission cannot be another user here: it takes root, and a Python for every user")
    tests = made["tests"]
    assert isinstance(tests, list)
    assert len(tests) == 6
    assert made["score"] == sum(test["score"] for test in tests)
    assert "decided later" in str(made["output"])


def test_results_are_there_when_grading_crashes(autograder: Path, alone: tuple[str, ...]) -> None:
    """With the rubric gone, and with grader itself gone, Gradescope still gets a file, without a score."""
    rubric = autograder / "source" / "rubric.toml"
    kept = rubric.read_text()
    rubric.write_text("title = ")
    made = run(autograder, ROOT / "submissions" / "8-saved-keras", alone)
    assert "score" not in made
    assert "no fault of this submission" in str(made["output"])
    rubric.write_text(kept)
    source = autograder / "source" / "source"
    source.rename(autograder / "gone")
    (source / "grader").mkdir(parents=True)
    (source / "grader" / "__init__.py").write_text("raise RuntimeError")
    made = run(autograder, ROOT / "submissions" / "8-saved-keras", alone)
    assert made["tests"] == []
    assert "took too long or was stopped" in str(made["output"])
    shutil.rmtree(source)
    (autograder / "gone").rename(source)


DAEMON = """
import os
if os.fork() == 0:
    os.setsid()
    while True:
        try:
            open({!r}, "w").write('{{"score": 1000}}')
        except OSError:
            pass
        if os.fork():
            os._exit(0)
"""
BUILD = """
from keras import Input, Sequential, layers
model = Sequential([Input((28, 28, 1)), layers.Flatten(), layers.Dense(10, activation="softmax")])
model.compile("adam", "categorical_crossentropy")
"""


def test_no_process_of_a_submission_outlives_the_results(
    autograder: Path, tmp_path: Path, alone: tuple[str, ...]
) -> None:
    """In a container without a box: as root the submission is another user, which is ended before results
    are written; elsewhere none of it is run, and the results say so.
    """
    chosen = autograder / "source" / "source" / "grader" / "box" / "isolation" / "__init__.py"
    text = chosen.read_text()
    head = "def _candidates() -> Iterator[Isolation]:\n"
    chosen.write_text(text.replace(head, f"{head}    return\n", 1))
    results = autograder / "results" / "results.json"
    (tmp_path / "work.py").write_text(BUILD + DAEMON.format(str(results)))
    for folder in (autograder, *autograder.parents):
        if folder.stat().st_uid == os.getuid() and folder.stat().st_mode & 0o77 == 0:
            folder.chmod(0o711)  # as in a container
    try:
        made = run(autograder, tmp_path, alone)
    finally:
        chosen.write_text(text)
    assert json.loads(results.read_text()) == made
    assert results.stat().st_mode & 0o22 == 0
    if Plain().contained:
        assert made["score"] != 1000
        assert "isolated" in str(made)
    else:
        assert "score" not in made
        assert "no isolation works" in str(made["output"])


def test_what_is_in_the_zip(tmp_path: Path) -> None:
    """Scripts at its root that may be run, bash that parses, the rubric, MNIST and pinned requirements."""
    first = build(tmp_path, "--rubric", "assignment4").read_bytes()
    with zipfile.ZipFile(
        build(tmp_path, "--rubric", "assignment4", "--minutes", "40", "--retrain")
    ) as archive:
        names = archive.namelist()
        for script in ("setup.sh", "run_autograder"):
            assert archive.getinfo(script).external_attr >> 16 == 0o755
            text = archive.read(script)
            subprocess.run(["bash", "-n"], input=text, check=True)
            assert text.startswith(b"#!/usr/bin/env bash\n")
        assert b"timeout --kill-after=5 2370" in archive.read("run_autograder")
        assert b"--retrain --isolation --quiet" in archive.read("run_autograder")
        assert {"rubric.toml", "requirements.txt", "source/grader/data/files/mnist.npz"} <= set(names)
        assert "source/grader/report/html/style.css" in names
        assert not any("__pycache__" in name for name in names)
    assert build(tmp_path, "--rubric", "assignment4").read_bytes() == first


def test_requirements_are_those_of_the_lock_with_hashes() -> None:
    """All that grader needs and nothing of its tools, as `make lock` has pinned it; each with a hash."""
    sys.path.insert(0, str(ROOT / "scripts"))
    import autograder_lock

    shipped = (ROOT / "grader" / "commands" / "requirements.lock").read_text()
    assert shipped == autograder_lock.trimmed((ROOT / "requirements.lock").read_text())
    pins = autograder_lock.blocks(shipped)
    assert all("==" in pin and "--hash=sha256:" in pin for pinned in pins.values() for pin in pinned)
    assert {"tensorflow", "keras", "pydantic", "jinja2", "typer", "numpy", "h5py", "protobuf"} <= set(pins)
    assert not {"pytest", "ruff", "mypy", "ray", "jax", "hypothesis", "atheris"} & set(pins)


def test_the_rubrics_own_data_travel_along(tmp_path: Path) -> None:
    """The data set lies beside the rubric, under the name that the rubric says."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "own.npz").write_bytes(b"not read here")
    rubric = tmp_path / "own.toml"
    rubric.write_text(
        f'title = "Own"\n[dataset]\nname = "own"\npath = "data/own.npz"\nsha256 = "{"a" * 64}"\n'
        '[[criterion]]\nid = "a"\nkind = "manual"\nquestion = "Good?"\npoints = 1\n'
    )
    with zipfile.ZipFile(build(tmp_path, "--rubric", str(rubric))) as archive:
        assert archive.read("own.npz") == b"not read here"
        assert b'path = "own.npz"' in archive.read("rubric.toml")
