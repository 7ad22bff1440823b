"""How a command ends: one sentence on stderr and an exit code, whatever happened."""

import errno
import os
import shlex
import signal
import threading
import traceback
from types import TracebackType
from typing import Any

import typer
from rich.console import Console

from stillhouse.errors import Resumable, StillhouseError

FAILED, RESUMABLE = 4, 3


class Ending:
    """Turns whatever ends a command into one sentence on stderr and an exit code.

    0 done, 2 the recipe or command line must be changed, 3 stopped but resumable, 4 failed.
    """

    def __init__(self, args: list[str]) -> None:
        self.again = shlex.join(["stillhouse", *args])
        self.debug = "--debug" in args or bool(os.environ.get("STILLHOUSE_DEBUG"))

    def __enter__(self) -> "Ending":
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, signal.default_int_handler)
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is None or isinstance(error, typer.Exit | typer.Abort | typer.TyperException | SystemExit):
            return
        if isinstance(error, BrokenPipeError):  # the reader of a pipe has seen enough
            return
        sentence, code = self.verdict(error)
        if self.debug:
            traceback.print_exception(error)
        Console(stderr=True, soft_wrap=True).print(sentence, style="red", markup=False, highlight=False)
        raise typer.Exit(code) from error

    def verdict(self, error: BaseException) -> tuple[str, int]:
        """The sentence and the exit code for an error."""
        go_on = f"go on with: {self.again}"
        match error:
            case KeyboardInterrupt():
                return f"Stopped; nothing is lost, {go_on}", RESUMABLE
            case Resumable():
                return f"{str(error).rstrip('.')}; {go_on}", RESUMABLE
            case StillhouseError():
                return str(error), error.exit_code
            case OSError(errno=errno.ENOSPC | errno.EDQUOT | errno.EFBIG):
                return f"No room left on the disk ({error.strerror}); free some, then {go_on}", RESUMABLE
            case OSError(filename=str(file)):
                return f"{file}: {error.strerror}.", FAILED
            case MemoryError():
                return f"Out of memory; lower train.micro_tokens or train.batch_size, then {go_on}", FAILED
        said = " ".join(f"{type(error).__name__}: {error}".split())
        said = said if len(said) <= 300 else said[:297] + "..."
        return f"{said} (this is a bug in Stillhouse; run again with --debug to see where, and report it)", FAILED
