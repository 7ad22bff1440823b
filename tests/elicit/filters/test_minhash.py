"""MinHash finds the near duplicates that comparing all with all finds, and none besides."""

import random
from binascii import crc32
from functools import cache

import numpy as np
import pytest

from stillhouse.elicit.filters.minhash import MAX_HASHES, RECALL, MinHash, bands, jaccard

SIGNATURE = [2739735940, 5189080, 590262028]


@cache
def grams(text, n):
    words = text.lower().split()
    return {" ".join(words[i : i + n]) for i in range(max(1, len(words) - n + 1))}


def similarity(a, b, n):
    return len(grams(a, n) & grams(b, n)) / len(grams(a, n) | grams(b, n))


def corpus(count, seed):
    rng = random.Random(seed)
    texts = []
    for _ in range(count):
        words = [f"w{rng.randrange(500)}" for _ in range(rng.randint(5, 40))]
        if texts and rng.random() < 0.5:
            words = rng.choice(texts).split()
            for _ in range(rng.choice([0, 1, 1, 2, 6])):
                words[rng.randrange(len(words))] = f"w{rng.randrange(500)}"
        texts.append(" ".join(words))
    return texts


@pytest.mark.parametrize(("threshold", "n"), [(0.7, 3), (0.5, 1), (0.85, 2)])
def test_against_comparing_all_with_all(threshold, n):
    pool, queries = corpus(200, 1), corpus(400, 1)[200:]
    index = MinHash(threshold, n, "unicode")
    for text in pool:
        index.add(index.read(text))
    found = near = 0
    for query in queries:
        expected = max(similarity(query, text, n) for text in pool)
        closest = index.closest(index.read(query))
        if closest is not None:
            assert closest.similarity == pytest.approx(similarity(query, pool[closest.at], n))
        if expected > threshold:
            near += 1
            found += closest is not None and closest.similarity > threshold
    assert near > 20
    assert found >= 0.97 * near


@pytest.mark.parametrize("threshold", np.linspace(0.3, 0.95, 14))
def test_bands_find_what_they_promise(threshold):
    count, rows = bands(float(threshold))
    assert 1 - (1 - threshold**rows) ** count >= RECALL
    assert count * rows <= MAX_HASHES


@pytest.mark.parametrize("threshold", [0.0, 0.01, 0.1, 1.0])
def test_bands_at_the_ends(threshold):
    count, rows = bands(threshold)
    assert count >= 1
    assert 1 <= count * rows <= MAX_HASHES


def test_signatures_agree_as_often_as_texts_are_similar():
    index = MinHash(0.9, 1, "unicode")
    a, b = (" ".join(f"w{i}" for i in numbers) for numbers in (range(600), range(300, 900)))
    first, second = index.read(a), index.read(b)
    assert jaccard(first.hashes, second.hashes) == pytest.approx(1 / 3)
    assert (first.signature == second.signature).mean() == pytest.approx(
        1 / 3, abs=4 * (2 / 9 / len(first.signature)) ** 0.5
    )


def test_texts_without_words_are_like_nothing():
    index = MinHash(0.7, 3, "unicode")
    for text in ("", "...", "a real text with words"):
        index.add(index.read(text))
    assert index.closest(index.read("")) is None
    assert index.closest(index.read("?!")) is None
    assert index.closest(index.read("a real text with words")).at == 2


def test_odd_texts():
    index = MinHash(0.7, 3, "unicode")
    for text in ("\ud800 lone surrogate " * 3, "word " * 200_000, "写一首关于大海的诗"):
        prepared = index.read(text)
        index.add(prepared)
        assert index.closest(prepared).similarity == 1


def test_signatures_are_the_same_in_every_process():
    """Python's own hash differs from process to process; this one may not."""
    sketch = MinHash(0.7, 1, "unicode").read("one two three")
    assert sketch.hashes.tolist() == sorted(crc32(word) for word in (b"one", b"two", b"three"))
    assert sketch.signature[:3].tolist() == SIGNATURE
