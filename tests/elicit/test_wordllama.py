"""The embeddings that need no download."""

import numpy as np
import pytest

from stillhouse.elicit import wordllama
from stillhouse.elicit.search.embed import embedder
from stillhouse.errors import RecipeError


def test_near_in_meaning_is_near():
    pytest.importorskip("wordllama", reason="an extra: stillhouse[embeddings]")
    embed = embedder(wordllama.EMBED)
    sea, ocean, numbers, empty, odd = embed(
        ["Write a poem about the sea.", "Compose a poem on the ocean", "Sort numbers in Python", "", "\ud800"]
    )
    assert sea @ ocean > 0.6 > 0.2 > sea @ numbers
    assert np.linalg.norm(sea) == pytest.approx(1, abs=1e-5)
    assert not empty.any()
    assert odd.shape == (256,)


def test_without_the_package_it_says_what_to_install(monkeypatch):
    wordllama._model.cache_clear()
    monkeypatch.setattr(wordllama, "find_spec", lambda name: None)
    with pytest.raises(RecipeError, match=r"stillhouse\[embeddings\]"):
        wordllama.embed(["x"])
