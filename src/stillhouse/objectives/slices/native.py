"""The compiled rows of `native.cpp`, where there is a C++ compiler."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor

from stillhouse.compiled import FLAG, NUMBER, POINTER, REAL, Compiled, in_threads

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

ROWS = Compiled(
    Path(__file__).with_name("native.cpp"),
    {
        "divergence_rows": (FLAG, FLAG, POINTER, POINTER, *(NUMBER,) * 5, *(REAL,) * 5, POINTER, POINTER),
        "label_rows": (FLAG, POINTER, POINTER, *(NUMBER,) * 4, REAL, POINTER, POINTER),
    },
)
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


def available(student: Tensor, teacher: Tensor | None) -> bool:
    """Whether the compiled rows can take such logits: on a CPU, both in float32 or both in bfloat16."""
    fits = student.device.type == "cpu" and student.dtype in (torch.float32, torch.bfloat16)
    alike = teacher is None or (teacher.dtype == student.dtype and teacher.stride(-1) == 1)
    return fits and alike and ROWS.there


def divergence_rows(
    form: Form, student: Float[Tensor, "N V"], teacher: Float[Tensor, "N V"] | None
) -> Float[Tensor, "N"]:
    """The values of all rows; the student's logits are overwritten by the gradient with respect to them.

    A row with logits of -inf or NaN may come out not finite, and then its gradient means nothing. First ask
    `available`.
    """
    values, width = torch.empty(len(student), dtype=torch.float32), student.shape[1]

    def some(begin: int, end: int, scratch: int) -> None:
        ROWS.functions.divergence_rows(
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

    _by_rows(some, len(student), 2 * width)
    return values if form.of_value == 1.0 else values.mul_(form.of_value)


def label_rows(logits: Float[Tensor, "N V"], labels: Int[Tensor, "N"], *, slope: float = 0.0) -> Float[Tensor, "N"]:
    """log q(label) of all rows; the logits are overwritten by its gradient times `slope`, unless that is zero.

    First ask `available`; what is not finite comes out as in `divergence_rows`.
    """
    values, width, labels = torch.empty(len(logits), dtype=torch.float32), logits.shape[1], labels.long().contiguous()

    def some(begin: int, end: int, scratch: int) -> None:
        ROWS.functions.label_rows(
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

    _by_rows(some, len(logits), width)
    return values


def _by_rows(some: Callable[[int, int, int], None], count: int, floats: int) -> None:
    """Calls some(begin, end, address of scratch) for all rows, shared among torch's number of threads."""
    threads = max(1, min(torch.get_num_threads(), count // ROWS_A_THREAD))
    scratch = torch.empty(threads, floats, dtype=torch.float32)
    in_threads(lambda begin, end, thread: some(begin, end, scratch[thread].data_ptr()), count, threads)
