"""Sequences to tensors. Packed: one row without padding, attention kept apart by boundaries. Padded: the fallback."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from stillhouse.models.tokenise import Encoded


@dataclass(frozen=True, slots=True)
class Batch:
    """Token ids of B sequences, and the N positions whose targets count (row i predicts labels[i]).

    `weights` multiply the rows' losses; None where all are 1.
    """

    input_ids: Int[Tensor, "R T"]
    position_ids: Int[Tensor, "R T"]
    attention_mask: Bool[Tensor, "R T"] | None
    boundaries: tuple[int, ...] | None
    rows: Int[Tensor, "N"]
    labels: Int[Tensor, "N"]
    segment: Int[Tensor, "N"]
    weights: Float[Tensor, "N"] | None = None

    def to(self, device: torch.device) -> "Batch":
        """The same batch on another device."""

        def move(t: Tensor) -> Tensor:
            return t.to(device, non_blocking=True)

        mask = None if self.attention_mask is None else move(self.attention_mask)
        weights = None if self.weights is None else move(self.weights)
        ids, positions = move(self.input_ids), move(self.position_ids)
        rows, labels, segment = move(self.rows), move(self.labels), move(self.segment)
        return Batch(ids, positions, mask, self.boundaries, rows, labels, segment, weights)


def collate(sequences: Sequence[Encoded], *, packed: bool, pad_id: int = 0) -> Batch:
    """One batch; in the packed form every token is a real one."""
    lengths = [len(s.ids) for s in sequences]
    width = sum(lengths) if packed else max(lengths)
    offsets = [sum(lengths[:i]) if packed else i * width for i in range(len(lengths))]
    targets = [s.targets for s in sequences]
    rows = [o + t - 1 for o, places in zip(offsets, targets, strict=True) for t in places]
    labels = [s.ids[t] for s, places in zip(sequences, targets, strict=True) for t in places]
    segment = [i for i, places in enumerate(targets) for _ in places]
    if packed:
        ids = torch.tensor([token for s in sequences for token in s.ids])[None]
        positions = torch.cat([torch.arange(n) for n in lengths])[None]
        mask, boundaries = None, (*offsets, width)
    else:
        ids = torch.tensor([[*s.ids, *[pad_id] * (width - len(s.ids))] for s in sequences])
        positions = torch.arange(width).expand(len(sequences), width)
        mask = torch.arange(width)[None] < torch.tensor(lengths)[:, None]
        boundaries = None
    as_ids = [torch.tensor(x, dtype=torch.long) for x in (rows, labels, segment)]
    return Batch(ids, positions, mask, boundaries, *as_ids, weights=_weights(sequences))


def _weights(sequences: Sequence[Encoded]) -> Float[Tensor, "N"] | None:
    """The weights of the targets that count, or None where all are 1."""
    if all(s.weights is None for s in sequences):
        return None
    of_each = [[1.0] * s.counted if s.weights is None else [w for w in s.weights if w > 0] for s in sequences]
    return torch.tensor([weight for weights in of_each for weight in weights])


def by_tokens(lengths: Sequence[int], limit: int, *, padded: bool = False) -> Iterator[list[int]]:
    """Split 0..n-1 in order into runs of at most `limit` tokens (never fewer than one item a run).

    With `padded`, a run costs its longest item times its size.
    """
    run: list[int] = []
    for index in range(len(lengths)):
        members = [*run, index]
        cost = max(lengths[i] for i in members) * len(members) if padded else sum(lengths[i] for i in members)
        if run and cost > limit:
            yield run
            members = [index]
        run = members
    if run:
        yield run
