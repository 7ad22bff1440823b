"""`topk`: keep the best, the most different, or a draw, of all records or of each group."""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from random import Random
from typing import Annotated, Literal

from pydantic import Field

from stillhouse.elicit.contract import Dropped, Result
from stillhouse.elicit.filters.diverse import Overlap, k_center, novel_first
from stillhouse.elicit.filters.reading import number, whole_text
from stillhouse.errors import RecipeError
from stillhouse.records.types import Record

Share = Annotated[float, Field(ge=0, le=1)]
Choose = Literal["best", "novel", "k_center", "weighted", "random"]


def topk(
    records: Iterable[Record],
    rng: Random,
    *,
    k: Annotated[int, Field(ge=0)] = 0,
    share: Share = 0.0,
    choose: Choose = "best",
    by: str = "score",
    lowest: bool = False,
    per: str = "",
    field: str = "instruction",
    ngram: Annotated[int, Field(gt=0)] = 1,
    at_most: Share = 0.7,
) -> Iterator[Result]:
    """Keep `k` records, or a `share` of them, of all or of each group with the same text in `per`; in their order.

    choose: "best", those with the highest numbers in `by` (`lowest`: the lowest), of equals the earlier;
    "novel", the same, but passing over those more than `at_most` similar to a better one, so there may be fewer;
    "k_center", the best one, then always the one least similar to those chosen;
    "weighted", drawn without replacement with chances proportional to `by`, which must be above 0; "random", evenly.
    by: "" where no number ranks them: then the earlier is the better. A record without the number is dropped.
    field, ngram: what is compared for similarity: Jaccard over the n-grams of its words, 1 being the bag of words.
    per with k = 1 is best-of-n: `per = "key"` for each prompt. It holds all records until the last has come.

    Used by Baize (best of 4), LIMA and GPT4All (diverse), SCoTD, MCC-KD (k_center over rationales), DEITA (novel).
    """
    if (k > 0) == (share > 0):
        raise RecipeError(f"operator 'topk': k is {k} and share is {share}; set one of them above 0")
    if lowest and choose in ("weighted", "random"):
        raise RecipeError(f"operator 'topk': lowest has no meaning with choose = '{choose}'; leave it out")
    held = list(records)
    groups, unusable = _groups(held, by if choose != "random" else "", per, above_zero=choose == "weighted")
    kept: set[int] = set()
    for group in groups.values():
        size = min(len(group), k or max(1, math.floor(share * len(group) + 0.5)))
        if choose in ("weighted", "random"):
            kept.update(_drawn(group, size, rng))
            continue
        ranked = sorted(group, key=group.__getitem__, reverse=not lowest)  # equals stay in order
        texts = [whole_text(held[at], field) for at in ranked] if choose != "best" else []
        kept.update(ranked[place] for place in _places(choose, texts, size, ngram, at_most))
    for at, record in enumerate(held):
        reason = f"no usable number in '{by}'" if at in unusable else "not chosen"
        yield record if at in kept else Dropped(record, reason)


Group = dict[int, float]
"""Places of records and their numbers."""


def _groups(held: Sequence[Record], by: str, per: str, *, above_zero: bool) -> tuple[dict[str, Group], set[int]]:
    """The records by group, and those whose number is of no use."""
    groups: dict[str, Group] = defaultdict(dict)
    unusable: set[int] = set()
    for at, record in enumerate(held):
        score = number(record, by) if by else 1.0
        if score is None or (above_zero and score <= 0):
            unusable.add(at)
        else:
            groups[whole_text(record, per) if per else ""][at] = score
    return groups, unusable


def _drawn(group: Group, size: int, rng: Random) -> list[int]:
    """A draw without replacement, by the least of exponential waiting times (Efraimidis & Spirakis 2006)."""
    waiting = {at: rng.expovariate(1.0) / weight for at, weight in group.items()}
    return sorted(waiting, key=waiting.__getitem__)[:size]


def _places(choose: Choose, ranked_texts: Sequence[str], size: int, ngram: int, at_most: float) -> Sequence[int]:
    """Which places of the ranking are chosen."""
    if choose == "best":
        return range(size)
    overlap = Overlap(ranked_texts, ngram)
    return k_center(overlap, size) if choose == "k_center" else novel_first(overlap, size, at_most)
