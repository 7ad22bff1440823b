"""What decides the key of an answer, and where an answer ends."""

import pytest

from stillhouse.endpoints.base import Sampling, cut, score_key
from stillhouse.records.types import Message


def test_settings_without_stop_are_those_of_old_journals():
    assert Sampling(9, 0.7, 0.9, 5, 3).settings() == {
        "max_new_tokens": 9,
        "temperature": 0.7,
        "top_p": 0.9,
        "top_k": 5,
        "seed": 3,
    }
    assert Sampling(9, 0.0, 0.9, 5, 3).settings() == {"max_new_tokens": 9, "temperature": 0.0}


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_stop_texts_are_a_setting(temperature):
    plain, stopped = (Sampling(temperature=temperature, stop=stop).settings() for stop in ((), ("\n\n", "User:")))
    assert stopped == plain | {"stop": ["\n\n", "User:"]}


@pytest.mark.parametrize(
    ("text", "stop", "left"),
    [
        ("a\n\nb\n\nc", ("\n\n",), "a"),
        ("one User: two", ("x", "User:", "two"), "one "),
        ("no stop", ("stop!", "STOP"), "no stop"),
        ("begins", ("b",), ""),
        ("text", (), "text"),
        ("text", ("",), "text"),
    ],
)
def test_cut(text, stop, left):
    assert cut(text, stop) == left


def test_a_score_is_kept_by_who_scored_what_as_the_answer_to_what():
    prompt = (Message("user", "Hi"),)
    keys = {
        score_key("m", prompt, "a"),
        score_key("n", prompt, "a"),
        score_key("m", prompt, "b"),
        score_key("m", (Message("system", "Hi"),), "a"),
        score_key("m", (), "a"),
    }
    assert len(keys) == 5
    assert score_key("m", (Message("user", "Hi"),), "a") in keys
