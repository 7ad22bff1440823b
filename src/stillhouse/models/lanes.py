"""The keys and values of many answers under way, kept so that some can end and others begin at any time."""

from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformers import Cache, DynamicLayer

ROOM = 64
"""Tokens by which answers grow before everything is copied to a larger place."""


@dataclass
class Span:
    """How many columns of the buffers are in use, counted from the first."""

    width: int = 0


class Lane(DynamicLayer):
    """One layer's keys and values, those of a new token written into room that is already there."""

    keys: Float[Tensor, "R H C D"]
    values: Float[Tensor, "R H C D"]

    def __init__(self, span: Span, keys: Float[Tensor, "R H C D"], values: Float[Tensor, "R H C D"]) -> None:
        super().__init__()
        self.span, self.keys, self.values, self.is_initialized = span, keys, values, True

    def update(
        self, key_states: Float[Tensor, "R H 1 D"], value_states: Float[Tensor, "R H 1 D"], *_: object, **__: object
    ) -> tuple[Float[Tensor, "R H W D"], Float[Tensor, "R H W D"]]:
        """The keys and values in use, with those of one more token."""
        at = self.span.width
        self.keys[:, :, at] = key_states[:, :, 0]
        self.values[:, :, at] = value_states[:, :, 0]
        return self.keys[:, :, : at + 1], self.values[:, :, : at + 1]

    def get_seq_length(self) -> int:
        """Columns in use."""
        return self.span.width


@dataclass(frozen=True)
class Read:
    """What a model remembers of prompts that it read together, the mask of it, and the row of each prompt in it."""

    cache: Cache
    mask: Bool[Tensor, "R W"]
    rows: Int[Tensor, "N"]

    @property
    def layers(self) -> list[tuple[Tensor, Tensor]]:
        """Keys and values of each layer, where they are all that is remembered."""
        return keys_and_values(self.cache)


def keys_and_values(cache: Cache) -> list[tuple[Tensor, Tensor]]:
    """Of each layer of a cache that has nothing else."""
    layers = cast(list[DynamicLayer], cache.layers)
    return [(cast(Tensor, layer.keys), cast(Tensor, layer.values)) for layer in layers]


class Lanes:
    """A row for each answer, all of them ending in one column; `mask` says which columns are a row's tokens."""

    def __init__(self, read: Read) -> None:
        self.span = Span()
        self._lanes = [Lane(self.span, keys[:0, :, :0], values[:0, :, :0]) for keys, values in read.layers]
        self.cache = Cache(layers=[*self._lanes])
        self._mask = read.mask.new_zeros(0, 1, 0, 1)
        self.lay(read.rows[:0], read)

    @property
    def mask(self) -> Bool[Tensor, "R W"]:
        """Of the columns in use and the one to come."""
        return self._mask[:, 0, : self.span.width + 1, 0]

    def step(self) -> None:
        """A token was written to every row. Where that was the last column, there is more room afterwards."""
        self.span.width += 1
        if self.span.width == self._mask.shape[2]:
            self.lay(torch.arange(len(self._mask), device=self._mask.device))

    def lay(self, kept: Int[Tensor, "K"], read: Read | None = None) -> None:
        """Leave out all rows but `kept`, and add what was read, a row for each prompt."""
        begin, end = self._first(kept), self.span.width
        width = max(end - begin, 0 if read is None else read.mask.shape[1])

        def laid(old: Tensor, new: Tensor | None) -> Tensor:
            added = old[:0, :, :0] if new is None or read is None else new[read.rows]
            return _right_aligned(old[kept, :, begin:end], added, width)

        self._mask = laid(self._mask, None if read is None else read.mask[:, None, :, None])
        self._mask[:, :, width:] = True
        new = [(None, None)] * len(self._lanes) if read is None else read.layers
        for lane, (keys, values) in zip(self._lanes, new, strict=True):
            lane.keys, lane.values = laid(lane.keys, keys), laid(lane.values, values)
        self.span.width = width

    def _first(self, kept: Int[Tensor, "K"]) -> int:
        """The first column in which a kept row has a token."""
        columns = self._mask[kept, 0, : self.span.width, 0].any(0)
        return int(columns.int().argmax()) if len(kept) else self.span.width


class Kept:
    """The memory of a family that has more than keys and values: its rows begin together, and none ends before all."""

    def __init__(self, read: Read) -> None:
        self.cache = read.cache
        self.mask = _and_one(read.mask)

    def step(self) -> None:
        """A token was written to every row."""
        self.mask = _and_one(self.mask)


def _and_one(mask: Bool[Tensor, "R W"]) -> Bool[Tensor, "R W+1"]:
    return torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)


def _right_aligned(above: Tensor, below: Tensor, width: int) -> Tensor:
    """Rows of both, ending in column `width`, with ROOM empty columns behind."""
    laid = above.new_zeros(len(above) + len(below), above.shape[1], width + ROOM, above.shape[3])
    laid[: len(above), :, width - above.shape[2] : width] = above
    laid[len(above) :, :, width - below.shape[2] : width] = below
    return laid
