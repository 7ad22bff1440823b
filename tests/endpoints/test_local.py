"""A tiny real model as an endpoint."""

from dataclasses import replace

import pytest
import torch

from stillhouse.endpoints.base import Endpoint, Sampling
from stillhouse.endpoints.local import Local
from stillhouse.models.load import load
from stillhouse.models.tokenise import encode_prompt
from stillhouse.records.types import Message
from stillhouse.tiny import tiny_model
from tests.endpoints.asking import asked, prompts_of

PROMPTS = [(Message("user", "Hi" * n),) for n in (3, 1, 7, 2, 5)]


@pytest.fixture(scope="module")
def lm():
    return tiny_model(seed=0)


def answers(lm, sampling, prompts=PROMPTS, batch_size=2):
    return dict(Local(lm).generate(prompts, replace(sampling, batch_size=batch_size)))


def test_greedy_answers_are_the_argmax_of_one_forward_pass_per_token(lm):
    given = answers(lm, Sampling(max_new_tokens=4, temperature=0.0))
    assert sorted(given) == list(range(5))
    for index, prompt in enumerate(PROMPTS):
        ids = encode_prompt(lm.tokenizer, prompt)
        start = len(ids)
        for _ in range(4):
            with torch.no_grad():
                token = int(lm.model(torch.tensor([ids])).logits[0, -1].argmax())
            if token in lm.eos_ids:
                break
            ids.append(token)
        assert given[index].tokens == len(ids) - start
        assert given[index].prompt_tokens == start
        assert given[index].text == lm.tokenizer.decode(ids[start:], skip_special_tokens=True).strip()


def test_sampling_depends_on_its_seed(lm):
    first, same, other = (answers(lm, Sampling(max_new_tokens=8, seed=seed)) for seed in (1, 1, 2))
    assert first == same
    assert first != other


def test_identity_is_of_the_weights():
    assert isinstance(Local(tiny_model(seed=0)), Endpoint)
    assert Local(tiny_model(seed=0)).identity == Local(tiny_model(seed=0)).identity
    assert Local(tiny_model(seed=0)).identity.startswith("tiny-0 float32 ")
    changed = tiny_model(seed=0)
    before = Local(changed).identity
    with torch.no_grad():
        for weight in changed.model.parameters():
            weight.mul_(1.001)
    assert Local(changed).identity != before
    changed.tokenizer.chat_template += " "
    assert Local(changed).identity != before


def test_what_does_not_fit_is_refused(lm):
    endpoint = Local(lm)
    long = (Message("user", "x" * 500),)
    assert endpoint.refuses(PROMPTS[0], Sampling(max_new_tokens=100)) == ""
    assert "new ones are more than the window of 512" in endpoint.refuses(long, Sampling(max_new_tokens=100))
    assert "lone surrogate" in endpoint.refuses((Message("user", "a \ud800"),), Sampling())


def test_asking_a_model(lm, tmp_path):
    prompts = [*PROMPTS, *prompts_of("x" * 600, "a \ud800")]
    how = {"max_new_tokens": 8, "batch_size": 2, "seed": 1}
    given, funnel = asked(prompts, Local(lm), tmp_path / "journal.jsonl", **how)
    assert (funnel.requests, funnel.asked, funnel.refused) == (7, 5, 2)
    assert [row[0].finish == "error" for row in given] == [False] * 5 + [True] * 2
    assert funnel.tokens == sum(row[0].tokens for row in given)
    again, funnel = asked(prompts, Local(tiny_model(seed=0)), tmp_path / "journal.jsonl", **how)
    assert (again, funnel.asked, funnel.cached) == (given, 0, 5)


def float64_scores(lm, prompt, text):
    """An oracle of transformers alone: its template, its tokenizer, one forward pass of a whole sequence, float64."""
    turns = [{"role": m.role, "content": m.content} for m in prompt]
    begin = lm.tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=False)
    answer = lm.tokenizer.encode(text, add_special_tokens=False)
    with torch.no_grad():
        logits = lm.model(torch.tensor([[*begin, *answer]])).logits[0, len(begin) - 1 : -1, : len(lm.tokenizer)]
    return logits.double().log_softmax(-1)[range(len(answer)), answer].tolist()


TEXTS = ["Yes", "A", "a longer answer, é 漢", "B", "\n\n"]


def test_scores_are_those_of_the_model(lm):
    endpoint = Local(lm)
    assert "token_logp" in endpoint.gives
    found = dict(endpoint.score(PROMPTS, TEXTS))
    assert sorted(found) == list(range(5))
    for index, (prompt, text) in enumerate(zip(PROMPTS, TEXTS, strict=True)):
        assert found[index] == pytest.approx(float64_scores(lm, prompt, text), abs=1e-5)
        assert len(found[index]) == len(text.encode())


def test_what_cannot_be_scored_has_no_values(lm):
    long, half = (Message("user", "x" * 500),), (Message("user", "a \ud800"),)
    pairs = [(PROMPTS[0], ""), (long, "y" * 100), (PROMPTS[0], "\udfff"), (half, "y"), (PROMPTS[0], "y")]
    found = dict(Local(lm).score([p for p, _ in pairs], [t for _, t in pairs]))
    assert [len(found[i]) for i in range(5)] == [0, 0, 0, 0, 1]
    fits = 512 - len(encode_prompt(lm.tokenizer, PROMPTS[0]))
    lengths = {len(v) for _, v in Local(lm).score([PROMPTS[0]] * 2, ["y" * fits, "y" * (fits + 1)])}
    assert lengths == {0, fits}


def test_control_tokens_in_a_text_are_text(lm):
    [(_, values)] = Local(lm).score(PROMPTS[:1], ["<|end|>"])
    assert len(values) == len("<|end|>")


def test_answers_are_cut_at_a_stop(lm):
    how = {"max_new_tokens": 30, "seed": 5}
    free = answers(lm, Sampling(**how))
    stop = next(letter for letter in free[0].text[3:] if letter.isascii() and letter not in free[0].text[:3] + " ")
    stopped = answers(lm, Sampling(stop=(stop, "", "never there"), **how))
    assert 0 < sum(stop in answer.text for answer in free.values()) < 5
    for index, answer in free.items():
        if stop in answer.text:
            assert stopped[index].text == answer.text.partition(stop)[0].strip()
            assert (stopped[index].finish, stopped[index].tokens < answer.tokens) == ("stop", True)
        else:
            assert stopped[index] == answer


@pytest.mark.slow
def test_the_embedded_model_scores_as_transformers_does():
    lm = load("embedded", dtype="float32", device="cpu")
    prompts = [(Message("user", "What is the capital of France?"),), (Message("user", "Say hello to Zoë."),)]
    pairs = [(p, t) for p in prompts for t in ("Paris", "The capital of France is Paris.", "Hello, Zoë! 漢字\n\n1. x")]
    found = dict(Local(lm).score([p for p, _ in pairs], [t for _, t in pairs]))
    for index, (prompt, text) in enumerate(pairs):
        assert found[index] == pytest.approx(float64_scores(lm, prompt, text), abs=2e-3)
    assert sum(found[1]) > sum(found[4])
