"""Equality and cosines."""

import numpy as np
import pytest

from stillhouse.elicit.filters.contract import Closest, Rows
from stillhouse.elicit.filters.indexes import Cosine, Exact


def test_exact_is_blind_to_case_and_spaces():
    index = Exact()
    for text in ("One two", "three", "ONE  two"):
        index.add(index.read(text))
    assert index.closest(index.read(" one\ntwo ")) == Closest(1.0, 0)
    assert index.closest(index.read("onetwo")) is None


def test_cosine_is_numpys():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(50, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    index = Cosine(lambda texts: vectors[[int(text) for text in texts]])
    assert index.closest(index.read("0")) is None
    for i in range(1, 50):
        index.add(index.read(str(i)))
    closest = index.closest(index.read("0"))
    expected = vectors[1:].astype(np.float64) @ vectors[0].astype(np.float64)
    assert closest.at == expected.argmax()
    assert closest.similarity == pytest.approx(expected.max(), abs=1e-6)
    assert closest.mean == pytest.approx(expected.mean(), abs=1e-6)


def test_rows_grow():
    rows = Rows(3, np.int64)
    for i in range(100):
        rows.append(np.full(3, i))
    assert rows.all.tolist() == [[i] * 3 for i in range(100)]
