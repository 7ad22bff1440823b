"""ROUGE-L is rouge-score's, to the last bit, on anything."""

import random

import numpy as np
import pytest
from rouge_score.rouge_scorer import RougeScorer

from stillhouse.elicit.filters import rouge
from stillhouse.elicit.filters.rouge import RougeL

SCORER = RougeScorer(["rougeL"], use_stemmer=False)


def theirs(a, b):
    return SCORER.score(a, b)["rougeL"].fmeasure


def filled(texts, tokens="latin"):
    index = RougeL(tokens)
    for text in texts:
        index.add(index.read(text))
    return index


def some_texts(count, seed):
    """Random texts over few words, near copies of them, long ones, empty ones."""
    rng = random.Random(seed)
    vocabulary = [f"w{i}" for i in range(40)] + ["Don't", "U.S.", "naïve", "写诗", "--"]
    texts = []
    for _ in range(count):
        words = rng.choices(vocabulary, k=rng.choice([0, 1, 3, 8, 10, 10, 20, 20, 60]))
        if texts and rng.random() < 0.4:
            words = rng.choice(texts).split()
            for _ in range(min(len(words), rng.randint(0, 4))):
                words[rng.randrange(len(words))] = rng.choice(vocabulary)
        texts.append(" ".join(words))
    return texts


def test_closest_is_rouge_scores_on_thousands_of_pairs():
    pool, queries = some_texts(60, 1), some_texts(40, 2) + some_texts(60, 1)[:10]
    index = filled(pool)
    pairs = over = 0
    for query in queries:
        expected = [theirs(query, text) for text in pool]
        closest = index.closest(index.read(query))
        assert closest is not None
        assert closest.similarity == max(expected)
        assert closest.at == expected.index(max(expected))
        assert closest.mean == pytest.approx(np.mean(expected), abs=1e-15)
        pairs, over = pairs + len(pool), over + sum(f > 0.7 for f in expected)
    assert pairs == 3000
    assert over > 20


@pytest.mark.parametrize("common", range(1, 21))
def test_equal_at_every_border(common):
    """F1 of 7 of 10 words each is 0.7 by two roundings: whichever it is for rouge-score, it is for us."""
    for mine in range(common, 21):
        for other in range(common, 21):
            a = " ".join([f"s{i}" for i in range(common)] + [f"a{i}" for i in range(mine - common)])
            b = " ".join([f"s{i}" for i in range(common)] + [f"b{i}" for i in range(other - common)])
            closest = filled([b]).closest(filled([]).read(a))
            assert closest is not None
            assert closest.similarity == theirs(a, b)


def test_more_words_than_there_are_characters(monkeypatch):
    pool, queries = some_texts(60, 3), some_texts(20, 4)
    plain = filled(pool)
    monkeypatch.setattr(rouge, "CHARACTERS", 12)  # the rest goes into arrays, compared with strings
    mixed = filled(pool)
    for query in queries:
        assert mixed.closest(mixed.read(query)) == plain.closest(plain.read(query))


def test_an_empty_index_has_nothing_closest():
    index = RougeL("latin")
    assert index.closest(index.read("anything")) is None


def test_chinese_is_seen_by_unicode_words_alone():
    pool = ["写一首关于大海的诗"]
    query = "写一首关于大山的诗"
    assert theirs(query, pool[0]) == 0
    latin, unicode = filled(pool), filled(pool, "unicode")
    assert latin.closest(latin.read(query)).similarity == 0
    assert unicode.closest(unicode.read(query)).similarity == pytest.approx(8 / 9)


def test_a_long_text_is_no_matter():
    index = filled(["a short text", "word " * 200_000])
    assert index.closest(index.read("a short text")).similarity == 1
