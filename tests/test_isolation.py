"""What code in the box can see and reach. Skipped where bubblewrap is not to be had."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from grader import isolation
from grader.sandbox import Limits, run_child

needs_box = pytest.mark.skipif(not isolation.bubblewrap_works(), reason="bubblewrap does not work here")

PROBE = """
import json, os, socket, sys, pathlib
def attempt(action):
    try:
        return str(action())[:200]
    except BaseException as error:
        return type(error).__name__
data = pathlib.Path(sys.argv[1])
found = {
    "labels": attempt(lambda: sorted(os.listdir(data))),
    "passwd": attempt(lambda: open("/etc/passwd").read()),
    "secret": attempt(lambda: open(sys.argv[2]).read()),
    "shown": attempt(lambda: open(sys.argv[3]).read()),
    "write shown": attempt(lambda: open(sys.argv[3], "w")),
    "write root": attempt(lambda: open("/x", "w")),
    "write usr": attempt(lambda: open("/usr/x", "w")),
    "write package": attempt(lambda: open(data.parent / "x.py", "w")),
    "write home": attempt(lambda: open("here", "w").write("ok")),
    "network": attempt(lambda: socket.create_connection(("127.0.0.1", int(sys.argv[4])), 2)),
    "names": attempt(lambda: socket.getaddrinfo("pypi.org", 443)),
    "processes": attempt(lambda: sum(p.isdigit() for p in os.listdir("/proc")) <= 3),
    "kill": attempt(lambda: os.kill(int(sys.argv[5]), 0)),
    "uid": attempt(os.getuid),
    "user": attempt(lambda: os.environ.get("USER_SECRET")),
}
print(json.dumps(found))
"""


@needs_box
def test_the_box_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No labels, no files, no network, no processes, no environment; one small place to write."""
    import os
    import socket

    monkeypatch.setenv("USER_SECRET", "secret")
    secret, shown, probe = tmp_path / "secret", tmp_path / "shown", tmp_path / "probe.py"
    secret.write_text("secret")
    shown.write_text("for your eyes")
    probe.write_text(PROBE)
    with socket.create_server(("127.0.0.1", 0)) as server:
        box = isolation.Bubblewrap()
        arguments = [
            box.show(probe, "probe.py"),
            str(isolation.PACKAGE / "data"),
            str(secret),
            box.show(shown, "shown"),
            str(server.getsockname()[1]),
            str(os.getpid()),
        ]
        lines: list[bytes] = []
        ended = run_child(arguments, b"", tmp_path, Limits(60), lines.append, box=box.command)
    assert ended.returncode == 0, ended.log
    found: dict[str, Any] = json.loads(lines[0])
    assert found["labels"] == "[]"
    assert found["shown"] == "for your eyes"
    assert found["write home"] == "2"
    assert found["processes"] == "True"
    assert found["uid"] == "65534"
    assert found["user"] == "None"
    assert found["kill"] == "ProcessLookupError"
    assert found["network"] in ("ConnectionRefusedError", "OSError", "TimeoutError")
    assert found["names"] == "gaierror"
    for denied in ("passwd", "secret"):
        assert found[denied] == "FileNotFoundError"
    for denied in ("write shown", "write root", "write usr", "write package"):
        assert found[denied] == "OSError"
    assert not (tmp_path / "here").exists()


@needs_box
def test_a_daemon_dies_with_the_box(tmp_path: Path) -> None:
    """A double-forked process in a session of its own does not outlive the run."""
    probe = tmp_path / "probe.py"
    probe.write_text(
        "import os, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0:\n"
        "        while True: time.sleep(1)\n"
        "    os._exit(0)\n"
        "time.sleep(0.3); print('left a daemon', flush=True)"
    )
    box = isolation.Bubblewrap()
    lines: list[bytes] = []
    run_child([box.show(probe, "a-daemon.py")], b"", tmp_path, Limits(30), lines.append, box=box.command)
    assert lines == [b"left a daemon"]
    commands = [p.read_bytes() for p in Path("/proc").glob("[0-9]*/cmdline") if p.exists()]
    assert not [c for c in commands if b"a-daemon.py" in c]


def test_without_bubblewrap_a_process_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No bwrap on the path: the plain process, and its name says what it does not close off."""
    monkeypatch.setenv("PATH", str(tmp_path))
    isolation.bubblewrap_works.cache_clear()
    box = isolation.box(tmp_path)
    isolation.bubblewrap_works.cache_clear()
    assert isinstance(box, isolation.Process)
    assert (box.command, box.home) == ([], str(tmp_path))
    assert "not closed off" in box.name


def test_a_bubblewrap_that_cannot_start_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its presence proves nothing: it must run Python once."""
    (tmp_path / "bwrap").write_text("#!/bin/sh\necho 'setting up uid map: Permission denied' >&2\nexit 1\n")
    (tmp_path / "bwrap").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{Path(sys.executable).parent}")
    isolation.bubblewrap_works.cache_clear()
    works = isolation.bubblewrap_works()
    isolation.bubblewrap_works.cache_clear()
    assert not works
