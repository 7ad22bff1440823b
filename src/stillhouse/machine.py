"""Settings of the process that make training on a CPU faster; they must be made before torch is imported."""

import ctypes
import os
import sys

_MMAP_THRESHOLD, _TRIM_THRESHOLD, _TOP_PAD = -3, -1, -2  # glibc's names for mallopt
_LARGEST_THRESHOLD = 32 << 20


def settle() -> None:
    """Make threads sleep while they wait, large buffers come in huge pages, and freed ones be used again.

    Spinning threads slow each other ten times where another program wants a core too; a fresh large buffer costs a page
    fault every 4 KiB, which takes longer than filling it. What the environment already says is left alone.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    if sys.platform == "linux" and not any(name.startswith("MALLOC_") for name in os.environ):
        try:
            mallopt = ctypes.CDLL("libc.so.6").mallopt
        except (OSError, AttributeError):  # another C library, which has no such settings
            return
        mallopt(_MMAP_THRESHOLD, _LARGEST_THRESHOLD)
        mallopt(_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(_TOP_PAD, 64 << 20)
