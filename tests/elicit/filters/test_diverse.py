"""Diversity against definitions written out in sets."""

import random

import pytest

from stillhouse.elicit.filters.diverse import Overlap, k_center, novel_first


def texts(count, seed):
    rng = random.Random(seed)
    return [" ".join(rng.choices("abcdefgh", k=rng.randint(0, 6))) for _ in range(count)]


def jaccard(a, b):
    a, b = set(a.split()), set(b.split())
    return len(a & b) / len(a | b) if a | b else 1.0


def test_overlap_is_jaccard():
    some = texts(40, 1)
    overlap = Overlap(some, 1)
    for at, text in enumerate(some):
        assert overlap.of(at).tolist() == pytest.approx([jaccard(text, other) for other in some])


def test_k_center_is_farthest_first():
    some, chosen = texts(30, 2), [0]
    while len(chosen) < 12:
        left = [i for i in range(30) if i not in chosen]
        chosen.append(min(left, key=lambda i: (max(jaccard(some[i], some[c]) for c in chosen), i)))
    assert k_center(Overlap(some, 1), 12) == chosen
    assert sorted(k_center(Overlap(some, 1), 30)) == list(range(30))


def test_novel_first_passes_over_what_is_too_similar():
    some, chosen = texts(30, 3), []
    for i in range(30):
        if all(jaccard(some[i], some[c]) <= 0.4 for c in chosen) and len(chosen) < 9:
            chosen.append(i)
    assert novel_first(Overlap(some, 1), 9, 0.4) == chosen
    assert len(chosen) > 3


def test_bigrams_know_order():
    assert Overlap(["a b c", "c b a"], 1).of(0)[1] == 1
    assert Overlap(["a b c", "c b a"], 2).of(0)[1] == 0
