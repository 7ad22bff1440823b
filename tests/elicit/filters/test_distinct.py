"""Repetition: by hand, at both ends, and as a scorer of the filter `model`."""

import pytest

from stillhouse.elicit.filters.distinct import distinct


def test_by_hand() -> None:
    # a b a b a: bigrams ab ba ab ba (2 of 4), trigrams aba bab aba (2 of 3), 4-grams abab baba (2 of 2)
    assert distinct(["a b a b a"]) == [pytest.approx(2 / 4 * 2 / 3)]


def test_nothing_twice_everything_twice_and_nothing_at_all() -> None:
    never, always, word, blank = distinct(["Every word of this is new", "no " * 50, "Yes.", " ... "])
    assert (never, word, blank) == (1.0, 1.0, 0.0)
    assert 0 < always < 1e-4


def test_more_repetition_is_less() -> None:
    scores = distinct(["the cat sat " * times for times in range(1, 6)])
    assert scores == sorted(scores, reverse=True) and len(set(scores)) == 5
    assert distinct(["THE cat, sat!"]) == distinct(["the cat sat"])
