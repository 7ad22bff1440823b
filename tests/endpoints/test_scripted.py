"""A function as an endpoint, and its ledger."""

from stillhouse.endpoints.base import Answer, Endpoint, Sampling
from stillhouse.endpoints.scripted import Scripted
from stillhouse.records.types import Message

PROMPTS = [(Message("user", text),) for text in ("one", "two")]


def test_answers_and_ledger():
    endpoint = Scripted(lambda prompt, sampling: prompt[0].content * sampling.max_new_tokens)
    assert isinstance(endpoint, Endpoint)
    assert list(endpoint.generate(PROMPTS, Sampling(max_new_tokens=2))) == [
        (0, Answer("oneone", "stop", tokens=1)),
        (1, Answer("twotwo", "stop", tokens=1)),
    ]
    assert endpoint.calls == PROMPTS


def test_whole_answers_are_passed_on():
    failed = Answer("", "error", error="no")
    assert list(Scripted(lambda prompt, sampling: failed).generate(PROMPTS[:1], Sampling())) == [(0, failed)]


def test_window():
    endpoint = Scripted(lambda prompt, sampling: "", window=3)
    assert endpoint.refuses(PROMPTS[0], Sampling()) == ""
    assert endpoint.refuses((Message("user", "four"),), Sampling()) == (
        "the prompt has 4 characters, more than the window of 3"
    )
    assert endpoint.calls == []


def test_scores_come_from_a_function_of_their_own():
    assert Scripted(lambda prompt, sampling: "").gives == {"text"}
    endpoint = Scripted(lambda prompt, sampling: "", scores=lambda prompt, text: [-float(len(w)) for w in text.split()])
    assert endpoint.gives == {"text", "token_logp"}
    assert list(endpoint.score(PROMPTS, ["a bcd", ""])) == [(0, (-1.0, -3.0)), (1, ())]
    assert endpoint.scored == [(PROMPTS[0], "a bcd"), (PROMPTS[1], "")]
    assert endpoint.calls == []


def test_texts_end_at_a_stop():
    endpoint = Scripted(lambda prompt, sampling: "one two END three")
    assert list(endpoint.generate(PROMPTS[:1], Sampling(stop=("END",)))) == [(0, Answer("one two ", "stop", tokens=2))]
