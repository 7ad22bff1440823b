"""What every backend of a search is: opened on documents, it answers a query with the best of them."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Hit(NamedTuple):
    """A document that was found, and how well it fits: the higher the better."""

    text: str
    score: float


Find = Callable[[str, int], Sequence[Hit]]
"""The best hits for a query, at most so many, the best first."""

Backend = Callable[[Sequence[str]], Find]


def best(texts: Sequence[str], scores: NDArray[np.floating], most: int) -> list[Hit]:
    """The texts of the highest scores; of equal ones the earlier text comes first, so a search repeats exactly."""
    most = min(most, len(texts))
    if most < 1:
        return []
    least = np.partition(scores, -most)[-most]
    places = np.flatnonzero(scores >= least)
    order = places[np.argsort(-scores[places], kind="stable")][:most]
    return [Hit(texts[int(place)], float(scores[place])) for place in order]
