"""Quantile bins: equal shares without ties, one bin for equal numbers, the highest always at the top."""

import math
import random
from collections import Counter
from fractions import Fraction

import pytest

from stillhouse.elicit.contract import Dropped
from stillhouse.elicit.shape.bins import bins
from stillhouse.records.types import Record


def made(numbers: list[object], **fields: object) -> list[Record]:
    return [Record(fields={"reward": number, "place": i} | fields) for i, number in enumerate(numbers)]


def levels(numbers: list[object], n: int = 5) -> list[int]:
    return [r.fields["bin"] for r in bins(made(numbers), by="reward", n=n) if isinstance(r, Record)]


@pytest.mark.parametrize("n", [1, 2, 5, 7])
def test_different_numbers_fill_all_bins_evenly_and_in_order(n: int) -> None:
    numbers = random.Random(n).sample(range(1000), 10 * n)
    found = levels(list(numbers), n)
    assert Counter(found) == dict.fromkeys(range(1, n + 1), 10)
    assert [level for _, level in sorted(zip(numbers, found, strict=True))] == sorted(found)


@pytest.mark.parametrize("seed", range(20))
def test_the_bin_counts_what_is_lower(seed: int) -> None:
    rng = random.Random(seed)
    numbers, n = [rng.randrange(6) / 2 for _ in range(rng.randrange(1, 30))], rng.randrange(1, 8)
    lower = [Fraction(sum(other < x for other in numbers), len(numbers)) for x in numbers]
    expected = [n if x == max(numbers) else 1 + math.floor(n * share) for x, share in zip(numbers, lower, strict=True)]
    assert levels(list(numbers), n) == expected


def test_right_and_wrong_are_at_both_ends_however_many_of_each() -> None:
    assert levels([0, 1, 1, 1, 1, 1, 1, 1, 1, 1]) == [1, *[5] * 9]
    assert levels([0, 0, 0, 0, 0, 0, 0, 0, 0, 1]) == [*[1] * 9, 5]
    assert levels([7, 7]) == [5, 5] and levels([]) == []


def test_groups_are_compared_among_themselves() -> None:
    records = [*made([1, 2], topic="a"), *made([10, 20], topic="b")]
    found = [r.fields["bin"] for r in bins(records, by="reward", n=2, per="topic") if isinstance(r, Record)]
    assert found == [1, 2, 1, 2]


def test_what_is_no_number_is_dropped_and_changes_no_other_bin() -> None:
    results = list(bins(made([1, "2", None, "many", float("nan"), True, 3]), by="reward", n=3, into="level"))
    assert [r.fields["level"] for r in results if isinstance(r, Record)] == [1, 2, 3]
    assert [r.reason for r in results if isinstance(r, Dropped)] == ["no usable number in 'reward'"] * 4
