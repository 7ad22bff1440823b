"""The compiled rows of `native.cpp`, where there is a C++ compiler; tensors are contiguous."""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from stillhouse.compiled import FLAG, NUMBER, POINTER, REAL, Compiled, in_threads

ROWS = Compiled(
    Path(__file__).with_name("native.cpp"),
    {
        "norm_rows": (FLAG, FLAG, *(POINTER,) * 4, *(NUMBER,) * 3, REAL),
        "norm_slopes": (FLAG, FLAG, *(POINTER,) * 6, *(NUMBER,) * 3),
        "gated_numbers": (FLAG, *(POINTER,) * 3, NUMBER, NUMBER),
        "gated_slopes": (FLAG, *(POINTER,) * 5, NUMBER, NUMBER),
    },
)
FEW = 8192
"""Torch's own operations are as fast with fewer numbers."""

NUMBERS_A_THREAD = 2**18
"""Fewer are not worth another thread, which takes a quarter of a millisecond to wake."""


def available() -> bool:
    """Whether there are compiled rows."""
    return ROWS.there


def takes(numbers: Tensor, other: Tensor) -> bool:
    """Whether compiled rows can read such tensors, on a CPU in float32 or bfloat16, and are worth it."""
    able = all(t.device.type == "cpu" and t.dtype in (torch.float32, torch.bfloat16) for t in (numbers, other))
    return able and numbers.numel() >= FEW


def norm_rows(
    x: Float[Tensor, "*N H"], weight: Float[Tensor, "H"], eps: float, dtype: torch.dtype
) -> tuple[Float[Tensor, "*N H"], Float[Tensor, "*N"]]:
    """weight x / rms in `dtype`, and 1 / rms in float32, with rms = sqrt(mean(x²) + eps)."""
    y, inverses = torch.empty_like(x, dtype=dtype), torch.empty(x.shape[:-1], dtype=torch.float32)
    wide = weight.float().contiguous()

    def some(begin: int, end: int, _: int) -> None:
        ROWS.functions.norm_rows(
            *(_half(x), _half(y), x.data_ptr(), wide.data_ptr(), y.data_ptr(), inverses.data_ptr()),
            *(begin, end, x.shape[-1], eps),
        )

    in_threads(some, inverses.numel(), _threads(x))
    return y, inverses


def norm_slopes(
    of_y: Float[Tensor, "*N H"],
    x: Float[Tensor, "*N H"],
    weight: Float[Tensor, "H"],
    inverses: Float[Tensor, "*N"],
    *,
    to_weight: bool,
) -> tuple[Float[Tensor, "*N H"], Float[Tensor, "H"] | None]:
    """Gradients of x and, if `to_weight`, of the weight, which is summed in float64 and in the same order each time."""
    of_x, wide, threads = torch.empty_like(x), weight.float().contiguous(), _threads(x)
    sums = torch.zeros(threads, x.shape[-1], dtype=torch.float64) if to_weight else None

    def some(begin: int, end: int, thread: int) -> None:
        ROWS.functions.norm_slopes(
            *(_half(x), _half(of_y), of_y.data_ptr(), x.data_ptr(), wide.data_ptr(), inverses.data_ptr()),
            *(of_x.data_ptr(), None if sums is None else sums[thread].data_ptr(), begin, end, x.shape[-1]),
        )

    in_threads(some, inverses.numel(), threads)
    return of_x, None if sums is None else sums.sum(0).to(weight.dtype)


def gated_numbers(gate: Float[Tensor, "*N I"], up: Float[Tensor, "*N I"]) -> Float[Tensor, "*N I"]:
    """silu(gate) up, number by number."""
    y = torch.empty_like(gate)

    def some(begin: int, end: int, _: int) -> None:
        ROWS.functions.gated_numbers(_half(gate), gate.data_ptr(), up.data_ptr(), y.data_ptr(), begin, end)

    in_threads(some, y.numel(), _threads(y))
    return y


def gated_slopes(
    of_y: Float[Tensor, "*N I"], gate: Float[Tensor, "*N I"], up: Float[Tensor, "*N I"]
) -> tuple[Float[Tensor, "*N I"], Float[Tensor, "*N I"]]:
    """Gradients of gate and up."""
    of_gate, of_up = torch.empty_like(gate), torch.empty_like(up)

    def some(begin: int, end: int, _: int) -> None:
        ROWS.functions.gated_slopes(
            *(_half(gate), of_y.data_ptr(), gate.data_ptr(), up.data_ptr(), of_gate.data_ptr(), of_up.data_ptr()),
            *(begin, end),
        )

    in_threads(some, gate.numel(), _threads(gate))
    return of_gate, of_up


def _half(numbers: Tensor) -> int:
    return int(numbers.dtype == torch.bfloat16)


def _threads(numbers: Tensor) -> int:
    return max(1, min(torch.get_num_threads(), numbers.numel() // NUMBERS_A_THREAD))
