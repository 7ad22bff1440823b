"""Settings of the process, measured in one of its own."""

import subprocess
import sys

import pytest

from stillhouse.machine import rounded_up

PROGRAM = """
from stillhouse.machine import give_back, settle
settle()
import numpy as np
def resident():
    return next(int(line.split()[1]) // 1024 for line in open("/proc/self/status") if line.startswith("VmRSS"))
buffers = [np.ones(1 << 17) for _ in range(200)]
del buffers
kept = resident()
give_back()
print(kept - resident())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="of the C library of Linux")
def test_freed_buffers_are_kept_for_the_next_step_and_given_back_when_told() -> None:
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120, check=True)
    assert int(run.stdout) > 150  # of 200 MiB


def test_few_sizes_none_of_them_much_larger() -> None:
    sizes = {n: rounded_up(n) for n in range(5000)}
    assert all(n <= size <= max(n + n / 8, n + 15) for n, size in sizes.items())
    assert len(set(sizes.values())) < 60 and all(sizes[size] == size for size in sizes.values() if size in sizes)
