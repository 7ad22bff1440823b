"""Log-probabilities of given tokens against transformers' own logits, a token at a time, in float64."""

import pytest
import torch

from stillhouse.machine import rounded_up
from stillhouse.models.forward import hidden_of
from stillhouse.models.token_logp import token_logp
from stillhouse.models.tokenise import Encoded
from stillhouse.tiny import tiny_model

SEQUENCES = [
    Encoded((1, 2, 3, 4, 5), 2),
    Encoded((1, 2, 3, 4, 9), 2),
    Encoded((7, 8), 1),
    Encoded((7, 9), 1),
    Encoded((7, 9), 0),
    Encoded((1, 2, 3, 4, 5), 4),
    Encoded(tuple(range(60)), 10),
]


def one_by_one(model, sequence, vocabulary):
    values = []
    for place in range(max(sequence.start, 1), len(sequence.ids)):
        with torch.no_grad():
            logits = model(torch.tensor([sequence.ids[:place]])).logits[0, -1, :vocabulary]
        values.append(float(logits.double().log_softmax(-1)[sequence.ids[place]]))
    return values


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("micro_tokens", [1, 4096])
def test_equal_to_one_forward_pass_per_token(dtype, micro_tokens):
    lm = tiny_model(seed=3, extra_rows=40)
    model = lm.model.to(dtype)
    found = dict(token_logp(model, SEQUENCES, vocabulary=lm.vocabulary, micro_tokens=micro_tokens))
    assert sorted(found) == list(range(len(SEQUENCES)))
    for index, sequence in enumerate(SEQUENCES):
        expected = one_by_one(model, sequence, lm.vocabulary)
        assert found[index] == pytest.approx(expected, abs=1e-5 if dtype == torch.float32 else 1e-7)


def test_the_chances_of_all_next_tokens_add_up_to_one():
    lm = tiny_model(seed=3, extra_rows=40)
    options = [Encoded((5, 6, token), 2) for token in range(lm.vocabulary)]
    found = dict(token_logp(lm.model, options, vocabulary=lm.vocabulary))
    assert torch.tensor([found[i] for i in range(len(options))]).exp().sum().item() == pytest.approx(1, abs=1e-5)


def test_options_share_a_forward_pass():
    lm, widths = tiny_model(seed=3), []
    lm.model.get_decoder().register_forward_pre_hook(lambda module, given: widths.append(given[0].numel()))
    list(token_logp(lm.model, [Encoded((5, 6, token), 2) for token in range(50)], vocabulary=lm.vocabulary))
    assert widths == [rounded_up(3)]


def test_a_bf16_model_has_a_float32_head():
    lm, sequence = tiny_model(seed=3), Encoded((1, 2, 3, 4), 1)
    model = lm.model.to(torch.bfloat16)
    with torch.no_grad():
        model.get_output_embeddings().weight.mul_(40)
    [(_, values)] = token_logp(model, [sequence], vocabulary=lm.vocabulary)
    [(_, _, hidden)] = hidden_of(model, [sequence])
    logits = hidden.double() @ model.get_output_embeddings().weight.detach().double().T
    exact, rounded = (z.log_softmax(-1)[range(3), [2, 3, 4]].tolist() for z in (logits, logits.bfloat16().double()))
    assert values == pytest.approx(exact, abs=1e-4)
    assert rounded != pytest.approx(exact, abs=1e-3)


def test_nothing_to_score():
    lm = tiny_model(seed=3)
    assert list(token_logp(lm.model, [], vocabulary=lm.vocabulary)) == []
