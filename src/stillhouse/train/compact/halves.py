"""A float32 weight as a bfloat16, which models compute with, and the 16 bits that it lacks. Nothing is lost."""

import torch
from jaxtyping import BFloat16, Float32, Int16
from torch import Tensor, nn
from transformers import PreTrainedModel

from stillhouse.models.forward import backbone
from stillhouse.train.embedding import is_plain

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
    bits = upper.view(torch.int16).to(torch.int32)
    return bits.bitwise_left_shift_(16).add_(lower).view(torch.float32)


def matrices(model: PreTrainedModel) -> list[nn.Parameter]:
    """The trained weights that autocast multiplies in bfloat16: of linear layers, of the head, and of the embedding,
    if it is plain, so that what is read of it can be widened."""
    embedding, modules = model.get_input_embeddings(), [*backbone(model).modules(), model.get_output_embeddings()]
    halved = [m for m in modules if isinstance(m, nn.Linear) or (m is embedding and is_plain(m))]
    whole = set() if embedding in halved else set(embedding.parameters(recurse=False))
    weights = dict.fromkeys(weight for m in halved for weight in m.parameters(recurse=False))
    return [weight for weight in weights if weight.ndim == 2 and weight.requires_grad and weight not in whole]
