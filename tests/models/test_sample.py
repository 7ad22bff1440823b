"""Sampling: greedy equals transformers' own, draws follow the model's distribution, and seeds decide."""

import pytest
import torch

from stillhouse.models import sample
from stillhouse.models.sample import Draw, generate, sample_answers
from stillhouse.recipe import Rollout
from stillhouse.tiny import tiny_model

LM = tiny_model(seed=4)
PROMPTS = [[1, 2, 3, 4], [5], [6, 7, 8]]
COMMON = {"stop_ids": (256,), "pad_id": 257, "max_new_tokens": 6}


def test_greedy_is_the_likeliest_token_whatever_the_padding() -> None:
    together = {i: ids for i, ids, _ in generate(LM.model, PROMPTS, temperature=0.0, **COMMON)}
    for i, prompt in enumerate(PROMPTS):
        ids = list(prompt)
        for token in together[i]:
            with torch.no_grad():
                assert int(LM.model(torch.tensor([ids])).logits[0, -1].argmax()) == token
            ids.append(token)


def test_equal_seeds_give_equal_answers_and_leave_the_global_random_numbers_alone() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first, second, third = (list(generate(LM.model, PROMPTS, seed=seed, **COMMON)) for seed in (1, 1, 2))
    assert first == second != third
    assert torch.equal(before, torch.get_rng_state())


def test_draws_follow_the_softmax() -> None:
    logits = torch.tensor([0.0, 1.0, -1.0, -torch.inf, 2.0]).log_softmax(-1)
    draw = Draw(seed=3, device=torch.device("cpu"))
    drawn = draw(torch.zeros(20_000, 1, dtype=torch.long), logits.expand(20_000, 5)).argmax(-1)
    frequencies = torch.bincount(drawn, minlength=5) / 20_000
    assert frequencies[3] == 0
    torch.testing.assert_close(frequencies, logits.exp(), atol=0.012, rtol=0)


def test_rows_beyond_the_vocabulary_are_never_drawn() -> None:
    padded = tiny_model(seed=4, extra_rows=40).model
    free, cut = (
        {token for _, ids, _ in generate(padded, PROMPTS * 20, vocabulary=vocabulary, **COMMON) for token in ids}
        for vocabulary in (None, len(LM.tokenizer))
    )
    assert max(free) >= len(LM.tokenizer) > max(cut)


@pytest.mark.parametrize("setting", [{"top_k": 1}, {"top_p": 1e-6}])
def test_the_narrowest_choice_is_greedy(setting: dict[str, float]) -> None:
    greedy = [ids for _, ids, _ in generate(LM.model, PROMPTS, temperature=0.0, **COMMON)]
    narrow = [ids for _, ids, _ in generate(LM.model, PROMPTS, **COMMON, **setting)]
    assert narrow == greedy


def test_an_answer_that_ends_has_its_end_of_turn() -> None:
    every = range(len(LM.tokenizer))
    how = Rollout(max_new_tokens=4, top_k=1)
    ended = sample_answers(LM.model, PROMPTS, how, stop_ids=tuple(every), pad_id=257, seed=0)
    assert all(ids == [0] for ids in ended)
    cut = sample_answers(LM.model, PROMPTS, how, stop_ids=(len(every) + 5,), pad_id=257, seed=0)
    assert all(len(ids) == 4 for ids in cut)


def test_long_prompts_are_answered_in_smaller_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    prompts = [[1] * length for length in (30, 3, 4, 25, 5)]
    whole = list(generate(LM.model, prompts, temperature=0.0, **COMMON))
    sizes: list[int] = []
    answer = sample._answer
    monkeypatch.setattr(sample, "BATCH_TOKENS", 40)
    monkeypatch.setattr(
        sample, "_answer", lambda model, asked, *rest: sizes.append(len(asked)) or answer(model, asked, *rest)
    )
    assert list(generate(LM.model, prompts, temperature=0.0, **COMMON)) == whole
    assert sizes == [3, 1, 1]
    sizes.clear()
    list(generate(LM.model, prompts, batch_size=2, **COMMON))
    assert sizes == [2, 1, 1, 1]
