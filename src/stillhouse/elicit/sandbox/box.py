"""One sandbox: a kind of namespaces that is on this machine, and a run in it."""

import marshal
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from stillhouse.elicit.sandbox.kinds import DEVICES, Kind, python, spare_uid, visible
from stillhouse.elicit.sandbox.outcome import Limits, Outcome, Program, outcome
from stillhouse.elicit.sandbox.seccomp import call_filter

GRACE = 30.0
"""Seconds beyond the limit after which the first process inside, which keeps the limit, is given up."""

ENVIRONMENT = {"HOME": "/tmp", "LANG": "C.UTF-8", "PYTHONHASHSEED": "0"}
"""All that a program sees; the hash seed, so that it prints sets in the same order in every run."""

ISOLATED = ("-P", "-s", "-S", "-B")
"""No path but the standard library's; as -I, which would ignore the hash seed too."""


@dataclass(frozen=True, slots=True)
class Box:
    """A kind and the path of its program. Ask `probe` whether it holds before anything runs in it."""

    kind: Kind
    binary: str

    def run(self, program: Program, limits: Limits) -> Outcome:
        """Run one program to its end or its limits. Never raises for what the program does."""
        uid = spare_uid()
        helpers = self.kind.helpers if uid is None else 0
        job = {
            "code": program.code,
            "tests": program.tests,
            "stdin": program.stdin,
            "seconds": limits.seconds,
            "memory_mb": limits.memory_mb,
            "processes": limits.processes + helpers,
            "output_kb": limits.output_kb,
            "files_mb": limits.files_mb,
            "build_root": self.kind.builds_root,
            "visible": [*visible(), *DEVICES],
            "uid": uid,
            "python": [str(python()), *ISOLATED],
            "driver": source("driver"),
            "environment": ENVIRONMENT,
            "filter": call_filter().hex(),
        }
        command = [
            *self.kind.command(self.binary, uid, limits.files_mb),
            str(python()),
            *ISOLATED,
            "-c",
            source("init"),
        ]
        return outcome(first_process(command, marshal.dumps(job), limits.seconds + GRACE))


def find(kind: Kind) -> Box | None:
    """The box of this kind, None where its program is not installed."""
    binary = shutil.which(kind.name)
    return Box(kind, binary) if binary else None


def first_process(command: list[str], job: bytes, seconds: float) -> bytes:
    """What it reports; what it complains of, where it fails. It has no environment of ours and none of our files."""
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd="/",
        env={},
        start_new_session=True,
    ) as process:
        try:
            report, complaint = process.communicate(job, timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            return b"the sandbox did not end in time"
    return report if process.returncode == 0 else complaint


@cache
def source(name: str) -> str:
    """The text of a file of this folder that runs inside."""
    return Path(__file__).with_name(f"{name}.py").read_text(encoding="utf-8")
