"""The middle of a gated MLP, of which nothing is kept but gate and up themselves."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stillhouse.models.layers.native import gated_numbers, gated_slopes
from stillhouse.models.layers.twice import differentiable


def gated(gate: Float[Tensor, "*N I"], up: Float[Tensor, "*N I"]) -> Float[Tensor, "*N I"]:
    """silu(gate) up, arXiv 2002.05202; computed in float32, rounded once."""
    return _Gated.apply(gate, up)  # pyright: ignore[reportReturnType]


class _Gated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor) -> Tensor:
        ctx.save_for_backward(gate, up)
        return gated_numbers(gate.contiguous(), up.contiguous())

    @staticmethod
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *grad_outputs: Tensor
    ) -> tuple[Tensor | None, ...]:
        gate, up = ctx.saved_tensors
        (of_y,) = grad_outputs
        if torch.is_grad_enabled():
            return differentiable(nn.functional.silu(gate) * up, of_y, gate, up)
        return gated_slopes(of_y.contiguous(), gate.contiguous(), up.contiguous())
