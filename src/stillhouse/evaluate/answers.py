"""Given answers read by a model (teacher forcing): hidden states, logits in slices, summed log-probabilities."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedModel

from stillhouse.models.collate import Batch, by_tokens
from stillhouse.models.forward import head_of, hidden_of
from stillhouse.models.tokenise import Encoded
from stillhouse.objectives.head import Head, HeadLogits
from stillhouse.objectives.label_logp import label_logp

ROWS = 256
"""Rows whose logits are made by one matrix product."""

MICRO_TOKENS = 2048
"""Tokens of a forward pass, padding included."""


@dataclass(frozen=True, slots=True)
class Reader:
    """A model and its head over the shared vocabulary; the head is in float32, for bf16 rounds logits to 8 bits."""

    model: PreTrainedModel
    head: Head

    @classmethod
    def of(cls, model: PreTrainedModel, vocabulary: int) -> "Reader":
        head = head_of(model)
        dtype = torch.promote_types(head.weight.dtype, torch.float32)
        return cls(model.eval(), replace(head, weight=head.weight.detach()[:vocabulary].to(dtype)))

    def hidden(self, sequences: Sequence[Encoded]) -> tuple[Batch, Float[Tensor, "N H"]]:
        """Last hidden states of the answers, in one forward pass; row i is to predict `batch.labels[i]`."""
        width = max(len(s.ids) for s in sequences) * len(sequences)
        ((_, batch, hidden),) = hidden_of(self.model, sequences, micro_tokens=width)
        return batch, hidden

    def logits(self, hidden: Float[Tensor, "N H"]) -> Iterator[Float[Tensor, "R V"]]:
        """The logits of all rows in order, a few rows at a time."""
        weight = self.head.weight
        return HeadLogits(hidden, self.head, len(weight), ROWS, weight.dtype).blocks()


def runs(sequences: Sequence[Encoded], micro_tokens: int = MICRO_TOKENS) -> Iterator[list[int]]:
    """Indices of sequences of similar length, for one forward pass each. An empty answer raises ValueError."""
    if empty := [i for i, s in enumerate(sequences) if s.counted < 1]:
        raise ValueError(f"sequence {empty[0]} has no answer token to measure; leave it out")
    order = sorted(range(len(sequences)), key=lambda i: len(sequences[i].ids))
    for run in by_tokens([len(sequences[i].ids) for i in order], micro_tokens, padded=True):
        yield [order[i] for i in run]


@torch.inference_mode()
def answer_logp(
    model: PreTrainedModel, sequences: Sequence[Encoded], *, vocabulary: int, micro_tokens: int = MICRO_TOKENS
) -> tuple[Float[Tensor, "B"], Float[Tensor, "B"]]:
    """log q(y|x) of every answer, in nats summed over its tokens; and its number of tokens. Float64, on the CPU."""
    reader = Reader.of(model, vocabulary)
    sums = torch.zeros(len(sequences), dtype=torch.float64)
    for run in runs(sequences, micro_tokens):
        batch, hidden = reader.hidden([sequences[i] for i in run])
        logp = label_logp(hidden, reader.head, batch.labels, vocabulary=vocabulary, slice_rows=ROWS)
        sums.index_add_(0, torch.tensor(run)[batch.segment.cpu()], logp.double().cpu())
    return sums, torch.tensor([s.counted for s in sequences], dtype=torch.float64)
