"""`topk` keeps as many as asked, the right ones, in their order."""

from collections import Counter
from random import Random

import pytest

from stillhouse.elicit.contract import Dropped, settings_of
from stillhouse.elicit.filters.topk import topk
from stillhouse.errors import RecipeError
from stillhouse.records.types import Message, Record


def items(scores, **fields):
    return [Record(fields={"id": i, "score": s, **{k: v[i] for k, v in fields.items()}}) for i, s in enumerate(scores)]


def kept(records, seed=0, **settings):
    return [r.fields["id"] for r in topk(records, Random(seed), **settings) if isinstance(r, Record)]


def test_the_best_in_their_order_and_of_equals_the_earlier():
    records = items([3, 9, 5, 9, 5, 1])
    assert kept(records, k=3) == [1, 2, 3]
    assert kept(records, k=2, lowest=True) == [0, 5]
    assert kept(records, k=3, lowest=True) == [0, 2, 5]
    assert kept(records, k=10) == [0, 1, 2, 3, 4, 5]
    assert kept(records, k=2, by="") == [0, 1]


@pytest.mark.parametrize(("share", "count"), [(0.01, 1), (0.25, 3), (0.5, 5), (1.0, 10)])
def test_a_share(share, count):
    assert kept(items(range(10)), share=share) == list(range(10 - count, 10))


def test_a_quota_for_each_group():
    records = items([1, 2, 3, 4, 5, 6], topic=["a", "a", "b", "b", "a", None])
    assert kept(records, k=1, per="topic") == [3, 4, 5]
    assert kept(records, share=0.5, per="topic") == [1, 3, 4, 5]


def test_best_of_n_for_each_prompt():
    prompts = [Record((Message("user", text),), fields={"id": i, "score": s}) for i, (text, s) in enumerate(
        [("a", 1), ("b", 7), ("a", 3), ("b", 2), ("a", 2)])]  # fmt: skip
    assert kept(prompts, k=1, per="key") == [1, 2]


def test_reasons():
    results = list(topk(items([1, None, "2", float("nan")]), Random(0), k=1))
    assert [r.reason for r in results if isinstance(r, Dropped)] == [
        "not chosen", "no usable number in 'score'", "no usable number in 'score'",
    ]  # fmt: skip


def test_diverse_choices():
    texts = ["a b c", "a b c d", "x y z", "x y", "q r s"]
    records = items([5, 4, 3, 2, 1], instruction=texts)
    assert kept(records, k=3) == [0, 1, 2]
    assert kept(records, k=3, choose="k_center") == [0, 2, 4]
    assert kept(records, k=4, choose="novel", at_most=0.5) == [0, 2, 4]
    assert kept(records, k=2, choose="k_center", lowest=True) == [3, 4]


def test_a_weighted_draw_follows_its_weights():
    records, drawn = items([1.0, 2.0, 7.0, 0.0, -3.0]), Counter()
    for seed in range(1500):
        drawn.update(kept(records, seed, k=1, choose="weighted"))
    assert set(drawn) == {0, 1, 2}
    for place, share in enumerate((0.1, 0.2, 0.7)):
        assert drawn[place] / 1500 == pytest.approx(share, abs=0.05)


def test_a_random_draw_is_even_needs_no_number_and_is_the_same_for_a_seed():
    records, drawn = items([None] * 4), Counter()
    for seed in range(1000):
        drawn.update(kept(records, seed, k=2, choose="random"))
    assert all(count / 1000 == pytest.approx(0.5, abs=0.07) for count in drawn.values())
    assert kept(records, 7, k=2, choose="random") == kept(records, 7, k=2, choose="random")


def test_nothing_and_odd_records():
    assert list(topk([], Random(0), k=3)) == []
    odd = [Record(), Record(fields={"instruction": None}), Record(fields={"instruction": ["\ud800"]})]
    assert len(list(topk(odd, Random(0), k=2, by="", choose="k_center"))) == 3


@pytest.mark.parametrize("settings", [{}, {"k": 1, "share": 0.5}, {"k": 1, "lowest": True, "choose": "weighted"}])
def test_wrong_settings(settings):
    with pytest.raises(RecipeError, match="operator 'topk'"):
        list(topk([], Random(0), **settings))
    with pytest.raises(RecipeError):
        settings_of(topk, {"k": -1})
