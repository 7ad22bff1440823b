"""Choosing texts that are unlike each other, by Jaccard similarity of their word n-grams."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from stillhouse.elicit.filters.words import ngrams, unicode_words


class Overlap:
    """Jaccard similarities between texts, one to all at a time."""

    def __init__(self, texts: Sequence[str], ngram: int) -> None:
        self._sets = [frozenset(ngrams(unicode_words(text), ngram)) for text in texts]
        self._sizes = np.array([len(s) for s in self._sets], np.int64)
        where: dict[str, list[int]] = defaultdict(list)
        for at, grams in enumerate(self._sets):
            for gram in grams:
                where[gram].append(at)
        self._where = {gram: np.array(found) for gram, found in where.items()}

    def of(self, at: int) -> npt.NDArray[np.float64]:
        """The similarity of one text to each, itself too (1); texts without words are equal to each other."""
        common = np.zeros(len(self._sets), np.int64)
        for gram in self._sets[at]:
            common[self._where[gram]] += 1
        union = self._sizes + self._sizes[at] - common
        return np.divide(common, union, out=np.ones(len(union)), where=union > 0)


def k_center(overlap: Overlap, k: int) -> list[int]:
    """The first, then always the one least similar to those chosen (farthest-first, Gonzalez 1985), of equals the
    earlier."""
    chosen = [0]
    nearest = overlap.of(0)
    while len(chosen) < k:
        nearest[chosen[-1]] = np.inf
        chosen.append(int(nearest.argmin()))
        nearest = np.maximum(nearest, overlap.of(chosen[-1]))
    return chosen


def novel_first(overlap: Overlap, k: int, at_most: float) -> list[int]:
    """In order, each that is no more than `at_most` similar to those chosen (DEITA, arXiv 2312.15685)."""
    chosen = [0]
    nearest = overlap.of(0)
    for at in range(1, len(nearest)):
        if len(chosen) == k:
            break
        if nearest[at] <= at_most:
            chosen.append(at)
            nearest = np.maximum(nearest, overlap.of(at))
    return chosen
