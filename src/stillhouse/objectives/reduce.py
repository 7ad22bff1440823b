"""The only place with a denominator: how rows of a loss become one number, for the whole optimiser step.

A step may be cut into micro-batches and spread over ranks. Its denominators are counted first, over all of them; then
each micro-batch sums its weighted rows, and the sums add up to the loss. Nothing is averaged afterwards. (Data-parallel
wrappers that average gradients over ranks need the weights multiplied by the number of ranks.)
"""

from typing import Literal, NamedTuple

import torch
import torch.distributed as dist
from jaxtyping import Bool, Float, Int
from torch import Tensor


class Denominators(NamedTuple):
    """What one optimiser step holds: tokens that count, and sequences with at least one of them."""

    tokens: int
    sequences: int


def denominators(tokens: int, sequences: int, *, device: torch.device | str = "cpu") -> Denominators:
    """The counts of this rank's whole step, summed over all ranks (`device`: where the process group can add)."""
    if not (dist.is_available() and dist.is_initialized()):
        return Denominators(tokens, sequences)
    counts = torch.tensor([tokens, sequences], dtype=torch.int64, device=device)
    dist.all_reduce(counts)
    return Denominators(*(int(count) for count in counts))


def token_mean(rows: Float[Tensor, "*more B T"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, "*more B"]:
    """The mean over the tokens of each sequence that count, for objectives of whole answers; 0 where none does."""
    return torch.where(mask, rows, 0.0).sum(dim=-1) / mask.sum(dim=-1).clamp_min(1)


def row_weights(
    segment: Int[Tensor, "N"], *, reduction: Literal["token", "sequence"], tokens: int, sequences: int
) -> Float[Tensor, "N"]:
    """Weights of a micro-batch's loss rows, to be summed: `segment` says which sequence each row belongs to.

    "token": every token counts the same, 1 / tokens. "sequence": every sequence does, 1 / (sequences * its rows); all
    rows of a sequence must be in the same micro-batch.
    """
    if reduction == "token":
        return torch.full(segment.shape, 1 / max(tokens, 1), dtype=torch.float32, device=segment.device)
    _, index, rows = torch.unique(segment, return_inverse=True, return_counts=True)
    return 1 / (max(sequences, 1) * rows[index].float())
