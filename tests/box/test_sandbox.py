"""A child may do anything; the parent always gets an answer, and nothing of the child is left."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from grader.box import sandbox, tree
from grader.box.sandbox import Ended, Limits, Spawned

Run = Callable[..., tuple[Ended, list[bytes]]]


@pytest.fixture
def child(tmp_path: Path) -> Run:
    """Runs Python source as a child; returns how it ended and the lines it answered."""

    def run(
        source: str, limits: Limits | None = None, listen: Callable[[bytes], None] | None = None
    ) -> tuple[Ended, list[bytes]]:
        script = tmp_path / "child.py"
        script.write_text(source)
        lines: list[bytes] = []
        command = [sys.executable, "-I", str(script)]
        spawned = Spawned(command, sandbox.environment(str(tmp_path)), tmp_path)
        return sandbox.run(spawned, b"the job", limits or Limits(30), listen or lines.append), lines

    return run


def test_lines_come_back_and_the_job_goes_in(child: Run) -> None:
    """A job on standard input, complete lines back, a log beside them."""
    ended, lines = child("import sys; print(sys.stdin.read()); print('two'); print('log', file=sys.stderr)")
    assert lines == [b"the job", b"two"]
    assert ended == Ended(0, "", "log\n")


def test_an_incomplete_last_line_is_no_answer(child: Run) -> None:
    """What a killed child had begun to write is not taken for an answer."""
    _, lines = child("import sys; sys.stdout.write('whole\\npart')")
    assert lines == [b"whole"]


def test_a_crash_is_told_by_its_signal(child: Run) -> None:
    """A segmentation fault is a negative status, not an exception here."""
    ended, lines = child("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    assert ended.returncode == -signal.SIGSEGV
    assert lines == []


def test_a_child_that_the_system_ended_for_memory_is_not_to_blame(
    child: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system counts whom it ends for memory; a child that ends itself by that signal is not one."""
    source = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    assert child(source)[0].stopped == ""
    counts = iter((4, 5))
    monkeypatch.setattr(tree, "killed_for_memory", lambda: next(counts))
    assert child(source)[0].stopped == "machine"


def test_an_endless_child_is_stopped_even_if_it_ignores_signals(child: Run) -> None:
    """The wall clock ends a child that ignores SIGTERM and SIGINT."""
    source = (
        "import signal\n"
        "for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP): signal.signal(s, signal.SIG_IGN)\n"
        "print('begun', flush=True)\nwhile True: pass"
    )
    ended, lines = child(source, Limits(1.5))
    assert ended.stopped == "time"
    assert lines == [b"begun"]


def test_a_flood_of_answers_is_cut(child: Run) -> None:
    """More than the limit of bytes ends the child."""
    ended, _ = child("while True: print('x' * 1000)", Limits(30, answer_bytes=100_000))
    assert ended.stopped == "flood"


def test_a_flood_of_errors_neither_blocks_nor_fills_memory(child: Run) -> None:
    """Standard error is drained, and only its end is kept."""
    ended, lines = child(
        "import sys\nfor i in range(20000): print('e' * 100, file=sys.stderr)\nprint('done')"
    )
    assert lines == [b"done"]
    assert len(ended.log) <= 20_000


def test_children_of_the_child_are_ended_too(child: Run, tmp_path: Path) -> None:
    """A background process of the same session does not outlive its run."""
    mark = tmp_path / "alive"
    source = (
        "import os, time\n"
        "if os.fork() == 0:\n"
        f"    while True: open({str(mark)!r}, 'a').write('x'); time.sleep(0.05)\n"
        "time.sleep(0.5); print('parent done', flush=True)"
    )
    _, lines = child(source, Limits(20))
    assert lines == [b"parent done"]
    size = mark.stat().st_size
    time.sleep(0.4)
    assert mark.stat().st_size == size


def test_the_environment_is_not_inherited(child: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Secrets in the environment of the grader stay there."""
    monkeypatch.setenv("COURSE_TOKEN", "secret")
    _, lines = child("import os; print(sorted(k for k in os.environ if 'TOKEN' in k))")
    assert lines == [b"[]"]


def test_a_failing_listener_ends_the_child(child: Run, tmp_path: Path) -> None:
    """What the listener raises is passed on, after the child is gone."""

    def fail(line: bytes) -> None:
        raise ZeroDivisionError

    mark = tmp_path / "alive"
    source = (
        "import time\nprint(1, flush=True)\n"
        f"while True: open({str(mark)!r}, 'a').write('x'); time.sleep(0.05)"
    )
    with pytest.raises(ZeroDivisionError):
        child(source, listen=fail)
    size = mark.stat().st_size if mark.exists() else 0
    time.sleep(0.3)
    assert (mark.stat().st_size if mark.exists() else 0) == size


def test_interrupting_the_parent_ends_the_child(child: Run) -> None:
    """^C is raised in the parent; the child does not stay behind."""

    def interrupt(line: bytes) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        child("import time\nprint(1, flush=True)\ntime.sleep(60)", listen=interrupt)


def test_a_job_that_nobody_reads_blocks_nobody(tmp_path: Path) -> None:
    """A child may answer without taking its job, however large that is."""
    script = tmp_path / "child.py"
    script.write_text("print('done')")
    lines: list[bytes] = []
    spawned = Spawned([sys.executable, "-I", str(script)], sandbox.environment(str(tmp_path)), tmp_path)
    ended = sandbox.run(spawned, b"x" * 5_000_000, Limits(30), lines.append)
    assert (ended.returncode, lines) == (0, [b"done"])


def test_a_line_without_an_end_is_cut(child: Run) -> None:
    """One line may be no longer than its limit, though the whole answer may be."""
    ended, lines = child("while True: print('x' * 100, end='')", Limits(30, line_bytes=10_000))
    assert (ended.stopped, lines) == ("flood", [])


def test_memory_counts_over_the_whole_tree(child: Run) -> None:
    """Four processes that stay below the limit each, but not together."""
    source = (
        "import os, time\n"
        "for _ in range(4):\n"
        "    if os.fork() == 0:\n"
        "        held = bytearray(os.urandom(1)) * 100_000_000\n"
        "        time.sleep(60)\n"
        "print('begun', flush=True); time.sleep(60)"
    )
    ended, _ = child(source, Limits(60, memory=300_000_000))
    assert ended.stopped == "memory"


def test_processes_count_over_the_whole_tree(child: Run) -> None:
    """Children of children are children."""
    source = (
        "import os, time\n"
        "for _ in range(8):\n"
        "    if os.fork() == 0: continue\n"
        "    time.sleep(0.05)\n"
        "time.sleep(60)"
    )
    ended, _ = child(source, Limits(60, processes=20))
    assert ended.stopped == "processes"
