"""Sequences in one row, one behind the other; what several of them begin with lies there, and is read, once."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby

from stillhouse.machine import rounded_up

WORTH_SHARING = 16
"""Tokens that sharing a beginning must save."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A row of stretches of so many tokens each, and for every sequence the stretches that it is made of."""

    lengths: tuple[int, ...]
    paths: tuple[tuple[int, ...], ...]

    @property
    def counts(self) -> list[int]:
        """Of every token in the row, how many sequences it is part of."""
        times = Counter(n for path in self.paths for n in path)
        return [times[n] for n, length in enumerate(self.lengths) for _ in range(length)]


@dataclass(frozen=True, slots=True)
class Pack:
    """The row's tokens, the place of each in its sequence, and for every sequence where its tokens lie in the row."""

    ids: tuple[int, ...]
    positions: tuple[int, ...]
    places: tuple[tuple[int, ...], ...]
    layout: Layout


def pack(sequences: Sequence[Sequence[int]]) -> Pack:
    """Lays out sequences in one row, each beginning that several share once (prefix sharing, arXiv 2410.20305).

    Exact for causal models: a token's hidden state depends on what lies before it alone, so it is the same in every
    sequence that begins with it, and its gradient is the sum of theirs.
    """
    stretches: list[Sequence[int]] = []
    starts: list[int] = []
    paths: dict[int, tuple[int, ...]] = {}

    def lay(members: list[int], begin: int, before: tuple[int, ...]) -> None:
        """Lays out what is left of sorted sequences behind `begin`."""
        first, last = sequences[members[0]], sequences[members[-1]]
        end = begin + _common(first[begin:], last[begin:])  # of all members, since they are sorted
        alike = len(first) == len(last) == end
        if end > begin and (alike or (end - begin) * (len(members) - 1) >= WORTH_SHARING):
            before = (*before, len(stretches))
            stretches.append(first[begin:end])
            starts.append(begin)
            begin = end
        if alike:
            paths.update(dict.fromkeys(members, before))
            return
        for _, group in groupby(members, key=lambda i: tuple(sequences[i][end : end + 1])):
            lay(list(group), begin, before)

    lay(sorted(range(len(sequences)), key=lambda i: tuple(sequences[i])), 0, ())
    lengths = tuple(map(len, stretches))
    offsets = [0, *accumulate(lengths)]
    whole = [paths[i] for i in range(len(sequences))]
    return Pack(
        ids=tuple(token for stretch in stretches for token in stretch),
        positions=tuple(p for start, length in zip(starts, lengths, strict=True) for p in range(start, start + length)),
        places=tuple(tuple(p for n in path for p in range(offsets[n], offsets[n + 1])) for path in whole),
        layout=Layout(lengths, tuple(whole)),
    )


def filled(row: Pack, pad_id: int) -> Pack:
    """The row with a stretch behind that is part of no sequence, so that rows have few lengths (`rounded_up`)."""
    missing = rounded_up(len(row.ids)) - len(row.ids)
    if not missing:
        return row
    layout = Layout((*row.layout.lengths, missing), row.layout.paths)
    return Pack((*row.ids, *[pad_id] * missing), (*row.positions, *[0] * missing), row.places, layout)


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two sequences begin with alike."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))
