"""Whether a sandbox holds: programs that try to break out are really run in it; one that lets any out is none."""

import json
import os
import socket
import tempfile
import time
from functools import cache
from pathlib import Path

from stillhouse.elicit.sandbox.box import ENVIRONMENT, Box, find, source
from stillhouse.elicit.sandbox.kinds import KINDS, visible
from stillhouse.elicit.sandbox.outcome import Limits, Program
from stillhouse.errors import ConfigError, RecipeError

ATTACK = Limits(seconds=10.0, memory_mb=256, processes=1, files_mb=2)
HANG = Limits(seconds=0.5)


@cache
def working_box() -> Box:
    """The first kind of sandbox that is there and holds; looked for once per process.

    Raises RecipeError when there is none, saying what was found of each: nothing runs without one.
    """
    found: list[str] = []
    for kind in KINDS:
        box = find(kind)
        fault = probe(box) if box else "not installed"
        if box and not fault:
            return box
        found.append(f"{kind.name}: {fault}")
    raise RecipeError(
        f"code that a model wrote runs only in a sandbox, and none works here ({'; '.join(found)}); install util-linux "
        "or bubblewrap on Linux and allow user namespaces, or take the step out of the recipe"
    )


def probe(box: Box) -> str:
    """What is wrong with the sandbox, in a few words; "" when it runs a program and held against every attempt."""
    try:
        return _runs(box) or _holds(box) or _ends(box)
    except (ConfigError, OSError) as error:
        return str(error)


def _runs(box: Box) -> str:
    ran = box.run(Program("print(6 * 7)"), ATTACK)
    return "" if (ran.status, ran.stdout) == ("ok", "42\n") else f"a program did not run ({ran.status}: {ran.error})"


def _holds(box: Box) -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener, tempfile.NamedTemporaryFile() as canary:
        outside = {
            "files": [*_neighbours(), canary.name, "/etc/passwd", "/proc/self", "/sys/kernel", "/bin/sh"],
            "port": listener.getsockname()[1],
            "parent": os.getpid(),
            "processes": ATTACK.processes,
            "files_mb": ATTACK.files_mb,
            "environment": ENVIRONMENT,
        }
        tried = box.run(Program(source("attempts"), stdin=json.dumps(outside)), ATTACK)
    if tried.status != "ok":
        return f"the attempts to break out did not run ({tried.status}: {tried.error})"
    return f"a program in it {', '.join(broken)}" if (broken := json.loads(tried.stdout)) else ""


def _neighbours() -> list[str]:
    """What lies in the home folder and in the working folder, less the Python that a program may see."""
    seen = [Path(path) for path in visible()]
    near = [path for folder in {Path.home(), Path.cwd()} if folder.is_dir() for path in folder.iterdir()]
    return [str(p) for p in near if not any(p.is_relative_to(s) or s.is_relative_to(p) for s in seen)]


def _ends(box: Box) -> str:
    """Too much memory and too much time end a program."""
    greedy = box.run(Program(f"x = bytearray({2 * ATTACK.memory_mb} * 2**20)"), ATTACK)
    if greedy.status != "memory":
        return f"a program in it takes too much memory ({greedy.status})"
    began = time.monotonic()
    endless = box.run(Program("while True: pass"), HANG)
    if endless.status != "timeout" or time.monotonic() - began > HANG.seconds + 5:
        return f"a program in it runs too long ({endless.status})"
    return ""
