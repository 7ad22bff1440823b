"""The operator plans one request per answer wanted, under keys that change exactly when the answer may."""

import pytest

from stillhouse.elicit.generate import plan, response, sampling_of
from stillhouse.endpoints.base import Answer
from stillhouse.recipe import Step
from stillhouse.records.types import Message, Record, Response


def record(text, split="train"):
    return Record((Message("user", text),), split=split)


def keys(records, step=None, seed=0, identity="teacher"):
    step = step or Step()
    return [[r.key for r in rs] for rs in plan(records, step, sampling_of(step, seed), identity)]


def test_only_the_named_splits():
    planned = keys([record("a"), record("b", "valid"), record("c", "test")], Step(splits=("train", "test"), samples=2))
    assert [len(requests) for requests in planned] == [2, 0, 2]


def test_equal_prompts_share_a_greedy_answer_and_not_a_sampled_one():
    twenty = [record("same")] * 20
    assert len({k for ks in keys(twenty, Step(temperature=0)) for k in ks}) == 1
    assert len({k for ks in keys(twenty, Step(temperature=1)) for k in ks}) == 20
    assert len({k for ks in keys(twenty, Step(temperature=1, samples=3)) for k in ks}) == 60


def test_keys_do_not_depend_on_order():
    ahead, back = keys([record("a"), record("b")]), keys([record("b"), record("a")])
    assert ahead == back[::-1]


@pytest.mark.parametrize(
    "change",
    [
        {"step": Step(temperature=0.5)},
        {"step": Step(top_p=0.5)},
        {"step": Step(top_k=5)},
        {"step": Step(max_new_tokens=5)},
        {"seed": 1},
        {"identity": "other"},
    ],
)
def test_whatever_changes_an_answer_changes_its_key(change):
    assert keys([record("a")], **change) != keys([record("a")])


def test_what_cannot_change_a_greedy_answer_does_not_change_its_key():
    greedy = Step(temperature=0)
    assert keys([record("a")], greedy, seed=1) == keys([record("a")], greedy, seed=2)
    assert keys([record("a")], Step(temperature=0, top_p=0.5, top_k=3, samples=4)) == keys([record("a")], greedy)


def test_batch_size_and_splits_do_not_change_keys():
    assert keys([record("a")], Step(batch_size=1, splits=("train",))) == keys([record("a")])


def test_answers_become_responses_or_reasons():
    step = Step()
    assert response(Answer(" Yes.", "length", 5, 2), step) == Response("teacher", " Yes.", "length", 2)
    assert response(Answer(" \n", "stop"), step) == "empty"
    assert response(Answer("half", "error", error="filtered"), step) == "failed"
