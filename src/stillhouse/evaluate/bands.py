"""Examples by the length of their golden response, counted in words (runs of non-white space).

DPKD (arXiv 2406.19774, Figure 4) splits at 30 and 70 without a unit. Words fit best: 47 % of Dolly's answers have at
most 30 words and the paper's percentages imply 233 of 500. An example with several references is placed by its first.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Band:
    """Lengths in (low, high]; the first band of a split also holds the empty response."""

    low: int
    high: float

    @property
    def label(self) -> str:
        return f"({self.low},inf)" if math.isinf(self.high) else f"({self.low},{self.high:.0f}]"

    def holds(self, words: int) -> bool:
        return self.low < words <= self.high or words == self.low == 0


def bands(bounds: Sequence[int] = (30, 70)) -> tuple[Band, ...]:
    """The bands between rising bounds: (30, 70) gives (0,30], (30,70] and (70,inf)."""
    edges = (0, *bounds)
    if any(low >= high for low, high in pairwise(edges)):
        raise ValueError(f"length bands need rising bounds above 0, found {', '.join(map(str, bounds))}")
    return tuple(Band(low, high) for low, high in zip(edges, (*map(float, bounds), math.inf), strict=True))


def words(references: Sequence[str]) -> int:
    """Length of the golden response: the number of words of the first reference."""
    return len(references[0].split()) if references else 0


def members(references: Sequence[Sequence[str]], bounds: Sequence[int] = (30, 70)) -> dict[str, list[int]]:
    """Indices of the examples of each band by its label, in order; a band without examples has an empty list."""
    lengths = [words(r) for r in references]
    return {band.label: [i for i, n in enumerate(lengths) if band.holds(n)] for band in bands(bounds)}
