"""The middle of a gated MLP, of which nothing is kept but gate and up themselves."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from stillhouse.models.layers.native import gated_numbers, gated_slopes
from stillhouse.models.layers.twice import differentiable


def gated(gate: Float[Tensor, "*N I"], up: Float[Tensor, "*N I"]) -> Float[Tensor, "*N I"]:
    """silu(gate) up, arXiv 2002.05202; computed in float32, rounded once."""
    return _Gated.apply(gate, up)  # pyright: ignore[reportReturnType]


def computed_again(
    y: Float[Tensor, "*N I"], gate: Float[Tensor, "*N I"], up: Float[Tensor, "*N I"]
) -> saved_tensors_hooks:
    """Within it, the backward pass does not keep y = gated(gate, up) but computes it anew: gate and up are there."""
    place, like, both = y.data_ptr(), (y.dtype, y.numel()), (gate.detach().contiguous(), up.detach().contiguous())

    def kept(t: Tensor) -> Tensor | torch.Size:
        return t.shape if t.data_ptr() == place and (t.dtype, t.numel()) == like and t.is_contiguous() else t

    def unpacked(found: Tensor | torch.Size) -> Tensor:
        return found if isinstance(found, Tensor) else gated_numbers(*both).view(found)

    return saved_tensors_hooks(kept, unpacked)


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
