"""A quantised student and its full-precision self as the teacher.

The loss of LLM-QAT (arXiv 2305.17888) is `forward_kl` and not repeated here: its code takes KL(p || q) of all
positions, divided by the number of sequences alone (`batchmean` of a tensor with three axes), at temperature 1 and
without a mask. What `forward_kl` returns, summed and divided by B, is that number.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from stillhouse.objectives.distributions import widen
from stillhouse.objectives.features.geometry import counted, direction
from stillhouse.objectives.settings import Fraction, Positive


def quantgpt_contrastive(
    student_hidden: Float[Tensor, "B T H"],
    teacher_hidden: Float[Tensor, "B T D"],
    mask: Bool[Tensor, "B T"],
    student_memory: Float[Tensor, "B T H"] | None = None,
    *,
    momentum: Fraction = 0.5,
    temperature: Positive = 0.1,
) -> Float[Tensor, "B T"]:
    """-log [exp(s(u_t, h_t) / tau) / sum_j exp(s(u_t, h_j) / tau)] per token, in nats, s the cosine similarity.

    QuantGPT's token-level contrastive distillation (arXiv 2203.10705): the quantised token u_t is to be closer to its
    full-precision twin h_t than to the other tokens j of the same sequence. With a memory bank, whose entries for the
    sequence's tokens are `student_memory`, u_t = momentum memory_t + (1 - momentum) student_hidden_t, which is also
    what to keep in the bank for the next time (`momentum_update`); without, u_t is the hidden state itself. The sum
    runs over all tokens that count, t included; the paper samples negatives. Both sides have the same width, through
    projectors where need be. Zero at a token that is not counted; a sequence of one token gives zero.
    """
    query, keys = widen(student_hidden), widen(teacher_hidden.detach())
    if student_memory is not None:
        query = momentum_update(widen(student_memory), query, momentum)
    query, keys = (direction(counted(states, mask)) for states in (query, keys))
    similarity = query @ keys.mT / temperature
    both = mask.unsqueeze(-1) & mask.unsqueeze(-2)
    similarity = similarity.masked_fill(~both, torch.finfo(similarity.dtype).min)
    value = similarity.logsumexp(dim=-1) - similarity.diagonal(dim1=-2, dim2=-1)
    return value.masked_fill(~mask, 0.0)


def momentum_update(
    memory: Float[Tensor, "*batch H"], hidden: Float[Tensor, "*batch H"], momentum: float
) -> Float[Tensor, "*batch H"]:
    """momentum memory + (1 - momentum) hidden: the bank's next entry, detached before it is kept."""
    return momentum * memory.detach() + (1 - momentum) * hidden
