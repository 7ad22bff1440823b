"""Teacher forcing in runs and slices against one plain float64 forward pass an answer."""

import numpy as np
import pytest
import torch

from stillhouse.evaluate.answers import Reader, answer_logp, runs
from stillhouse.models.tokenise import Encoded
from stillhouse.tiny import tiny_model

VOCABULARY = 261


def some_answers(count: int = 9, seed: int = 0) -> list[Encoded]:
    rng = np.random.default_rng(seed)
    lengths = [(int(rng.integers(1, 20)), int(rng.integers(1, 40))) for _ in range(count)]
    return [Encoded(tuple(int(i) for i in rng.integers(0, 256, size=p + a)), start=p) for p, a in lengths]


def read(model: torch.nn.Module) -> Reader:
    return Reader.of(model, VOCABULARY)


def log_softmax(model: torch.nn.Module, answer: Encoded, vocabulary: int = VOCABULARY) -> np.ndarray:
    """Float64 log-probabilities at the positions that predict the answer, alone in its batch."""
    with torch.no_grad():
        logits = model(torch.tensor([answer.ids])).logits[0, answer.start - 1 : -1, :vocabulary]
    z = logits.double().numpy()
    return z - np.log(np.exp(z - z.max(-1, keepdims=True)).sum(-1, keepdims=True)) - z.max(-1, keepdims=True)


@pytest.mark.parametrize("micro_tokens", [1, 100, 10_000])
@pytest.mark.parametrize("extra_rows", [0, 11])
def test_answer_logp(micro_tokens, extra_rows):
    model, answers = tiny_model(extra_rows=extra_rows).model, some_answers()
    logp, lengths = answer_logp(Reader.of(model, VOCABULARY), answers, micro_tokens=micro_tokens)
    for i, answer in enumerate(answers):
        rows, targets = log_softmax(model, answer), list(answer.ids[answer.start :])
        assert float(logp[i]) == pytest.approx(rows[np.arange(len(targets)), targets].sum(), rel=1e-5)
        assert float(lengths[i]) == len(targets)


def test_runs_cover_every_sequence_once_by_length():
    answers = some_answers(40)
    found = list(runs(answers, 128))
    assert sorted(i for run in found for i in run) == list(range(40))
    lengths = [len(answers[i].ids) for run in found for i in run]
    assert lengths == sorted(lengths)
    assert all(len(run) == 1 or max(len(answers[i].ids) for i in run) * len(run) <= 128 for run in found)


def test_an_empty_answer_is_refused():
    with pytest.raises(ValueError, match="sequence 1 has no answer"):
        list(runs([Encoded((1, 2), 1), Encoded((1, 2), 2)]))


def test_kept_answers_are_read_once():
    model, (first, *others) = tiny_model().model, some_answers(5)
    passes = []
    model.get_decoder().register_forward_hook(lambda *_: passes.append(1))
    reader, forgetful = Reader.of(model, VOCABULARY, keep=others), Reader.of(model, VOCABULARY)
    with torch.no_grad():
        whole = forgetful.hidden([first, *others])
        assert torch.allclose(reader.hidden(others), whole[first.counted :], atol=1e-5)
        assert torch.allclose(reader.hidden([first, *others]), whole, atol=1e-5)
        assert len(passes) == 3  # the third for `first` alone
        reader.hidden(others[::-1])
        assert len(passes) == 3
        reader.hidden([first])
    assert len(passes) == 4


def test_logits_come_in_small_slices_and_in_float32():
    model = tiny_model().model.to(torch.bfloat16)
    reader = Reader.of(model, VOCABULARY)
    answer = Encoded(tuple(range(200)) * 8, start=1)
    blocks = list(reader.logits(reader.hidden([answer]).detach()))
    assert sum(len(b) for b in blocks) == len(reader.targets([answer])) == 1599
    assert max(len(b) for b in blocks) <= 256
    assert {b.dtype for b in blocks} == {torch.float32}
