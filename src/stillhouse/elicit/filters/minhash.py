"""Near duplicates by Jaccard similarity of word n-grams, found by MinHash with locality-sensitive hashing."""

import math
from array import array
from binascii import crc32
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from stillhouse.elicit.filters.contract import Closest, Rows
from stillhouse.elicit.filters.words import TOKENISERS, Tokens, ngrams

Hashes = npt.NDArray[np.uint32]

RECALL, MAX_BANDS, MAX_HASHES, SLICE = 0.99, 20, 128, 4096


@dataclass(frozen=True, slots=True)
class Sketch:
    """A text's set of n-grams, hashed, their signature, and that in bands."""

    hashes: Hashes
    signature: Hashes
    bands: list[bytes]


class MinHash:
    """The closest text by Jaccard similarity of word n-grams, among those that are likely to be above a threshold.

    A text's signature is the least hash of its n-grams under each of several hash functions (Broder 1997); two texts
    agree in each with the probability of their similarity. Texts that agree in a whole band of the signature are
    compared, and exactly, so that none below the threshold is ever taken for one above. One at the threshold is missed
    with a probability of at most 1 %, one above with less.
    """

    def __init__(self, threshold: float, ngram: int, tokens: Tokens) -> None:
        self._words, self._ngram = TOKENISERS[tokens], ngram
        self._bands, self._rows = bands(threshold)
        drawn = np.random.default_rng(1).integers(0, 2**64, (2, self._bands * self._rows), np.uint64)
        self._factors, self._offsets = drawn[0] | np.uint64(1), drawn[1]
        self._doubt = threshold - 4 * math.sqrt(0.25 / len(self._factors))  # below: 4 standard deviations too few
        self._sets: list[Hashes] = []
        self._signatures = Rows(self._bands * self._rows, np.uint32)
        self._newest: list[dict[bytes, int]] = [{} for _ in range(self._bands)]
        self._before = [array("q") for _ in range(self._bands)]

    def read(self, text: str) -> Sketch:
        grams = ngrams(self._words(text), self._ngram)
        hashes = np.unique(np.fromiter((crc32(g.encode("utf-8", "surrogatepass")) for g in grams), np.uint32))
        signature = self._signature(hashes)
        raw, width = signature.tobytes(), signature.itemsize * self._rows
        return Sketch(hashes, signature, [raw[i : i + width] for i in range(0, len(raw), width)])

    def closest(self, prepared: Sketch) -> Closest | None:
        found = np.fromiter(self._candidates(prepared.bands) if len(prepared.hashes) else (), np.int64)
        if not len(found):
            return None
        agreeing = (self._signatures.all[found] == prepared.signature).mean(axis=1)
        likely = found[agreeing >= min(agreeing.max(), self._doubt)]
        similarity, at = max((jaccard(prepared.hashes, self._sets[i]), -int(i)) for i in likely)
        return Closest(similarity, -at)

    def add(self, prepared: Sketch) -> None:
        at = len(self._sets)
        self._sets.append(prepared.hashes)
        self._signatures.append(prepared.signature)
        for key, newest, before in zip(prepared.bands, self._newest, self._before, strict=True):
            before.append(newest.get(key, -1))
            newest[key] = at

    def _candidates(self, keys: Sequence[bytes]) -> set[int]:
        """Texts that share a band; those of one band's key are a chain from the newest back."""
        found: set[int] = set()
        for key, newest, before in zip(keys, self._newest, self._before, strict=True):
            at = newest.get(key, -1)
            while at >= 0:
                found.add(at)
                at = before[at]
        return found

    def _signature(self, hashes: Hashes) -> Hashes:
        """The least of the high half of a 64-bit a * x + b; in slices, so that a long text takes little memory."""
        least = np.full(len(self._factors), np.iinfo(np.uint32).max, np.uint32)
        for begin in range(0, len(hashes), SLICE):
            x = hashes[begin : begin + SLICE, None].astype(np.uint64)
            hashed: npt.NDArray[Any] = (x * self._factors + self._offsets) >> np.uint64(32)
            least = np.minimum(least, hashed.min(axis=0).astype(np.uint32))
        return least


def bands(threshold: float) -> tuple[int, int]:
    """How many bands of how many hashes find a pair at the threshold with a chance of RECALL: 1 - (1 - t^rows)^bands.

    As many rows as there are bands for: longer bands make fewer vain comparisons.
    """
    threshold = min(max(threshold, 0.01), 0.99)
    needed = [(math.ceil(math.log(1 - RECALL) / math.log1p(-(threshold**rows))), rows) for rows in range(1, 33)]
    fitting = [(n, rows) for n, rows in needed if n <= MAX_BANDS and n * rows <= MAX_HASHES]
    return fitting[-1] if fitting else (min(needed[0][0], MAX_HASHES), 1)


def jaccard(a: Hashes, b: Hashes) -> float:
    """|a and b| / |a or b| of two sorted sets."""
    common = len(np.intersect1d(a, b, assume_unique=True))
    return common / (len(a) + len(b) - common)
