"""Without a box, in a container of one submission: nothing of it outlives grader's last write.

It needs root, and a Python that every user can read; elsewhere it is skipped, and says so.
"""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from attacks import SAY, TRY, ask, notebook

from grader.ask.asker import Asker
from grader.box import isolation
from grader.box.isolation.interface import STRANGERS
from grader.box.isolation.plain import Plain, end_all
from grader.data import datasets
from grader.errors import InstructorError

DAEMON = """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        while True:
            attempt(lambda: open(TARGET, "w").write("100 points"))
            if os.fork():  # it goes on as its own child, under another number
                os._exit(0)
    os._exit(0)
"""
REACH = """
grader = os.getppid()
tries = {
    "write": lambda: open(TARGET, "w"),
    "replace": lambda: os.replace(__import__("tempfile").mkstemp(dir=".")[1], TARGET),
    "remove": lambda: os.remove(TARGET),
    "end": lambda: os.kill(grader, 9),
    "environment": lambda: open(f"/proc/{grader}/environ").read(),
    "memory": lambda: open(f"/proc/{grader}/mem", "rb"),
    "become root": lambda: os.setuid(0),
}
say(({name: attempt(action) for name, action in tries.items()}, os.getuid()))
"""


FORKS = """
import os, time
os.setgroups([])
os.setresuid({0}, {0}, {0})
first = os.getpid()
for _ in range(4):
    if os.fork() == 0:
        os.setsid()
        break
if os.getpid() == first:
    print("ready", flush=True)
while True:
    if os.fork() == 0:
        time.sleep(60)
    time.sleep(0.01)
"""


@pytest.fixture(scope="module")
def apart() -> Plain:
    if not Plain().contained:
        pytest.skip("children cannot become another user here: it takes root, and a Python for every user")
    return Plain()


def processes(user: int) -> list[int]:
    """All of a user, without those that wait to be buried."""
    found = []
    for process in Path("/proc").iterdir():
        with suppress(OSError):
            if process.name.isdigit() and process.stat().st_uid == user:
                state = (process / "stat").read_text().rpartition(")")[2].split()[0]
                found += [int(process.name)] if state != "Z" else []
    return found


def test_no_process_outlives_its_child(apart: Plain, tmp_path: Path) -> None:
    """A daemon that forks and rewrites the results without end is gone when its description is there, could
    write nothing, and could reach nothing of grader's.
    """
    open_to_all = Path(tempfile.mkdtemp(prefix="grader-"))  # pytest's own folders are for their owner alone
    open_to_all.chmod(0o755)
    shared, results = open_to_all / "shared", open_to_all / "results.json"
    shared.mkdir()
    results.write_text("mine")
    asker = Asker(datasets.load(datasets.MNIST), apart, shared)
    said = [SAY, TRY, f"TARGET = {str(results)!r}", DAEMON, REACH]

    outcome = ask(asker, notebook(tmp_path, *said), tmp_path)

    assert outcome.said, outcome
    reached, user = ast.literal_eval(outcome.said)
    assert user >= STRANGERS
    assert processes(user) == []
    assert results.read_text() == "mine"
    shutil.rmtree(open_to_all)
    assert set(reached.values()) == {"PermissionError"}, reached


def test_all_processes_of_a_user_are_ended(apart: Plain) -> None:
    """Also those that have left their parents and their groups, and those that are forked meanwhile."""
    user = STRANGERS + 7
    with subprocess.Popen([sys.executable, "-c", FORKS.format(user)], stdout=subprocess.PIPE) as started:
        assert started.stdout is not None
        assert started.stdout.readline() == b"ready\n"
        end_all(user)
    assert processes(user) == []


def test_what_is_contained_is_told(apart: Plain) -> None:
    """It is no isolation, and it is enough only where the container is the submission's alone."""
    assert (apart.closed, apart.contained) == (False, True)
    assert isolation.choose("contained").contained
    with pytest.raises(InstructorError, match="no isolation works"):
        _without_boxes("required")
    assert _without_boxes("contained").contained


def _without_boxes(wanted: isolation.Wanted) -> isolation.Isolation:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(isolation, "_candidates", lambda: iter(()))
        return isolation.choose(wanted)
