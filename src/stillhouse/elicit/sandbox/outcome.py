"""What a program may use, and what came of it."""

import ast
from dataclasses import dataclass
from typing import Any, Literal

Status = Literal["ok", "error", "exit", "timeout", "memory", "output", "empty", "lost"]
"""How a program ended.

"ok": it ran to its end, and so did its tests. "error": an exception, an exit code or a signal. "exit": it left by
itself before the end, with an exit code of 0. "timeout", "memory", "output": it hit that limit. "empty": there was no
program to run, or no tests. "lost": it took the sandbox down with it.
"""


@dataclass(frozen=True, slots=True)
class Limits:
    """`memory_mb` is for each of `processes` (threads count too); `files_mb` for each file and for all together."""

    seconds: float = 5.0
    memory_mb: int = 512
    processes: int = 1
    output_kb: int = 64
    files_mb: int = 8


@dataclass(frozen=True, slots=True)
class Program:
    """Python source, its tests (more source, run after it in the same names; None: it has none), its standard input."""

    code: str
    tests: str | None = None
    stdin: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a program ended and what it wrote, standard error from its end; `error` is the last line of that."""

    status: Status
    stdout: str = ""
    stderr: str = ""
    seconds: float = 0.0

    @property
    def error(self) -> str:
        """One line that says what went wrong, "" where nothing did."""
        if self.status == "ok":
            return ""
        lines = self.stderr.strip().splitlines()
        return lines[-1] if self.status in ("error", "lost") and lines else self.status


def outcome(report: bytes) -> Outcome:
    """Read the report of the sandbox's first process; a complaint instead means that the sandbox is lost."""
    if not report.startswith(b"{"):
        return Outcome("lost", stderr=report.decode(errors="replace"))
    said: dict[str, Any] = ast.literal_eval(report.decode())
    return Outcome(_status(said), said["stdout"], said["stderr"], said["seconds"])


def _status(said: dict[str, Any]) -> Status:
    if said["timeout"]:
        return "timeout"
    if said["overflow"]:
        return "output"
    if said["finished"]:
        return "ok"
    if said["stderr"].rstrip().rpartition("\n")[2].startswith("MemoryError"):
        return "memory"
    return "exit" if said["code"] == 0 else "error"
