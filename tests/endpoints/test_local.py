"""A tiny real model as an endpoint."""

import pytest
import torch

from stillhouse.elicit.collect import collect
from stillhouse.endpoints.base import Endpoint, Sampling
from stillhouse.endpoints.local import Local
from stillhouse.models.tokenise import encode_prompt
from stillhouse.recipe import Step
from stillhouse.records.types import Message, Record
from stillhouse.tiny import tiny_model

PROMPTS = [(Message("user", "Hi" * n),) for n in (3, 1, 7, 2, 5)]


@pytest.fixture(scope="module")
def lm():
    return tiny_model(seed=0)


def answers(lm, sampling, prompts=PROMPTS, batch_size=2):
    return dict(Local(lm, batch_size=batch_size).generate(prompts, sampling))


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


def test_collecting_from_a_model(lm, tmp_path):
    records = [Record(prompt) for prompt in PROMPTS]
    records += [Record((Message("user", "x" * 600),)), Record((Message("user", "a \ud800"),))]
    step = Step(max_new_tokens=8, batch_size=2)
    answered, funnel = collect(records, Local(lm, batch_size=2), step, tmp_path / "journal.jsonl", seed=1)
    assert (funnel.took, funnel.asked, funnel.refused) == (7, 5, 2)
    assert funnel.kept + funnel.dropped["empty"] == 5
    assert funnel.tokens == sum(r.tokens for a in answered for r in a.responses)
    again, funnel = collect(records, Local(tiny_model(seed=0)), step, tmp_path / "journal.jsonl", seed=1)
    assert (again, funnel.asked, funnel.cached) == (answered, 0, 5)
