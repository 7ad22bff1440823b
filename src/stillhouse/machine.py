"""The machine: where its user's cache is, and settings of the process that make training on a CPU faster."""

import ctypes
import os
import sys
from collections.abc import Callable
from pathlib import Path

_MMAP_THRESHOLD, _TRIM_THRESHOLD, _TOP_PAD = -3, -1, -2  # glibc's names for mallopt
_LARGEST_THRESHOLD = 32 << 20


def cache_root() -> Path:
    """`$STILLHOUSE_CACHE`, else `$XDG_CACHE_HOME/stillhouse`, else `~/.cache/stillhouse`."""
    if given := os.environ.get("STILLHOUSE_CACHE"):
        return Path(given).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "stillhouse"


def settle() -> None:
    """Make threads sleep while they wait, large buffers come in huge pages, and freed ones be used again.

    Spinning threads slow each other ten times where another program wants a core too; a fresh large buffer costs a page
    fault every 4 KiB, which takes longer than filling it. What the environment already says is left alone. To be called
    before torch is imported.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    if sys.platform == "linux" and not any(name.startswith("MALLOC_") for name in os.environ):
        mallopt = _of_glibc("mallopt")
        mallopt(_MMAP_THRESHOLD, _LARGEST_THRESHOLD)
        mallopt(_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(_TOP_PAD, 64 << 20)


def give_back() -> None:
    """Return freed buffers, which `settle` keeps for the next step, to the system: for when a model is done with."""
    if sys.platform == "linux":
        _of_glibc("malloc_trim")(0)


def rounded_up(count: int) -> int:
    """One of few sizes, at most an eighth larger: for one side of matrix products, so that their shapes come back.

    On a CPU each new shape is compiled, which takes milliseconds, and keeps a third of a MiB, most of it for good.
    """
    grain = max(16, 1 << max(0, count.bit_length() - 4))
    return -(-count // grain) * grain


def _of_glibc(name: str) -> Callable[..., object]:
    """A function of the C library; one that does nothing where there is another library, without it."""
    try:
        return getattr(ctypes.CDLL("libc.so.6"), name)
    except (OSError, AttributeError):
        return lambda *_: None
