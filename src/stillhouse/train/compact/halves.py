"""A float32 weight as a bfloat16, which models compute with, and the 16 bits that it lacks. Nothing is lost."""

import torch
from jaxtyping import BFloat16, Float32, Int16
from torch import Tensor, nn
from transformers import PreTrainedModel

from stillhouse.models.forward import backbone

SPAN = 2**20
"""Weights worked on at a time, so that no second copy of a whole matrix is made."""


def split(whole: Float32[Tensor, "..."]) -> tuple[BFloat16[Tensor, "..."], Int16[Tensor, "..."]]:
    """The nearest bfloat16 (of two as near, the one further from zero) and the lower half, counted from there."""
    upper = torch.empty_like(whole, dtype=torch.bfloat16, memory_format=torch.contiguous_format)
    lower = torch.empty_like(upper, dtype=torch.int16)
    spans = (x.view(-1).split(SPAN) for x in (whole.contiguous().view(torch.int32), upper, lower))
    for bits, high, low in zip(*spans, strict=True):
        top = (bits + 0x8000) >> 16
        high.copy_(top.to(torch.int16).view(torch.bfloat16))
        low.copy_(bits - (top << 16))
    return upper, lower


def joined(upper: BFloat16[Tensor, "..."], lower: Int16[Tensor, "..."]) -> Float32[Tensor, "..."]:
    """The float32 that both are halves of, to the last bit."""
    bits = (upper.view(torch.int16).to(torch.int32) << 16).add_(lower)
    return bits.view(torch.float32)


def matrices(model: PreTrainedModel) -> list[nn.Parameter]:
    """The weights of the backbone's linear layers, which autocast multiplies in bfloat16, but for the embedding."""
    linear = [weight for m in backbone(model).modules() if isinstance(m, nn.Linear) for weight in m.parameters(False)]
    return [weight for weight in dict.fromkeys(linear) if weight.ndim == 2 and weight.requires_grad]
