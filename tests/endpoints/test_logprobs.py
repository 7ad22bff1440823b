"""Replies with log-probabilities, whole and broken."""

import pytest

from stillhouse.endpoints.logprobs import BAD_REPLY, NoLogprobs, first_words, given_tokens, parsed, token_ids


def echoed(values):
    return {"choices": [{"logprobs": {"token_logprobs": values}}]}


def test_parsed():
    assert parsed(b'{"a": 1}') == {"a": 1}
    assert parsed(b"<html>") is None
    assert parsed(b"\xff") is None
    assert parsed(b"[" * 100_000) is None


def test_token_ids():
    assert token_ids({"tokens": [5, 0, 7]}) == (5, 0, 7)
    for bad in ({"tokens": ["a"]}, {"tokens": [True]}, {"tokens": None}, {}, [], 3):
        with pytest.raises(BAD_REPLY):
            token_ids(bad)


def test_given_tokens_are_those_behind_the_prompt():
    values = [None, -1, -2.5, -3.0, -4.0]
    assert given_tokens(echoed(values), 2, 3) == (-2.5, -3.0, -4.0)
    assert given_tokens(echoed(values), 2, 2) == (-2.5, -3.0)
    assert given_tokens(echoed([None, 1e-7, float("-inf")]), 1, 2) == (0.0, -9999.0)


@pytest.mark.parametrize(
    "reply",
    [
        echoed([None, -1.0]),
        echoed([None, -1.0, -2.0, -3.0, -4.0]),
        echoed([None, None, -1.0]),
        echoed([None, "-1", -1.0]),
        echoed([None, 3.0, -1.0]),
        echoed([None, float("nan"), -1.0]),
        echoed(None),
        {"choices": []},
        {"choices": [{"logprobs": None}]},
        {},
        [],
        "text",
    ],
)
def test_replies_that_do_not_cover_the_text(reply):
    with pytest.raises(BAD_REPLY):
        given_tokens(reply, 1, 2)


def test_no_logprobs_says_why():
    with pytest.raises(NoLogprobs, match="1 log-probabilities for a prompt of 9 tokens"):
        given_tokens(echoed([-0.1]), 4, 5)


def test_first_words_need_a_list():
    listed = [{"token": " Yes", "logprob": -0.25}, {"token": "\n", "logprob": -3.0}]
    reply = {"choices": [{"logprobs": {"content": [{"top_logprobs": listed}]}}]}
    assert first_words(reply, ["Yes", " Yes ", "No"]) == (pytest.approx((-0.25,)), pytest.approx((-0.25,)), ())
    for bad in ([{"token": "Yes"}], [{"logprob": -1.0}], [{"token": 3, "logprob": -1.0}], [], None):
        with pytest.raises(BAD_REPLY):
            first_words({"choices": [{"logprobs": {"content": [{"top_logprobs": bad}]}}]}, ["Yes"])
