import math
import random
from collections import Counter

import pytest

from stillhouse.elicit.search.bm25 import bm25, words

DOCUMENTS = [
    "The cat sat on the mat.",
    "A dog chased the cat across the garden.",
    "Stills separate alcohol from water by boiling.",
    "",
    "Copper stills, copper pipes, copper everywhere: copper!",
]


def lucene(query: list[str], corpus: list[list[str]], k1: float = 1.5, b: float = 0.75) -> list[float]:
    """The formula as Robertson and Zaragoza have it, with Lucene's idf and without the constant (k1 + 1)."""
    mean = sum(map(len, corpus)) / len(corpus)
    scores = []
    for document in corpus:
        counts, total = Counter(document), 0.0
        for word in query:
            containing = sum(word in d for d in corpus)
            idf = math.log(1 + (len(corpus) - containing + 0.5) / (containing + 0.5))
            total += idf * counts[word] / (counts[word] + k1 * (1 - b + b * len(document) / mean))
        scores.append(total)
    return scores


@pytest.mark.parametrize("seed", range(10))
def test_scores_are_those_of_the_formula(seed: int) -> None:
    rng = random.Random(seed)
    corpus = [[rng.choice("abcdefghij") * 2 for _ in range(rng.randint(0, 12))] for _ in range(30)]
    texts = [f"{' '.join(document)} x{i}" for i, document in enumerate(corpus)]
    corpus = [[*document, f"x{i}"] for i, document in enumerate(corpus)]
    query = [rng.choice("abcdefghijz") * 2 for _ in range(4)]
    wanted = {t: s for t, s in zip(texts, lucene(query, corpus), strict=True) if s > 0}
    found = bm25(texts)(" ".join(query), len(texts))
    assert {hit.text: hit.score for hit in found} == pytest.approx(wanted, abs=1e-5)
    assert [hit.score for hit in found] == sorted((hit.score for hit in found), reverse=True)


def test_what_fits_is_found_and_what_shares_no_word_is_not() -> None:
    find = bm25(DOCUMENTS)
    assert [hit.text for hit in find("copper STILLS", 5)] == [DOCUMENTS[4], DOCUMENTS[2]]
    assert find("zebra", 5) == [] and find("", 5) == [] and find("?!", 5) == []
    assert len(find("the", 1)) == 1


@pytest.mark.parametrize("documents", [[], [""], ["", " ?! "]])
def test_without_words_nothing_is_found(documents: list[str]) -> None:
    assert list(bm25(documents)("the cat", 3)) == []


def test_scripts_without_spaces_are_searched_by_the_character() -> None:
    assert words("蒸馏 Wasser") == ["蒸", "馏", "wasser"]
    find = bm25(["如何学习蒸馏技术", "今天天气很好", "한국어 문장입니다"])
    assert find("蒸馏", 1)[0].text == "如何学习蒸馏技术"
    assert find("문장입니다", 1)[0].text == "한국어 문장입니다"


def test_a_query_of_a_megabyte_is_answered() -> None:
    assert bm25(DOCUMENTS)("cat {{ 7*7 }} <script> " * 50_000, 2)[0].text == DOCUMENTS[0]
