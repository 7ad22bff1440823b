"""The compiled steps of `adamw.cpp`, where there is a C++ compiler."""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from stillhouse.compiled import FLAG, NUMBER, POINTER, REAL, Compiled, in_threads

STEPS = Compiled(
    Path(__file__).with_name("adamw.cpp"),
    {
        "adamw_blocks": (FLAG, *(POINTER,) * 6, *(NUMBER,) * 3, *(REAL,) * 7, ctypes.c_uint32),
        "squares_of": (FLAG, POINTER, *(NUMBER,) * 3),
    },
    returns={"squares_of": ctypes.c_double},
)
BLOCK = 256
"""Weights that share one scale of their first moment; the same there."""

BLOCKS_A_THREAD = 1024
"""Fewer are not worth another thread, which takes a quarter of a millisecond to wake."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step's numbers, in the order of the compiled function: what the gradient is multiplied with; the learning
    rate over 1 - beta1^t; 1 - learning rate * weight decay; both betas; 1 / sqrt(1 - beta2^t); epsilon; a seed."""

    factor: float
    rate: float
    keep: float
    beta1: float
    beta2: float
    root: float
    eps: float
    seed: int


def available() -> bool:
    """Whether there are compiled steps."""
    return STEPS.there


def step_blocks(
    step: Step,
    weight: Tensor,
    lower: Tensor | None,
    gradient: Tensor,
    codes: Tensor,
    scales: Tensor,
    second: Tensor,
) -> None:
    """AdamW's step on one tensor, in place: `weight` in float32, or in bfloat16 with its `lower` half in int16."""
    size, numbers = weight.numel(), (step.factor, step.rate, step.keep, step.beta1, step.beta2, step.root, step.eps)

    def some(begin: int, end: int, _: int) -> None:
        STEPS.functions.adamw_blocks(
            int(lower is not None),
            weight.data_ptr(),
            None if lower is None else lower.data_ptr(),
            gradient.data_ptr(),
            codes.data_ptr(),
            scales.data_ptr(),
            second.data_ptr(),
            begin,
            end,
            size,
            *numbers,
            step.seed,
        )

    _by_blocks(some, size)


def square_sum(numbers: Tensor) -> float:
    """The sum of the squares of a contiguous tensor in float32 or bfloat16, in float64 but for blocks of 256."""
    parts: dict[int, float] = {}

    def some(begin: int, end: int, thread: int) -> None:
        half = int(numbers.dtype == torch.bfloat16)
        parts[thread] = STEPS.functions.squares_of(half, numbers.data_ptr(), begin, end, numbers.numel())

    _by_blocks(some, numbers.numel())
    return sum(parts[thread] for thread in sorted(parts))


def _by_blocks(some: Callable[[int, int, int], None], size: int) -> None:
    blocks = -(-size // BLOCK)
    in_threads(some, blocks, max(1, min(torch.get_num_threads(), blocks // BLOCKS_A_THREAD)))
