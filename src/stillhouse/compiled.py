"""C++ beside its Python: built once a machine where there is a compiler, done without elsewhere."""

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from stillhouse.machine import cache_root

FLAG, POINTER, NUMBER, REAL = ctypes.c_int, ctypes.c_void_p, ctypes.c_long, ctypes.c_float
"""What compiled functions are given."""

PORTABLE = ["-std=c++17", "-O3", "-shared", "-fPIC"]
FASTER = ["-march=native", "-mprefer-vector-width=512"]
"""For compilers that know the processor's own instructions."""
ANY_ORDER = ["-fno-math-errno", "-fno-trapping-math", "-fno-signed-zeros", "-fassociative-math", "-freciprocal-math"]
"""Sums may be added up in any order, which makes them vectors; what is not finite stays so."""


def compiler() -> str | None:
    """What compiles; None where there is nothing, or it is not wanted (`STILLHOUSE_NATIVE=0`)."""
    if os.environ.get("STILLHOUSE_NATIVE") == "0":
        return None
    return os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")


class Compiled:
    """The functions of one source file, compiled when they are first asked for; `there` is false where they cannot be.

    `arguments` has the C types of what each function is given; `returns` of what it gives back, if it does.
    """

    def __init__(
        self, source: Path, arguments: Mapping[str, Sequence[Any]], returns: Mapping[str, Any] | None = None
    ) -> None:
        self._source, self._arguments, self._returns = source, arguments, returns or {}

    @property
    def there(self) -> bool:
        return self._library is not None

    @property
    def functions(self) -> ctypes.CDLL:
        assert self._library is not None, "no compiled functions: ask whether they are `there` first"
        return self._library

    @cached_property
    def _library(self) -> ctypes.CDLL | None:
        found = compiler()
        if found is None:
            return None
        try:
            library = ctypes.CDLL(str(_built(self._source, found)))
        except (OSError, subprocess.SubprocessError):
            return None
        for name, types in self._arguments.items():
            function = getattr(library, name)
            function.argtypes, function.restype = list(types), self._returns.get(name)
        return library


def in_threads(work: Callable[[int, int, int], None], count: int, threads: int) -> None:
    """Calls work(begin, end, thread) for all of range(count), in equal shares; C++ runs at once in all of them."""
    shares = [(count * i // threads, count * (i + 1) // threads, i) for i in range(threads)]
    if threads == 1:
        work(*shares[0])
    else:
        for done in [_pool(threads).submit(work, *share) for share in shares]:
            done.result()


@lru_cache(maxsize=1)
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="compiled")


def _built(source: Path, compiler: str) -> Path:
    """The shared library for this source, compiler and processor, compiled where it is not there yet."""
    key = hashlib.sha256(
        "\0".join([source.read_text(), compiler, *FASTER, *ANY_ORDER, _processor()]).encode()
    ).hexdigest()[:16]
    folder = cache_root() / "native"
    library = folder / f"{source.stem}-{key}.so"
    if library.exists():
        return library
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as place:
        output = Path(place) / library.name
        command = [compiler, *PORTABLE, *ANY_ORDER, "-o", str(output), str(source)]
        if subprocess.run([*command, *FASTER], capture_output=True, timeout=120).returncode != 0:
            subprocess.run(command, capture_output=True, timeout=120, check=True)
        output.replace(library)
    return library


def _processor() -> str:
    """What makes code of one machine wrong on another that shares its home folder."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine() + platform.processor()
    return platform.machine() + next((line for line in lines if line.startswith(("flags", "Features"))), "")
