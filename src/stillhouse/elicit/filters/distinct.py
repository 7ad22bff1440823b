"""How little a text repeats itself: a scorer for the filter `model`."""

from math import prod

from stillhouse.elicit.filters.words import ngrams, unicode_words


def distinct(texts: list[str]) -> list[float]:
    """The share of different n-grams among those of each text, for n = 2, 3 and 4, multiplied: 1 repeats nothing.

    A reward for diversity (MaRio, arXiv 2311.02805; the measure is that of contrastive search, 2202.06417).
    """
    return [prod(_share(unicode_words(text), n) for n in (2, 3, 4)) for text in texts]


def _share(words: list[str], n: int) -> float:
    grams = list(ngrams(words, n))
    return len(set(grams)) / len(grams) if grams else 0.0
