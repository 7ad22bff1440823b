"""The attacks of model-written code, each really run: contained, not passed, and nothing left of it."""

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from stillhouse.elicit.sandbox.box import Box
from stillhouse.elicit.sandbox.outcome import Limits, Outcome, Program

LIMITS = Limits(seconds=5.0, memory_mb=256, processes=1, output_kb=16, files_mb=4)
SHORT = Limits(seconds=0.7, memory_mb=256, processes=4)
FAILS = "assert False"


def run(box: Box, code: str, limits: Limits = LIMITS, tests: str | None = None) -> Outcome:
    return box.run(Program(code, tests), limits)


def processes_called(name: str) -> list[str]:
    found = []
    for comm in Path("/proc").glob("[0-9]*/comm"):
        try:
            found += [str(comm)] if comm.read_text().strip() == name else []
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def named(name: str) -> str:
    """Code by which a process and its children are found from outside."""
    return f"import ctypes, os, sys, time\nctypes.CDLL(None).prctl(15, {name.encode()!r}, 0, 0, 0)\n"


def test_a_program_runs_with_its_input_and_its_tests(box: Box) -> None:
    ran = box.run(Program("n = int(input())\nprint(n * 7)", "assert n == 6", "6\n"), LIMITS)
    assert (ran.status, ran.stdout, ran.stderr, ran.error) == ("ok", "42\n", "", "")
    assert 0 < ran.seconds < LIMITS.seconds


def test_the_standard_library_is_there_and_nothing_else(box: Box) -> None:
    assert run(box, "import decimal, hashlib, json, sqlite3, statistics, datetime, fractions").status == "ok"
    assert run(box, "import pydantic").error == "ModuleNotFoundError: No module named 'pydantic'"


def test_the_same_program_prints_the_same(box: Box) -> None:
    code = "print({str(n) for n in range(50)}, sorted(__import__('os').environ))"
    assert run(box, code).stdout == run(box, code).stdout


@pytest.mark.parametrize("loop", ["while True: pass", "import time; time.sleep(99)", "input(); sum(range(10**12))"])
def test_an_endless_program_is_ended(box: Box, loop: str) -> None:
    began = time.monotonic()
    assert box.run(Program(loop, stdin="x\n"), SHORT).status == "timeout"
    assert time.monotonic() - began < SHORT.seconds + 4


def test_it_cannot_ignore_the_end(box: Box) -> None:
    code = "import signal\nfor s in set(signal.Signals) - {9, 19}: signal.signal(s, signal.SIG_IGN)\nwhile True: pass"
    assert run(box, code, SHORT).status == "timeout"


def test_a_fork_bomb_starts_no_more_than_it_may(box: Box) -> None:
    bomb = "import os, time\nn = 1\ntry:\n    while True:\n        if os.fork() == 0: time.sleep(60)\n        n += 1\n"
    bomb += "except BlockingIOError: print(n)"
    assert run(box, bomb, Limits(processes=1)).stdout == "1\n"
    assert run(box, bomb, Limits(processes=4)).stdout == "4\n"
    name = secrets.token_hex(5)
    assert (
        run(box, named(name) + "while True:\n    try: os.fork()\n    except OSError: pass", SHORT).status == "timeout"
    )
    assert processes_called(name) == []


def test_threads_count_as_processes(box: Box) -> None:
    code = "import threading\nt = threading.Thread(target=print, args=(1,)); t.start(); t.join()"
    assert run(box, code).status == "error"
    assert run(box, code, Limits(processes=2)).stdout == "1\n"


@pytest.mark.parametrize(
    "greed",
    [
        "x = bytearray(10 * 2**30)",
        "x = []\nwhile True: x.append(bytearray(2**20))",
        "import mmap; mmap.mmap(-1, 10 * 2**30)",
    ],
)
def test_memory_is_limited(box: Box, greed: str) -> None:
    ran = run(box, greed)
    assert ran.status == "memory" or "Cannot allocate memory" in ran.error


def test_the_disk_is_limited(box: Box) -> None:
    one = "f = open('a', 'wb', buffering=0)\nwhile True: assert f.write(bytes(2**20))"
    assert "File too large" in run(box, one).error
    many = "import os\ntry:\n    for n in range(99): open(str(n), 'wb').write(bytes(2**20))\nexcept OSError as e:\n"
    many += "    print(sum(os.stat(f).st_size for f in os.listdir()) <= 4 * 2**20, e.strerror)"
    assert run(box, many).stdout == "True No space left on device\n"


def test_output_is_limited(box: Box) -> None:
    small = run(box, "print('x' * 20_000)")
    assert (small.status, len(small.stdout)) == ("output", 16 * 1024)
    huge = run(box, "while True: print('x' * 10**6)")
    assert (huge.status, len(huge.stdout)) == ("output", 16 * 1024)
    loud = run(box, "import sys\nfor n in range(10**5): print(n, file=sys.stderr)\nraise ValueError('end')")
    assert (loud.status, loud.error, len(loud.stderr)) == ("error", "ValueError: end", 16 * 1024)


def test_there_is_no_network(box: Box) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert "PermissionError" in run(box, f"import socket; socket.create_connection(('127.0.0.1', {port}), 1)").error
        listener.settimeout(0.1)
        with pytest.raises(TimeoutError):
            listener.accept()
    vsock = run(box, "import socket; socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM).connect((2, 1024))")
    assert "PermissionError" in vsock.error


def test_it_sees_no_secret(box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    canary = "canary-" + secrets.token_hex(8)
    monkeypatch.setenv("OPENAI_API_KEY", canary)
    monkeypatch.setenv("HOME", str(tmp_path))
    key = tmp_path / ".ssh" / "id_rsa"
    key.parent.mkdir()
    key.write_text(canary)
    places = [
        str(key),
        str(Path.cwd() / "pyproject.toml"),
        "/etc/passwd",
        "/proc/1/environ",
        f"/proc/{os.getpid()}/environ",
    ]
    code = f"import os, pathlib\nprint(dict(os.environ))\nfor place in {places!r}:\n"
    code += (
        "    try: print('READ', pathlib.Path(place).read_text())\n    except OSError as error: print(error.strerror)\n"
    )
    seen = run(box, code)
    assert seen.status == "ok"
    assert canary not in seen.stdout and "READ" not in seen.stdout
    assert seen.stdout.count("No such file or directory") == len(places)


def test_it_writes_only_to_its_own_folder(box: Box, tmp_path: Path) -> None:
    code = (
        f"import os\nopen('mine', 'w').write('x')\nfor p in ['/x', os.__file__, '/lib/x', {str(tmp_path / 'x')!r}]:\n"
    )
    code += "    try: open(p, 'w'); print('WROTE', p)\n    except OSError: pass\n"
    assert run(box, code).stdout == ""
    assert list(tmp_path.iterdir()) == []
    assert run(box, "import os; print(os.listdir())").stdout == "[]\n"  # another run, another folder


def test_it_reaches_no_other_process(box: Box) -> None:
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    code = "import os\nprint(os.getppid())\n"
    targets = f"(1, -1, 0, {os.getpid()}, {bystander.pid})"
    code += (
        f"import signal\nsignal.signal(15, signal.SIG_IGN)\nfor p in {targets}:\n    for s in (15, 9 if p else 15):\n"
    )
    code += "        try: os.kill(p, s)\n        except OSError: pass\nprint('still here')"
    ran = run(box, code)
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()
    assert (ran.status, ran.stdout) == ("ok", "1\nstill here\n")


def test_it_gains_no_rights(box: Box) -> None:
    code = "import ctypes\nl = ctypes.CDLL(None, use_errno=True)\nE = ctypes.get_errno\n"
    code += "print([(call, e) for call, args in {\n"
    code += "    'unshare': (0x10000000,), 'mount': (b'x', b'/tmp', b'tmpfs', 0, 0), 'ptrace': (16, 1, 0, 0),\n"
    code += "    'shmget': (0, 4096, 0o1600), 'setuid': (0,) if l.getuid() else (1,), 'chroot': (b'/tmp',),\n"
    code += "}.items() if (e := getattr(l, call)(*args)) != -1])\n"
    code += "print([c for c in range(41) if l.prctl(23, c, 0, 0, 0) != 0], l.prctl(39, 0, 0, 0, 0))"
    assert run(box, code).stdout == "[]\n[] 1\n"


@pytest.mark.parametrize("leave", ["import os; os._exit(0)", "import sys; sys.exit(0)", "raise SystemExit", "quit()"])
def test_leaving_early_passes_no_test(box: Box, leave: str) -> None:
    assert run(box, f"{leave}\n", tests=FAILS).status in ("exit", "error")
    assert run(box, f"def f():\n    {leave}\n", tests="f()\n" + FAILS).status in ("exit", "error")


@pytest.mark.parametrize(
    "fake",
    [
        "print('ok passed 0 failures')",
        "import os\nfor n in range(64):\n    try: os.write(n, b'ok')\n    except OSError: pass",
        "import os, sys\nfor n in range(64):\n    try: os.close(n)\n    except OSError: pass",
        "import sys; sys.stdout.close(); sys.stderr.close()",
        "import atexit, os; atexit.register(os._exit, 0)",
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
        "import sys; sys.excepthook = lambda *a: None",
    ],
)
def test_a_failing_test_fails_whatever_the_program_does_to_its_streams(box: Box, fake: str) -> None:
    assert run(box, fake, tests=FAILS).status in ("exit", "error")


def test_a_closed_output_harms_nobody(box: Box) -> None:
    ran = run(box, "import os\nprint(1, flush=True)\nos.close(1)\nos.close(2)\nos.close(0)")
    assert (ran.status, ran.stdout) == ("ok", "1\n")


def test_a_daemon_does_not_outlive_its_program(box: Box) -> None:
    name = secrets.token_hex(5)
    daemon = "for _ in range(2):\n    if os.fork() == 0:\n        os.setsid()\n"
    daemon += (
        "        if os.fork() == 0:\n            time.sleep(60)\n        os._exit(0)\ntime.sleep(0.1)\nprint('left')"
    )
    ran = run(box, named(name) + daemon, Limits(seconds=5.0, processes=8))
    assert (ran.status, ran.stdout) == ("ok", "left\n")
    assert processes_called(name) == []


def test_nothing_outlives_a_parent_that_is_killed(box: Box, tmp_path: Path) -> None:
    name = secrets.token_hex(5)
    script = tmp_path / "parent.py"
    script.write_text(
        "from stillhouse.elicit.sandbox.box import find\nfrom stillhouse.elicit.sandbox.kinds import KINDS\n"
        "from stillhouse.elicit.sandbox.outcome import Limits, Program\n"
        f"box = find(next(k for k in KINDS if k.name == {box.kind.name!r}))\n"
        f"box.run(Program({named(name) + 'while True: pass'!r}), Limits(seconds=2.0))\n"
    )
    parent = subprocess.Popen([sys.executable, str(script)])
    assert wait_for(lambda: processes_called(name) != [])
    parent.kill()
    parent.wait()
    assert wait_for(lambda: processes_called(name) == [])


def wait_for(condition: Callable[[], bool], seconds: float = 15.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("x = = 1", "SyntaxError: invalid syntax"),
        ("print('\0')", "SyntaxError: source code string cannot contain null bytes"),
        ("x = '\ud800'", "UnicodeEncodeError"),
        ("{{ secret }}", "NameError: name 'secret' is not defined"),
        ("raise KeyError('x')", "KeyError: 'x'"),
        ("import sys; sys.exit('no')", "no"),
        ("import ctypes; ctypes.string_at(0)", "error"),
    ],
)
def test_what_is_wrong_is_said(box: Box, code: str, error: str) -> None:
    ran = run(box, code)
    assert (ran.status, ran.error[: len(error)]) == ("error", error)


def test_a_sandbox_that_cannot_start_is_lost_and_says_why(box: Box) -> None:
    ran = Box(box.kind, "/bin/false").run(Program("print(1)"), LIMITS)
    assert (ran.status, ran.stdout) == ("lost", "")
