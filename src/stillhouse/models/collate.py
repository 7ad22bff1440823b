"""Sequences to tensors. Packed: one row without padding, attention kept apart by its layout. Padded: the fallback."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from stillhouse.models.pack import Layout, filled, pack
from stillhouse.models.tokenise import Encoded


@dataclass(frozen=True, slots=True)
class Batch:
    """Token ids of B sequences, and the N positions whose targets count (row i predicts labels[i]).

    `rows` are places among all R T tokens, those that sequences share as often as they count. `layout` is that of a
    packed batch. `weights` multiply the rows' losses; None where all are 1.
    """

    input_ids: Int[Tensor, "R T"]
    position_ids: Int[Tensor, "R T"]
    attention_mask: Bool[Tensor, "R T"] | None
    layout: Layout | None
    rows: Int[Tensor, "N"]
    labels: Int[Tensor, "N"]
    segment: Int[Tensor, "N"]
    weights: Float[Tensor, "N"] | None = None

    @property
    def times(self) -> Float[Tensor, "M"]:
        """Of every real token in order, how many of the sequences it is part of."""
        if self.layout is not None:
            return torch.tensor(self.layout.counts, dtype=torch.float32, device=self.rows.device)
        tokens = self.input_ids.numel() if self.attention_mask is None else int(self.attention_mask.sum())
        return torch.ones(tokens, device=self.rows.device)

    def to(self, device: torch.device) -> "Batch":
        """The same batch on another device."""

        def move(t: Tensor) -> Tensor:
            return t.to(device, non_blocking=True)

        mask = None if self.attention_mask is None else move(self.attention_mask)
        weights = None if self.weights is None else move(self.weights)
        ids, positions = move(self.input_ids), move(self.position_ids)
        rows, labels, segment = move(self.rows), move(self.labels), move(self.segment)
        return Batch(ids, positions, mask, self.layout, rows, labels, segment, weights)


def collate(sequences: Sequence[Encoded], *, packed: bool, pad_id: int = 0) -> Batch:
    """One batch; in the packed form beginnings that sequences share are there once, and a little filling at the end."""
    texts = [s.ids for s in sequences]
    if packed:
        row = filled(pack(texts), pad_id)
        ids, positions = torch.tensor([row.ids]), torch.tensor([row.positions])
        mask, layout, places = None, row.layout, row.places
    else:
        width = max(map(len, texts))
        ids = torch.tensor([[*text, *[pad_id] * (width - len(text))] for text in texts])
        positions = torch.arange(width).expand(len(texts), width)
        mask = torch.arange(width)[None] < torch.tensor(list(map(len, texts)))[:, None]
        layout, places = None, [range(i * width, (i + 1) * width) for i in range(len(texts))]
    counted = [(i, t) for i, s in enumerate(sequences) for t in s.targets]
    rows = torch.tensor([places[i][t - 1] for i, t in counted], dtype=torch.long)
    labels = torch.tensor([texts[i][t] for i, t in counted], dtype=torch.long)
    segment = torch.tensor([i for i, _ in counted], dtype=torch.long)
    return Batch(ids, positions, mask, layout, rows, labels, segment, _weights(sequences))


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
