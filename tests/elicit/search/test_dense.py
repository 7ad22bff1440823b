from collections import Counter
from pathlib import Path

import pytest

from stillhouse.elicit.search.dense import dense
from stillhouse.elicit.search.embed import embedder
from tests.elicit.search.embeddings import save_static

EMBED = embedder("tests.elicit.search.embeddings:letters")


def cosine(a: str, b: str) -> float:
    one, other = Counter(a), Counter(b)
    return sum(one[x] * other[x] for x in one) / (
        sum(v * v for v in one.values()) ** 0.5 * sum(v * v for v in other.values()) ** 0.5
    )


def test_scores_are_cosines_in_order() -> None:
    texts = ["abc", "aab", "xyz", "cab"]
    found = dense(texts, EMBED)("abc", 4)
    assert [hit.text for hit in found] == ["abc", "cab", "aab", "xyz"], "of equal ones the earlier comes first"
    assert [hit.score for hit in found] == pytest.approx([cosine("abc", hit.text) for hit in found])


def test_nothing_known_finds_nothing() -> None:
    assert dense(["abc"], EMBED)("123", 3) == [] and dense([], EMBED)("abc", 3) == []


def test_meaning_is_found_where_words_differ(tmp_path: Path) -> None:
    embed = embedder(str(save_static(tmp_path / "tiny")))
    assert dense(["dog", "kitten", "still copper"], embed)("cat", 1)[0].text == "kitten"
