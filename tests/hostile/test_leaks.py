"""Attacks by what a box could take along: memory that no process holds, files, locks, and life after its end."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from attacks import TRY, Attack, notebook

from grader.ask.asker import Asker
from grader.box import isolation, tree
from grader.errors import StudentError


def test_shared_memory_without_a_file_is_refused(attack: Attack) -> None:
    """It would stay when the process lets go of it, and be counted for none; neither by way of /dev/zero."""
    outcome = attack(
        TRY + "import mmap\n"
        "say([attempt(lambda: mmap.mmap(-1, 1 << 20)),\n"
        "     attempt(lambda: mmap.mmap(os.open('/dev/zero', os.O_RDWR), 1 << 20, mmap.MAP_SHARED)),\n"
        "     attempt(lambda: len(mmap.mmap(-1, 1 << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)))])"
    )
    assert outcome.said == "['PermissionError', 'OSError', 1048576]"


def test_a_process_with_tables_of_its_own_is_measured() -> None:
    """Page tables are part of what is counted."""
    source = (
        "import mmap\nheld = mmap.mmap(-1, 64 << 30, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000, mmap.PROT_READ)\n"
        "for place in range(0, len(held), 2 << 20): held[place]\nprint('ready', flush=True)\ninput()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", source], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        tables = tree.measure(process.pid).memory
        process.kill()
    assert tables > 120_000_000  # 32,768 tables of 4,096 bytes


@pytest.mark.parametrize("mode", ["warm", "cold"])
def test_too_many_files_are_stopped(mode: str, attack: Attack, warm: Asker, cold: Asker) -> None:
    """Empty files cost the machine memory that no process holds: their number is limited, or looked at."""
    outcome = attack(
        TRY + "def make():\n    for n in range(10**7): os.symlink('x', f'link-{n}')\nsay(attempt(make))",
        asker={"warm": warm, "cold": cold}[mode],
        seconds=60,
    )
    stopped = isinstance(outcome.error, StudentError) and "too many files" in outcome.error.message
    assert stopped or outcome.said == "'OSError'", outcome


def test_a_lease_on_the_data_is_refused(attack: Attack) -> None:
    """With one, whoever opens the file on the host would wait for the attacker."""
    outcome = attack(
        TRY + "import fcntl\nfile = open('/data/mnist.npz', 'rb')\n"
        "say([attempt(lambda: fcntl.fcntl(file, command, argument)) for command, argument in\n"
        "     ((1024, 0), (1024, 1), (1026, 1), (8, 1), (10, 9), (1031, 1 << 20))])"
    )
    assert outcome.said == repr(["PermissionError"] * 6)


def test_no_terminal_can_be_made(attack: Attack) -> None:
    """Pseudo-terminals come from a pool that is the whole machine's."""
    outcome = attack(
        TRY + "say([attempt(lambda: os.openpty()), attempt(lambda: os.open('/dev/ptmx', os.O_RDWR))])"
    )
    assert set(outcome.said.strip("[]").split(", ")) <= {
        "'FileNotFoundError'",
        "'OSError'",
        "'PermissionError'",
    }


def test_the_end_of_the_parent_cannot_be_ignored(attack: Attack) -> None:
    """The signal by which a box ends with its grader stays as it was set."""
    outcome = attack(TRY + "say([libc.prctl(option, 0, 0, 0, 0) for option in (1, 36, 22, 35, 41)])")
    assert outcome.said == "[-1, -1, -1, -1, -1]"


GRADER = """
import sys
from pathlib import Path
from grader.ask.asker import Asker
from grader.box import isolation
from grader.data import datasets
from grader.intake import load
folder = Path(sys.argv[1])
(folder / "shared").mkdir()
asker = Asker(datasets.load(datasets.MNIST), isolation.choose("required"), folder / "shared")
reason = asker.serve() if sys.argv[2] == "warm" else ""
print("started", reason, flush=True)
asker.ask(load.load(folder / "submission.ipynb", folder), 300)
"""


@pytest.mark.parametrize("mode", ["cold", "warm"])
def test_killing_the_grader_ends_its_boxes(mode: str, box: isolation.Isolation, tmp_path: Path) -> None:
    """Even with SIGKILL, while a submission runs that ignores everything."""
    notebook(tmp_path, "import ctypes, time\nctypes.CDLL(None).prctl(1, 0)\ntime.sleep(300)")
    command = [sys.executable, "-c", GRADER, str(tmp_path), mode]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as grader:
        assert grader.stdout is not None
        assert grader.stdout.readline() == "started \n"
        time.sleep({"cold": 6, "warm": 2}[mode])  # it runs by then, on most machines; any moment must do
        inside = {p: _born(p) for p in tree.descendants(grader.pid) if p != grader.pid}
        grader.kill()
    assert len(inside) >= 2
    deadline = time.monotonic() + 5
    while (left := [p for p, born in inside.items() if _born(p) == born]) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left


def _born(process: int) -> str:
    """When a process began, which tells it from a later one of the same number; empty once it has ended."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]


def test_reading_ones_own_output_confuses_nobody(attack: Attack, cold: Asker) -> None:
    """A child that empties the pipe which the grader is about to read."""
    outcome = attack(
        TRY + "import threading\n"
        "def steal():\n"
        "    fd = os.open('/proc/self/fd/2', os.O_RDONLY)\n"
        "    while True: os.read(fd, 65536)\n"
        "threading.Thread(target=lambda: attempt(steal), daemon=True).start()\n"
        "for _ in range(2000): os.write(2, b'x' * 1000)\n"
        "say('done')",
        asker=cold,
    )
    assert outcome.said == "'done'"


def test_memory_behind_a_dead_first_thread_counts(attack: Attack) -> None:
    """The first thread ends and another goes on: the kernel tells of the process through that one only."""
    outcome = attack(
        "import ctypes, threading, time\n"
        "def hold():\n"
        "    held = []\n"
        "    while True: held.append(bytearray(b'x') * (64 << 20))\n"
        "threading.Thread(target=hold).start()\n"
        "ctypes.CDLL(None).syscall(60, 0)",
        seconds=40,
    )
    assert isinstance(outcome.error, StudentError)
    assert "memory" in outcome.error.message.lower() or "status" in outcome.error.message


def test_the_dead_first_thread_is_measured_from_outside() -> None:
    """The same, of a process without a box."""
    source = (
        "import ctypes, threading, time\n"
        "def hold():\n"
        "    held = bytearray(b'x') * (200 << 20)\n    print('ready', flush=True)\n    time.sleep(60)\n"
        "threading.Thread(target=hold).start()\nctypes.CDLL(None).syscall(60, 0)"
    )
    with subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        used = tree.measure(process.pid)
        exact = tree.measure(process.pid, 1)
        process.kill()
    assert used.memory > 200 << 20
    assert exact.memory > 200 << 20


def test_processes_do_not_hand_their_memory_on(attack: Attack) -> None:
    """A clone that shares its parent's memory without being its thread could hop on for ever, unseen."""
    outcome = attack(TRY + "say([syscall(56, flags | 17, 0, 0, 0, 0) for flags in (0x100, 0x300)])")
    assert outcome.said == "['Operation not permitted', 'Operation not permitted']"


def test_huge_pages_and_queues_are_off(attack: Attack) -> None:
    """What would hold two megabytes for four kilobytes, or wait in the kernel, uncounted."""
    outcome = attack(
        TRY + "import resource\n"
        "status = open('/proc/self/status').read()\n"
        "say(['THP_enabled:\\t0' in status, resource.getrlimit(resource.RLIMIT_SIGPENDING)[1] <= 1000,\n"
        "     syscall(291, 0), attempt(lambda: __import__('fcntl').flock(open('/data/mnist.npz'), 2)),\n"
        "     attempt(lambda: __import__('fcntl').lockf(open('x', 'w'), 2))])"
    )
    assert outcome.said == "[True, True, 'Operation not permitted', 'PermissionError', 'PermissionError']"
