"""RMSNorm that keeps its input and one number a row: neither the normalised rows nor float32 copies."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from stillhouse.models.layers.native import norm_rows, norm_slopes
from stillhouse.models.layers.twice import differentiable


def rms_norm(
    x: Float[Tensor, "*N H"], weight: Float[Tensor, "H"], eps: float, dtype: torch.dtype
) -> Float[Tensor, "*N H"]:
    """weight x / sqrt(mean(x²) + eps), arXiv 1910.07467; computed in float32, rounded once."""
    return _RmsNorm.apply(x, weight, eps, dtype)  # pyright: ignore[reportReturnType]


def plain_rms_norm(x: Float[Tensor, "*N H"], weight: Float[Tensor, "H"], eps: float) -> Float[Tensor, "*N H"]:
    """The same as the models have it: what is normalised is rounded before the weight comes to it."""
    wide = x.float()
    return weight * (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps)).to(x.dtype)


class _RmsNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float, dtype: torch.dtype) -> Tensor:
        y, inverses = norm_rows(x.contiguous(), weight, eps, dtype)
        ctx.save_for_backward(x, weight, inverses)
        ctx.eps = eps
        return y

    @staticmethod
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *grad_outputs: Tensor
    ) -> tuple[Tensor | None, ...]:
        x, weight, inverses = ctx.saved_tensors
        (of_y,) = grad_outputs
        if torch.is_grad_enabled():
            y = plain_rms_norm(x, weight, ctx.eps).to(of_y.dtype)
            return *differentiable(y, of_y, x, weight), None, None
        to_weight = ctx.needs_input_grad[1]
        return *norm_slopes(of_y.contiguous(), x.contiguous(), weight, inverses, to_weight=to_weight), None, None
