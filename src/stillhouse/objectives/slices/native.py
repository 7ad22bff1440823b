"""The compiled rows of `native.cpp`: built once a machine where there is a C++ compiler, done without elsewhere."""

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor

from stillhouse.machine import cache_root

Kind = Literal[
    "forward_kl",
    "reverse_kl",
    "jensen_shannon",
    "symmetric_kl",
    "skew_kl",
    "skew_reverse_kl",
    "total_variation",
    "hellinger",
    "alpha_beta",
    "renyi",
    "cross_entropy",
    "entropy",
    "adaptive_kl",
    "triangular",
    "standardised_kl",
    "perturbed_kl",
]
"""What the compiled rows compute, in the order of its numbers there."""

SOURCE = Path(__file__).with_name("native.cpp")
PORTABLE = ["-std=c++17", "-O3", "-shared", "-fPIC"]
FASTER = ["-march=native", "-mprefer-vector-width=512"]
"""For compilers that know the processor's own instructions."""
ANY_ORDER = ["-fno-math-errno", "-fno-trapping-math", "-fno-signed-zeros", "-fassociative-math", "-freciprocal-math"]
"""Sums may be added up in any order, which makes them vectors; what is not finite stays so."""

ROWS_A_THREAD = 8
"""Fewer rows than this are not worth another thread."""


@dataclass(frozen=True, slots=True)
class Form:
    """A divergence as the compiled rows know it; `a` and `b` mean what its comment there says."""

    kind: Kind
    a: float = 0.0
    b: float = 0.0
    of_student: float = 0.0
    """How much of the student's logits is mixed into the teacher's."""
    factor: float = 1.0
    """On the value and the gradient."""
    temperature: float = 1.0
    tau_squared: bool = False

    @property
    def of_value(self) -> float:
        return self.factor * (self.temperature**2 if self.tau_squared else 1.0)


def compiler() -> str | None:
    """What compiles the rows; None where there is nothing, or it is not wanted (`STILLHOUSE_NATIVE=0`)."""
    if os.environ.get("STILLHOUSE_NATIVE") == "0":
        return None
    return os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")


def available(student: Tensor, teacher: Tensor | None) -> bool:
    """Whether the compiled rows can take such logits: on a CPU, both in float32 or both in bfloat16."""
    fits = student.device.type == "cpu" and student.dtype in (torch.float32, torch.bfloat16)
    alike = teacher is None or (teacher.dtype == student.dtype and teacher.stride(-1) == 1)
    return fits and alike and _library() is not None


def divergence_rows(
    form: Form, student: Float[Tensor, "N V"], teacher: Float[Tensor, "N V"] | None
) -> Float[Tensor, "N"]:
    """The values of all rows; the student's logits are overwritten by the gradient with respect to them.

    A row with logits of -inf or NaN may come out not finite, and then its gradient means nothing. First ask
    `available`.
    """
    values, width = torch.empty(len(student), dtype=torch.float32), student.shape[1]

    def some(begin: int, end: int, scratch: int) -> None:
        _loaded().divergence_rows(
            get_args(Kind).index(form.kind),
            int(student.dtype == torch.bfloat16),
            student.data_ptr(),
            None if teacher is None else teacher.data_ptr(),
            begin,
            end,
            width,
            student.stride(0),
            0 if teacher is None else teacher.stride(0),
            1 / form.temperature,
            form.a,
            form.b,
            form.of_student,
            form.of_value / form.temperature,
            values.data_ptr(),
            scratch,
        )

    _in_threads(some, len(student), 2 * width)
    return values if form.of_value == 1.0 else values.mul_(form.of_value)


def label_rows(logits: Float[Tensor, "N V"], labels: Int[Tensor, "N"], *, slope: float = 0.0) -> Float[Tensor, "N"]:
    """log q(label) of all rows; the logits are overwritten by its gradient times `slope`, unless that is zero.

    First ask `available`; what is not finite comes out as in `divergence_rows`.
    """
    values, width, labels = torch.empty(len(logits), dtype=torch.float32), logits.shape[1], labels.long().contiguous()

    def some(begin: int, end: int, scratch: int) -> None:
        _loaded().label_rows(
            int(logits.dtype == torch.bfloat16),
            logits.data_ptr(),
            labels.data_ptr(),
            begin,
            end,
            width,
            logits.stride(0),
            slope,
            values.data_ptr(),
            scratch,
        )

    _in_threads(some, len(logits), width)
    return values


def _in_threads(some: Callable[[int, int, int], None], count: int, floats: int) -> None:
    """Calls some(begin, end, address of scratch) for all rows, shared among torch's number of threads."""
    threads = max(1, min(torch.get_num_threads(), count // ROWS_A_THREAD))
    scratch = torch.empty(threads, floats, dtype=torch.float32)
    shares = [(count * i // threads, count * (i + 1) // threads, scratch[i].data_ptr()) for i in range(threads)]
    if threads == 1:
        some(*shares[0])
    else:
        for done in [_pool(threads).submit(some, *share) for share in shares]:
            done.result()


@lru_cache(maxsize=1)
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="rows")


def _loaded() -> ctypes.CDLL:
    library = _library()
    assert library is not None, "no compiled rows: ask `available` first"
    return library


@lru_cache(maxsize=1)
def _library() -> ctypes.CDLL | None:
    """The compiled rows; None where they cannot be had."""
    found = compiler()
    if found is None:
        return None
    try:
        library = ctypes.CDLL(str(_built(found)))
    except (OSError, subprocess.SubprocessError):
        return None
    pointer, number, real = ctypes.c_void_p, ctypes.c_long, ctypes.c_float
    library.divergence_rows.argtypes = [
        *(ctypes.c_int, ctypes.c_int, pointer, pointer),
        *(number,) * 5,
        *(real,) * 5,
        *(pointer, pointer),
    ]
    library.label_rows.argtypes = [ctypes.c_int, pointer, pointer, *(number,) * 4, real, pointer, pointer]
    library.divergence_rows.restype = library.label_rows.restype = None
    return library


def _built(compiler: str) -> Path:
    """The shared library for this source, compiler and processor, compiled where it is not there yet."""
    key = hashlib.sha256(
        "\0".join([SOURCE.read_text(), compiler, *FASTER, *ANY_ORDER, _processor()]).encode()
    ).hexdigest()[:16]
    folder = cache_root() / "native"
    library = folder / f"rows-{key}.so"
    if library.exists():
        return library
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as place:
        output = Path(place) / library.name
        command = [compiler, *PORTABLE, *ANY_ORDER, "-o", str(output), str(SOURCE)]
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
