"""ROUGE-L F1 against many texts at once, with the decisions of rouge-score."""

from array import array
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from rapidfuzz import process
from rapidfuzz.distance import LCSseq

from stillhouse.elicit.filters.contract import Closest
from stillhouse.elicit.filters.words import TOKENISERS, Tokens

UNKNOWN = 0
"""The code of every word that no text of the index has: it is equal to nothing."""

CHARACTERS = 0x110000
"""Codes below this can be characters of a string, which rapidfuzz compares faster than an array."""


class RougeL:
    """The closest text by ROUGE-L, that is 2 LCS / (m + n) over words.

    The longest common subsequences of a text with all others are one call of rapidfuzz, which does 64 cells of the
    table at a time, as the bits of an integer (Hyyrö 2004), where rouge-score fills it in Python. F1 is then computed
    from them in the same order of operations as there, so that it is the same to the last bit.
    """

    def __init__(self, tokens: Tokens) -> None:
        self._words = TOKENISERS[tokens]
        self._codes: dict[str, int] = {}
        self._texts: list[str | array[int]] = []
        self._lengths = array("q")

    def read(self, text: str) -> list[str]:
        return self._words(text)

    def closest(self, prepared: Sequence[str]) -> Closest | None:
        if not self._texts:
            return None
        code = self._codes
        coded = _string([code.get(word, UNKNOWN) for word in prepared])
        common = process.cdist([coded], self._texts, scorer=LCSseq.similarity, dtype=np.int32)[0]
        similarity = f_measure(common, len(prepared), np.frombuffer(self._lengths, np.int64))
        at = int(similarity.argmax())
        return Closest(float(similarity[at]), at, float(similarity.mean()))

    def add(self, prepared: Sequence[str]) -> None:
        code = self._codes
        self._texts.append(_string([code.setdefault(word, len(code) + 1) for word in prepared]))
        self._lengths.append(len(prepared))


def f_measure(common: npt.NDArray[np.int32], words: int, others: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """F1 of precision and recall as rouge-score computes it; 0 where nothing is in common."""
    some = np.flatnonzero(common)
    precision, recall = common[some] / words, common[some] / others[some]
    similarity = np.zeros(len(common))
    similarity[some] = 2 * precision * recall / (precision + recall)
    return similarity


def _string(codes: Sequence[int]) -> "str | array[int]":
    return "".join(map(chr, codes)) if max(codes, default=0) < CHARACTERS else array("Q", codes)
