"""Attacks on the walls of the box: what a cell can see, reach, use up and leave behind."""

from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path

import pytest
from attacks import HONEST, MARK, TRY, Attack, Outcome, ask, assert_only, boxes, host, notebook, unharmed

from grader import records as r
from grader.ask.asker import Asker
from grader.box import isolation
from grader.box.isolation.interface import PACKAGE
from grader.box.isolation.server import ServerGone
from grader.data.datasets import Dataset
from grader.errors import BrokenError, StudentError

DENIED = ("PermissionError", "FileNotFoundError", "OSError", "ProcessLookupError", "NotADirectoryError")


# --- what one child finds, forked from the server and in a cold box --------------------------------

PLACES = ["/", "/etc", "/tmp", "/usr", "/usr/bin", "/dev", "/dev/shm", "/input", "/input/files", "/data", "/proc",
          "/proc/sys/kernel", "/sys", str(PACKAGE), str(PACKAGE / "data" / "files"), os.path.dirname(os.__file__)]  # fmt: skip
FORBIDDEN = {
    "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312, "pidfd_getfd": 438,
    "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "keyctl": 250, "add_key": 248,
    "request_key": 249, "unshare": 272, "setns": 308, "clone3": 435, "mount": 165, "umount2": 166,
    "pivot_root": 155, "chroot": 161, "fsopen": 430, "open_tree": 428, "move_mount": 429, "mount_setattr": 442,
    "bpf": 321, "perf_event_open": 298, "userfaultfd": 323, "seccomp": 317, "open_by_handle_at": 304,
    "name_to_handle_at": 303, "init_module": 175, "kexec_load": 246, "reboot": 169, "swapon": 167,
    "sethostname": 170, "settimeofday": 164, "adjtimex": 159, "clock_settime": 227, "personality": 135,
    "quotactl": 179, "syslog": 103, "acct": 163, "ioperm": 173, "iopl": 172, "modify_ldt": 154,
    "mknod": 133, "setuid": 105, "setresuid": 117, "setgroups": 116, "capset": 126, "connect": 42, "bind": 49,
    "fanotify_init": 300, "landlock_create_ruleset": 444, "lookup_dcookie": 212, "vhangup": 153,
}  # fmt: skip

PROBES = {
    "others": (
        "say([attempt(lambda: open(SIBLING).read()), attempt(lambda: os.listdir('/spool')),\n"
        "     sorted(os.listdir('/input')), sorted(os.listdir('/data'))])"
    ),
    "sight": (
        "status = open('/proc/self/status').read()\n"
        "fields = dict(line.split(':\\t') for line in status.splitlines() if ':\\t' in line)\n"
        "import json\n"
        "say(json.dumps({'processes': sorted(p for p in os.listdir('/proc') if p.isdigit()),\n"
        "    'descriptors': sorted({os.readlink(f'/proc/self/fd/{f}').split(':')[0] for f in os.listdir('/proc/self/fd')\n"
        "                           if os.path.exists(f'/proc/self/fd/{f}')}),\n"
        "    'caps': {fields[c] for c in ('CapInh', 'CapPrm', 'CapEff', 'CapAmb')} == {'0' * 16},\n"
        "    'seccomp': fields['Seccomp'], 'root': os.getuid() == 0 or 0 in os.getgroups(), 'pid': os.getpid()}))"
    ),
    "command": "say(open('/proc/1/cmdline').read())",
    "memory": (
        "others = [p for p in os.listdir('/proc') if p.isdigit() and int(p) != os.getpid()]\n"
        "say({attempt(lambda: open(f'/proc/{p}/mem', 'rb')) for p in others})"
    ),
    "written": f"say([p for p in {PLACES} if attempt(lambda: open(p + '/{MARK}', 'w')) not in {DENIED}])",
    "calls": f"say({{name: syscall(number, 0, 0, 0, 0, 0) for name, number in {FORBIDDEN}.items()}})",
    "killed": (
        "say([attempt(lambda: os.kill(1, 9)), attempt(lambda: os.kill(-1, 9)),\n"
        "     attempt(lambda: os.kill(3, 9)), attempt(lambda: os.kill(99, 9))])"
    ),
    "daemon": (
        "import signal, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0:\n"
        "        for s in (1, 2, 13, 15): signal.signal(s, signal.SIG_IGN)\n"
        "        os.closerange(0, 256)\n"
        "        while True: time.sleep(1)\n"
        "    os._exit(0)\n"
        "time.sleep(0.2)\nsay('left one')"
    ),
}
MODES = ("warm", "cold")
Found = dict[str, dict[str, str]]


@pytest.fixture(scope="module")
def found(
    warm: Asker, cold: Asker, honest: r.Description | None, tmp_path_factory: pytest.TempPathFactory
) -> Found:
    """What each probe said in each kind of child. None of them leaves anything behind."""
    folder = tmp_path_factory.mktemp("probes")
    (folder / "sibling").mkdir()
    (folder / "sibling" / "solution.py").write_text("the other's secret")
    said = {}
    with unharmed(warm, honest, folder) as attack:
        for mode, asker in zip(MODES, (warm, cold), strict=True):
            beginning = f"{TRY}SIBLING = {str(folder / 'sibling' / 'solution.py')!r}"
            outcome = attack(beginning, *PROBES.values(), HONEST, asker=asker)
            said[mode] = dict(zip(PROBES, outcome.sayings, strict=True))
    return said


@pytest.mark.parametrize("mode", MODES)
def test_another_submission_cannot_be_read(mode: str, found: Found) -> None:
    """A sibling on the host, and whatever lies in the spool of a fork server."""
    assert "secret" not in str(found[mode])
    assert found[mode]["others"].endswith("['files'], ['mnist.npz']]")


@pytest.mark.parametrize("mode", MODES)
def test_nothing_else_is_in_sight(mode: str, found: Found) -> None:
    """One process (and that of bubblewrap, root's own), pipes only, no other user, no privileges."""
    seen = json.loads(found[mode]["sight"].strip("'"))
    assert seen["processes"] in (["1"], ["1", "2"])
    assert set(seen["descriptors"]) <= {"/dev/null", "pipe", f"/proc/{seen['pid']}/fd"}
    assert (seen["caps"], seen["seccomp"], seen["root"]) == (True, "2", False)


def test_the_command_line_shows_no_paths_of_the_host(found: Found) -> None:
    """What was bound from where stays between grader and bubblewrap."""
    command = found["cold"]["command"]
    assert "python" in command
    assert "pytest" not in command
    assert "/input" not in command


@pytest.mark.parametrize("mode", MODES)
def test_memory_of_other_processes_is_closed(mode: str, found: Found) -> None:
    """That of bubblewrap's first process, where there is one, belongs to root."""
    assert found[mode]["memory"] in ("set()", "{'PermissionError'}")


@pytest.mark.parametrize("mode", MODES)
def test_nothing_can_be_written_but_the_home(mode: str, found: Found) -> None:
    """Every folder of the box is read-only, shared memory and the inputs included."""
    assert found[mode]["written"] == "[]"


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the numbers are those of x86-64")
@pytest.mark.parametrize("mode", MODES)
def test_system_calls_that_nobody_needs_are_refused(mode: str, found: Found) -> None:
    """Each by its number, past every library."""
    said = found[mode]["calls"]
    assert "allowed" not in said
    refused = said.count("Operation not permitted") + said.count("Function not implemented")
    assert refused >= 8  # the message is cut; none of it says that one was allowed


@pytest.mark.parametrize("mode", MODES)
def test_killing_everyone_kills_nobody_else(mode: str, found: Found) -> None:
    """There is nobody in sight but the attacker, and the first process of a box cannot be killed from inside."""
    assert found[mode]["killed"] in (
        "[None, 'ProcessLookupError', 'ProcessLookupError', 'ProcessLookupError']",  # it is the first itself
        "['PermissionError', 'ProcessLookupError', 'ProcessLookupError', 'ProcessLookupError']",  # root's is
    )


@pytest.mark.parametrize("mode", MODES)
def test_a_daemon_does_not_outlive_its_run(mode: str, found: Found) -> None:
    """Forked twice, in a session of its own, ignoring signals, with nothing open: gone all the same."""
    assert found[mode]["daemon"] == "'left one'"


# --- reading ------------------------------------------------------------------------------------


HOST_FILES = (
    "/etc/passwd", "/etc/shadow", "/etc/hostname", "/root/.ssh/id_rsa", "/home",  "/var/log",
    "/spool", "/sys/kernel", "/proc/1/root/etc/passwd", "/proc/kcore", "/proc/keys", "/dev/sda", "/dev/mem",
    "/run/docker.sock",
)  # fmt: skip


def test_host_files_are_not_there(attack: Attack) -> None:
    """Neither accounts nor logs nor other people's folders nor the machine's devices."""
    found = attack(
        TRY
        + f"say([attempt(lambda: os.listdir(path) if os.path.isdir(path) else open(path, 'rb').read(100))\n"
        f"     for path in {HOST_FILES}])"
    ).rows
    seen = {path: got for path, got in zip(HOST_FILES, found, strict=True) if got not in ([], b"", *DENIED)}
    assert seen == {}


def test_the_packages_own_data_are_hidden(attack: Attack) -> None:
    """Test labels and rubrics ship with grader; in the box their folders are empty."""
    folders = [str(PACKAGE / "data" / "files"), str(PACKAGE / "rubrics"), str(PACKAGE.parent / "rubrics")]
    outcome = attack(TRY + f"say([attempt(lambda: os.listdir(folder)) for folder in {folders}])")
    assert outcome.said in (
        "[[], 'FileNotFoundError', 'FileNotFoundError']",  # a checkout
        "[[], [], 'FileNotFoundError']",  # installed
    )


def test_the_environment_is_not_inherited(attack: Attack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens of the grader's own are neither in the environment nor in that of any process in sight."""
    monkeypatch.setenv("COURSE_TOKEN", "a-token-of-the-course")
    outcome = attack(
        TRY
        + "seen = [attempt(lambda: open(f'/proc/{p}/environ').read()) for p in os.listdir('/proc') if p.isdigit()]\n"
        "say('token' in str(seen) + str(dict(os.environ)))"
    )
    assert outcome.said == "False"


# --- writing ------------------------------------------------------------------------------------


def test_filling_the_box_fills_nothing_else(attack: Attack) -> None:
    """The home ends at its size; files of 100 MB may lie in it, larger ones than 200 MB may not."""
    outcome = attack(
        TRY + "def fill(n):\n"
        "    with open(f'large-{n}', 'wb') as file:\n"
        "        for _ in range(100): file.write(bytes(1 << 20))\n"
        "    return 100\n"
        "def one():\n"
        "    with open('huge', 'wb') as file:\n"
        "        for _ in range(300): file.write(bytes(1 << 20))\n"
        "kinds = [attempt(one)]; os.unlink('huge')\n"
        "say(kinds + [attempt(lambda: fill(n)) for n in range(7)])"
    )
    assert outcome.said == "['OSError', 100, 100, 100, 100, 100, 'OSError', 'OSError']"


# --- network ------------------------------------------------------------------------------------


FAMILIES = ("INET", "INET6", "UNIX", "VSOCK", "NETLINK", "PACKET", "BLUETOOTH", "ALG")


def test_no_socket_of_any_family(attack: Attack) -> None:
    """Not even a socket can be made, whatever it would have reached."""
    found = attack(
        TRY + "kinds = (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW)\n"
        "say([[attempt(lambda: socket.socket(getattr(socket, 'AF_' + family, 40), kind)) for kind in kinds]\n"
        f"     for family in {FAMILIES}])"
    ).rows
    assert dict(zip(FAMILIES, found, strict=True)) == dict.fromkeys(FAMILIES, ["PermissionError"] * 3)


def test_no_name_is_looked_up_and_no_server_reached(attack: Attack) -> None:
    """Neither DNS nor a server that listens on this very machine."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        outcome = attack(
            TRY + f"import urllib.request\n"
            f"say([attempt(lambda: socket.create_connection(('127.0.0.1', {port}), 2)),\n"
            f"     attempt(lambda: socket.getaddrinfo('pypi.org', 443)),\n"
            f"     attempt(lambda: urllib.request.urlopen('http://127.0.0.1:{port}/', timeout=2)),\n"
            f"     subprocess.run(['bash', '-c', 'echo x > /dev/tcp/127.0.0.1/{port}'], capture_output=True).returncode])"
        )
        server.settimeout(0)
        with pytest.raises(BlockingIOError):
            server.accept()
    assert outcome.said == "['PermissionError', 'gaierror', 'URLError', 1]"


# --- using things up ----------------------------------------------------------------------------


def test_a_fork_bomb_ends_at_the_limit(attack: Attack) -> None:
    """The kernel refuses more processes than the box may have; the submission is told so."""
    outcome = attack(
        TRY + "import time\ncount = 0\n"
        "try:\n    while count < 5000:\n        if os.fork() == 0:\n            time.sleep(60); os._exit(0)\n        count += 1\n"
        "except OSError as error:\n    say((type(error).__name__, count < 600))"
    )
    stopped = isinstance(outcome.error, StudentError) and "too many processes" in outcome.error.message
    assert stopped or outcome.said == "('BlockingIOError', True)", outcome


def test_an_exponential_fork_bomb_dies_with_the_box(attack: Attack) -> None:
    """Every process forks for ever."""
    outcome = attack(
        "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass", seconds=5
    )
    assert isinstance(outcome.error, StudentError)


def test_a_memory_bomb_in_one_process(attack: Attack) -> None:
    """A process that takes ever more memory is stopped, or told that there is no more."""
    outcome = attack("held = []\nwhile True: held.append(bytearray(b'x') * (64 << 20))", seconds=60)
    assert isinstance(outcome.error, StudentError)
    assert "memory" in outcome.error.message.lower()


def test_a_memory_bomb_in_four_processes(attack: Attack) -> None:
    """Together they may not have more than one of them."""
    outcome = attack(
        "import os, time\nfor _ in range(4):\n    if os.fork() == 0:\n        held = bytearray(b'x') * (1400 << 20)\n"
        "        time.sleep(60)\n        os._exit(0)\ntime.sleep(60)",
        seconds=60,
    )
    assert isinstance(outcome.error, StudentError)
    assert "too much memory" in outcome.error.message


MEMORY = {
    "memfd_create": 319, "memfd_secret": 447, "shmget": 29, "msgget": 68, "mq_open": 240, "semget": 64,
}  # fmt: skip


def test_no_memory_that_belongs_to_no_process(attack: Attack) -> None:
    """Memory files, System V and POSIX queues could hold what no count of processes shows."""
    found = attack(TRY + f"say([syscall(number, b'x', 0, 0) for number in {[*MEMORY.values()]}])").rows
    allowed = {"Operation not permitted", "Function not implemented"}
    assert {name: got for name, got in zip(MEMORY, found, strict=True) if got not in allowed} == {}


@pytest.mark.parametrize(
    "source",
    [
        "import signal\nfor s in range(1, 32):\n    try: signal.signal(s, signal.SIG_IGN)\n    except OSError: pass\n"
        "while True: pass",
        "import time; time.sleep(999)",
        "import os, time, signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32))\nos.close(0); os.close(2)\n"
        "time.sleep(999)",
        "x = 9 ** 9 ** 9",
        "import re; re.match('(a+)+$', 'a' * 60 + 'b')",
    ],
    ids=["ignores signals", "sleeps", "closes everything", "arithmetic", "regular expression"],
)
def test_what_never_ends_is_ended(attack: Attack, source: str) -> None:
    """The wall clock is the grader's, and no signal is asked for."""
    outcome = attack(source, seconds=4)
    assert isinstance(outcome.error, StudentError)
    assert "ran longer than 4 s" in outcome.error.message


def test_threads_that_go_on_do_not_hold_up_the_answer(attack: Attack) -> None:
    """The process ends when its last cell has, whoever still runs in it."""
    outcome = attack(
        "import threading\n"
        "for _ in range(20): threading.Thread(target=lambda: [None for _ in iter(int, 1)]).start()\n"
        "say('done')"
    )
    assert outcome.said == "'done'"


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_flood_of_output_drowns_nobody(attack: Attack, stream: str) -> None:
    """200 MB printed: the log is cut, the pipes are drained, and the model is described."""
    outcome = attack(
        f"import sys\nfor _ in range(200): sys.{stream}.write('x' * (1 << 20))",
        "import keras\nmodel = keras.Sequential([keras.Input((4,)), keras.layers.Dense(10)])",
        seconds=120,
    )
    assert outcome.description is not None
    assert len(outcome.description.models) == 1


def test_a_flood_of_answers_is_cut(attack: Attack) -> None:
    """The pipe of the answer takes so much and no more."""
    outcome = attack(
        "import os\nfor fd in range(3, 20):\n"
        "    try:\n        while True: os.write(fd, b'{}' * 100_000 + b'\\n')\n    except OSError: pass",
        seconds=120,
    )
    assert isinstance(outcome.error, StudentError)
    assert "floods" in outcome.error.message


# --- outliving, killing ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("import os; os._exit(0)", ["status 0"]),
        ("import os; os._exit(70)", ["status 70"]),
        ("import ctypes; ctypes.string_at(0)", [f"signal {int(signal.SIGSEGV)}"]),
        ("import os; os.abort()", ["signal"]),
        (
            "import sys; sys.setrecursionlimit(10**9)\ndef f(): f()\nf()",
            ["signal", "memory", "RecursionError"],
        ),
    ],
    ids=["exit", "status of ours", "segmentation fault", "abort", "stack"],
)
def test_ending_the_process_is_the_students_error(attack: Attack, source: str, told: list[str]) -> None:
    """A child that goes away without an answer has been told to by the submission."""
    outcome = attack(source)
    assert isinstance(outcome.error, StudentError), outcome
    assert any(word in outcome.error.message for word in told)


def test_what_was_fitted_before_the_end_counts(attack: Attack) -> None:
    """A crash after a fit loses nothing, and is told."""
    outcome = attack(
        "import keras, numpy as np\n"
        "model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(10)])\n"
        "model.compile('adam', 'mse'); model.fit(np.zeros((8, 4)), np.zeros((8, 10)))",
        "import os; os._exit(3)",
    )
    assert outcome.description is not None
    assert outcome.description.models[0].fit_order == 1
    assert "status 3" in outcome.description.incomplete


# --- the kernel ---------------------------------------------------------------------------------


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the numbers are those of x86-64")
@pytest.mark.parametrize("name", sorted(FORBIDDEN))
def test_the_filter_has_no_such_call(name: str) -> None:
    """The filter itself, run over the call as the kernel would run it."""
    from grader.describe.child import seccomp

    assert _judge(seccomp.program("x86_64"), FORBIDDEN[name]) & 0xFFFF0000 == seccomp.ERRNO


def _judge(
    program: list[tuple[int, int, int, int]], number: int, *arguments: int, architecture: int = 0xC000003E
) -> int:
    """What a filter says of a call: a small machine for the instructions that ours uses."""
    data = {0: number, 4: architecture} | {
        16 + 8 * n: value for n, value in enumerate((*arguments, 0, 0, 0)[:6])
    }
    loaded = place = 0
    while True:
        code, if_true, if_false, operand = program[place]
        place += 1
        if code == 0x06:
            return operand
        if code == 0x20:
            loaded = data[operand]
        elif code == 0x54:
            loaded &= operand
        else:
            holds = {0x15: loaded == operand, 0x35: loaded >= operand, 0x45: bool(loaded & operand)}[code]
            place += if_true if holds else if_false


@pytest.mark.parametrize(
    ("number", "arguments", "allowed"),
    [
        (56, (0x00010F00,), True),  # clone: a thread
        (56, (0x10000000 | 17,), False),  # clone: a user namespace
        (56, (0x20000000 | 17,), False),  # clone: a process namespace
        (16, (0, 0x5401), True),  # ioctl: isatty
        (16, (0, 0x5412), False),  # ioctl: put characters into the terminal
        (16, (0, 0x541C), False),  # ioctl: paste into the console
        (53, (1,), False),  # socketpair
        (41, (1,), False),  # socket
        (72, (3, 2), True),  # fcntl: close on exec
        (72, (3, 1024), False),  # fcntl: a lease
        (9, (0, 4096, 3, 0x22), True),  # mmap: private memory
        (9, (0, 4096, 3, 0x01), True),  # mmap: a file, shared
        (9, (0, 4096, 3, 0x21), False),  # mmap: shared memory of no file
        (9, (0, 4096, 3, 0x23), False),
        (157, (15,), True),  # prctl: the name of a thread
        (157, (1, 0), False),  # prctl: the signal on the parent's end
        (0, (), True),  # read
        (1000, (), False),  # what later kernels may bring
    ],
)
def test_calls_are_judged_by_their_arguments(number: int, arguments: tuple[int, ...], allowed: bool) -> None:
    """Threads but no namespaces, terminals to ask but not to type into, pairs but no sockets."""
    from grader.describe.child import seccomp

    assert (_judge(seccomp.program("x86_64"), number, *arguments) == seccomp.ALLOW) == allowed


@pytest.mark.parametrize(("number", "architecture"), [(0x40000000 + 1, 0xC000003E), (4, 0x40000003)])
def test_other_doors_into_the_kernel_are_deadly(number: int, architecture: int) -> None:
    """The x32 and the 32-bit interface have numbers of their own: using them ends the process."""
    from grader.describe.child import seccomp

    assert _judge(seccomp.program("x86_64"), number, architecture=architecture) == seccomp.KILL


def test_both_machines_have_the_same_filter() -> None:
    """On AArch64 whatever exists there of the same list."""
    from grader.describe.child import seccomp, syscalls

    names = set(syscalls.numbers("x86_64", syscalls.FILES, syscalls.PROCESSES))
    other = set(syscalls.numbers("aarch64", syscalls.FILES, syscalls.PROCESSES))
    assert other < names
    assert {"openat", "execve", "clone", "futex"} - {"clone"} <= other
    assert len(seccomp.assemble(seccomp.program("aarch64"))) % 8 == 0


def test_limits_cannot_be_raised(attack: Attack) -> None:
    """Hard limits are hard, and the kernel will take this process first when memory ends."""
    outcome = attack(
        TRY + "import resource\n"
        "names = ('AS', 'FSIZE', 'NOFILE', 'CPU', 'CORE', 'NPROC')\n"
        "def more(name):\n"
        "    kind = getattr(resource, 'RLIMIT_' + name)\n"
        "    limit = resource.getrlimit(kind)[1]\n"
        "    resource.setrlimit(kind, (limit + 1, limit + 1))\n"
        "def spare_me():\n"
        "    with open('/proc/self/oom_score_adj', 'w') as file: file.write('-1')\n"
        "say([[attempt(lambda: more(name)) for name in names], attempt(spare_me)])"
    )
    assert set(outcome.said.replace("[", "").replace("]", "").split(", ")) <= {
        "'ValueError'",
        "'PermissionError'",
    }


def test_setuid_programs_give_nothing(attack: Attack) -> None:
    """`su` and the like run, but without privileges."""
    outcome = attack(
        TRY
        + "found = [p for p in ('/usr/bin/su', '/usr/bin/newuidmap', '/usr/bin/passwd', '/usr/bin/mount')\n"
        "         if os.path.exists(p)]\n"
        "say([subprocess.run([p, '--version'], capture_output=True, stdin=subprocess.DEVNULL).returncode >= 0\n"
        "     and 'Uid:\\t0' in subprocess.run(['cat', '/proc/self/status'], capture_output=True, text=True).stdout\n"
        "     for p in found])"
    )
    assert "True" not in outcome.said


# --- where there is no isolation ----------------------------------------------------------------


@pytest.fixture
def no_box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which bubblewrap is blocked and no engine runs."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("bwrap", "docker", "podman"):
        (programs / name).write_text("#!/bin/sh\necho 'setting up uid map: Permission denied' >&2\nexit 1\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setattr(isolation, "wheel", lambda: str(programs / "bwrap"))


def test_a_class_is_not_graded_without_isolation(no_box: None) -> None:
    """Fail closed: every reason, and the remedy for the one that this machine is likely to have."""
    with pytest.raises(BrokenError) as caught:
        isolation.choose("required")
    assert "bubblewrap: " in caught.value.message
    assert "docker: " in caught.value.message
    assert "AppArmor" in caught.value.hint


def test_ones_own_work_is_checked_without_and_marked(no_box: None) -> None:
    """`check` goes on, and the report says what it was made without."""
    chosen = isolation.choose("preferred")
    assert not chosen.closed
    assert "not closed off" in chosen.name


def test_a_box_that_does_not_even_start_is_our_fault(
    warm: Asker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the self-test and a submission a machine may change: nobody's zero."""
    broken = isolation.Bubblewrap("bubblewrap", "/bin/false")
    asker = Asker(warm.dataset, broken, tmp_path)
    outcome = ask(asker, notebook(tmp_path, "x = 1"), tmp_path)
    assert isinstance(outcome.error, BrokenError)
    assert "grader doctor" in outcome.error.hint


def test_a_dead_fork_server_is_replaced_by_cold_starts(
    box: isolation.Isolation, some_mnist: Dataset, tmp_path: Path
) -> None:
    """Killing the server from outside costs a class time, and no grade."""
    (tmp_path / "shared").mkdir()
    asker = Asker(some_mnist, box, tmp_path / "shared")
    if reason := asker.serve():
        pytest.skip(reason)
    assert asker._server is not None
    asker._server._server.kill()
    before, running = host(), boxes()
    folders = {name: tmp_path / "task" / name for name in ("input", "data", "home")}
    for name, folder in folders.items():
        folder.mkdir(parents=True)
        (folder / "kept").write_text(name)
    with pytest.raises(ServerGone):
        asker._server.start(isolation.Task("grader.describe.child.replay", *folders.values()))
    assert {name: (folder / "kept").read_text() for name, folder in folders.items()} == {
        n: n for n in folders
    }
    outcome = ask(asker, notebook(tmp_path, "x = 1"), tmp_path)
    assert isinstance(outcome.error, StudentError)
    assert asker._server is None
    assert host() == before
    assert_only(running)


def test_cold_and_warm_give_the_same(cold: Asker, warm: Asker, tmp_path: Path) -> None:
    """A fork server changes when libraries are imported, and nothing else."""
    submission = Path(__file__).parents[2] / "submissions" / "3-bn-dropout-schedule"
    outcomes: list[Outcome] = [ask(asker, submission, tmp_path) for asker in (cold, warm)]
    assert outcomes[0].description is not None
    assert outcomes[0].description == outcomes[1].description
