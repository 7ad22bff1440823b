"""FuseLLM's alignment (arXiv 2401.10491): tokens and vocabularies are matched by how few letters must be changed.

A source model's distributions are carried over to another tokenizer: its tokens are laid along the other's by dynamic
time warping, its vocabulary is mapped to the nearest strings (MinED). `align` is the exact alternative.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from stillhouse.models.align import SPACES, one_mark


@dataclass(frozen=True)
class Spellings:
    """Strings as rows of letters, filled up with zeros."""

    letters: Int[np.ndarray, "N L"]
    lengths: Int[np.ndarray, "N"]


def spellings(tokens: Sequence[str]) -> Spellings:
    lengths = np.array([len(token) for token in tokens], dtype=np.int32)
    letters = np.zeros((len(tokens), int(lengths.max(initial=0))), dtype=np.int32)
    for row, token in zip(letters, tokens, strict=True):
        row[: len(token)] = list(map(ord, token))
    return Spellings(letters, lengths)


def edit_distances(token: str, others: Spellings) -> Int[np.ndarray, "N"]:
    """Insertions, deletions and replacements of letters that make each of `others` out of `token` (Levenshtein)."""
    count, width = others.letters.shape
    columns = np.arange(width + 1, dtype=np.int32)
    row = np.broadcast_to(columns, (count, width + 1))
    for deleted, letter in enumerate(map(ord, token), start=1):
        best = np.empty((count, width + 1), dtype=np.int32)
        best[:, 0] = deleted
        np.minimum(row[:, :-1] + (others.letters != letter), row[:, 1:] + 1, out=best[:, 1:])
        row = np.minimum.accumulate(best - columns, axis=1) + columns  # insertions: the best so far, one a column
    return row[np.arange(count), others.lengths]


def warped(base: Sequence[str], source: Sequence[str]) -> list[tuple[int, ...]]:
    """For each token of `base` the positions of `source` that dynamic time warping lays beside it.

    The path from the first pair of tokens to the last one with the least sum of edit distances, marks of a space left
    out; of equal ways back the authors' code takes the diagonal first, then a step in `source`.
    """
    if not base or not source:
        return [() for _ in base]
    plain, distinct = spellings([_bare(token) for token in source]), {}
    for token in map(_bare, base):
        if token not in distinct:
            distinct[token] = edit_distances(token, plain)
    cost = np.stack([distinct[_bare(token)] for token in base], axis=1)  # source by base
    total = np.full((len(source) + 1, len(base) + 1), np.inf)
    total[0, 0] = 0.0
    for j in range(len(source)):
        for i in range(len(base)):
            total[j + 1, i + 1] = cost[j, i] + min(total[j, i + 1], total[j + 1, i], total[j, i])
    beside: list[list[int]] = [[] for _ in base]
    j, i = len(source), len(base)
    while (j, i) != (0, 0):
        beside[i - 1].append(j - 1)
        ways = [(j - 1, i - 1), (j - 1, i), (j, i - 1)]
        j, i = ways[int(np.argmin([total[way] for way in ways]))]
    return [tuple(reversed(positions)) for positions in beside]


def nearest_tokens(
    source: PreTrainedTokenizerBase, base: PreTrainedTokenizerBase, *, source_rows: int, base_rows: int
) -> Int[Tensor, "W"]:
    """MinED: for each row of the source's head the token of `base` with the least edit distance, -1 for padding.

    Marks of a space count as the same letter; of equally near tokens the one with the lowest id. A large vocabulary
    takes minutes, so keep the result.
    """
    vocabulary = {one_mark(token): i for token, i in reversed(_by_id(base)) if i < base_rows}
    in_order = sorted(vocabulary, key=lambda token: (len(token), vocabulary[token]))
    by_length = [list(same) for _, same in groupby(in_order, key=len)]
    groups = [(spellings(same), [vocabulary[token] for token in same]) for same in by_length]
    found = torch.full((source_rows,), -1)
    for token, i in _by_id(source):
        if i < source_rows:
            marked = one_mark(token)
            found[i] = vocabulary[marked] if marked in vocabulary else _nearest(marked, groups)
    return found


def mapped_logits(
    source_logits: Float[Tensor, "S W"],
    beside: Sequence[tuple[int, ...]],
    nearest: Int[Tensor, "W"],
    *,
    base_ids: Int[Tensor, "T"],
    source_ids: Int[Tensor, "S"],
    rows: int,
    top_k: int | None = None,
) -> Float[Tensor, "T V"]:
    """The source's logits over the tokens of `base`, at the positions of `base`; -inf where no token was mapped.

    Row t of logits predicts token t. A token of `base` that lies beside a single token of the source which maps to it
    takes that position's `top_k` logits (all by default), each to its nearest token, the largest where several meet.
    Any other is certain of itself: nothing is known there but the text. (The authors also let a first token with the
    mark of a space pass for the same one without.)
    """
    single = torch.tensor([places[0] if len(places) == 1 else -1 for places in beside], device=base_ids.device)
    place = single.clamp_min(0)
    same = (single >= 0) & (nearest[source_ids[place].long()] == base_ids)
    values, tokens = source_logits[place].topk(top_k or source_logits.shape[-1], dim=-1)
    targets = nearest[tokens]
    values = values.masked_fill(targets < 0, -torch.inf)
    over = values.new_full((len(base_ids), rows), -torch.inf)
    taken = over.scatter_reduce(-1, targets.clamp_min(0), values, reduce="amax")
    certain = over.scatter(-1, base_ids.long().unsqueeze(-1), 0.0)
    return torch.where(same.unsqueeze(-1), taken, certain)


def _bare(token: str) -> str:
    return token.replace(SPACES[0], "").replace(SPACES[1], "")


def _by_id(tokenizer: PreTrainedTokenizerBase) -> list[tuple[str, int]]:
    return sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])


def _nearest(token: str, groups: Sequence[tuple[Spellings, list[int]]]) -> int:
    """The id of the nearest of tokens that come in groups of one length, each in the order of ids.

    No edit distance is below the difference in length, so the groups are visited in that order, as far as need be.
    """

    def difference(group: tuple[Spellings, list[int]]) -> int:
        return abs(group[0].letters.shape[1] - len(token))

    best: tuple[int, int] | None = None
    for group in sorted(groups, key=difference):
        if best is not None and difference(group) > best[0]:
            break
        same, ids = group
        distances = edit_distances(token, same)
        nearest = int(distances.argmin())
        here = (int(distances[nearest]), ids[nearest])
        best = here if best is None else min(best, here)
    assert best is not None
    return best[1]
