"""Given answers read by a model (teacher forcing): hidden states, logits in slices, summed log-probabilities."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import PreTrainedModel

from stillhouse.models.collate import by_tokens
from stillhouse.models.forward import head_of, hidden_of
from stillhouse.models.tokenise import Encoded
from stillhouse.objectives.slices.head import Head, HeadLogits
from stillhouse.objectives.slices.label_logp import label_logp

ROWS = 256
"""Rows whose logits are made by one matrix product."""

MICRO_TOKENS = 2048
"""Tokens of a forward pass, padding included."""


@dataclass(frozen=True, slots=True)
class Reader:
    """A model and its head over the shared vocabulary; the head is in float32, for bf16 rounds logits to 8 bits.

    Hidden states of the answers in `known` are kept once computed: what is measured twice is read once.
    """

    model: PreTrainedModel
    head: Head
    known: dict[Encoded, Float[Tensor, "_ H"] | None]

    @classmethod
    def of(cls, model: PreTrainedModel, vocabulary: int, keep: Iterable[Encoded] = ()) -> "Reader":
        """A reader of `model` that keeps the states of the answers `keep`."""
        head = head_of(model)
        dtype = torch.promote_types(head.weight.dtype, torch.float32)
        weight = head.weight.detach()[:vocabulary].to(dtype)
        return cls(model.eval(), replace(head, weight=weight), dict.fromkeys(keep))

    def hidden(self, sequences: Sequence[Encoded]) -> Float[Tensor, "N H"]:
        """Last hidden states of the answers in order, in one forward pass; row i is to predict `targets`[i]."""
        states = {s: self.known.get(s) for s in sequences}
        missing = [s for s, state in states.items() if state is None]
        width = max((len(s.ids) for s in missing), default=0) * len(missing)
        for indices, _, rows in hidden_of(self.model, missing, micro_tokens=width):
            parts = rows.split([missing[i].counted for i in indices])
            states |= {missing[i]: part for i, part in zip(indices, parts, strict=True)}
        self.known.update({s: states[s] for s in missing if s in self.known})
        return torch.cat([state for s in sequences if (state := states[s]) is not None])

    def targets(self, sequences: Sequence[Encoded]) -> Int[Tensor, "N"]:
        """The tokens of the answers, in order."""
        return torch.tensor([s.ids[t] for s in sequences for t in s.targets], device=self.model.device)

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


def owners(sequences: Sequence[Encoded], names: Sequence[int]) -> Int[Tensor, "N"]:
    """The name of the answer that each row belongs to."""
    return torch.repeat_interleave(torch.tensor(names), torch.tensor([s.counted for s in sequences]))


@torch.inference_mode()
def answer_logp(
    reader: Reader, sequences: Sequence[Encoded], *, micro_tokens: int = MICRO_TOKENS
) -> tuple[Float[Tensor, "B"], Float[Tensor, "B"]]:
    """log q(y|x) of every answer, in nats summed over its tokens; and its number of tokens. Float64, on the CPU."""
    sums = torch.zeros(len(sequences), dtype=torch.float64)
    for run in runs(sequences, micro_tokens):
        chosen = [sequences[i] for i in run]
        hidden, targets = reader.hidden(chosen), reader.targets(chosen)
        logp = label_logp(hidden, reader.head, targets, slice_rows=ROWS)
        sums.index_add_(0, owners(chosen, run), logp.double().cpu())
    return sums, torch.tensor([s.counted for s in sequences], dtype=torch.float64)
