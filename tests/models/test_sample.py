"""Sampling: greedy is the likeliest token whatever else is under way, and seeds decide."""

from contextlib import contextmanager

import numpy as np
import pytest
import torch

from stillhouse.models import sample
from stillhouse.models.choice import Choice, Ending
from stillhouse.models.sample import generate, sample_answers
from stillhouse.models.tokenise import decode
from stillhouse.recipe import Rollout
from stillhouse.tiny import tiny_model

LM = tiny_model(seed=4)
PROMPTS = [[1, 2, 3, 4], [5], [6, 7, 8]]
GREEDY = Choice(temperature=0.0)


def answers(prompts=PROMPTS, choice=GREEDY, *, tokens=6, stop_ids=(256,), seed=0, stop=(), **settings):
    ending, seeds = Ending(tokens, stop_ids, stop, LM.tokenizer), range(seed, seed + len(prompts))
    found = generate(LM.model, prompts, choice, ending, pad_id=257, seeds=seeds, **settings)
    return {i: (ids, how) for i, ids, how in found}


@contextmanager
def shapes_read():
    """The shapes of what the model reads meanwhile."""
    shapes: list[tuple[int, ...]] = []
    hook = LM.model.register_forward_pre_hook(
        lambda _, __, given: shapes.append(tuple(given["input_ids"].shape)), with_kwargs=True
    )
    yield shapes
    hook.remove()


def alone(prompt: list[int], choice: Choice, seed: int, stop_ids: tuple[int, ...]) -> tuple[list[int], str]:
    """An oracle: one forward pass of the whole sequence for every token."""
    ids, uniform = list(prompt), np.random.default_rng(seed).random(90, dtype=np.float32)
    for number in uniform:
        with torch.no_grad():
            token = int(choice(LM.model(torch.tensor([ids])).logits[:, -1], torch.tensor([[float(number)]])))
        if token in stop_ids:
            return ids[len(prompt) :], "stop"
        ids.append(token)
    return ids[len(prompt) :], "length"


@pytest.mark.parametrize("choice", [GREEDY, Choice(), Choice(temperature=0.8, top_p=0.9)])
@pytest.mark.parametrize("batch_size", [1, 3, 64])
@pytest.mark.parametrize("shared", [0, 20])
def test_an_answer_is_its_own_whatever_else_is_under_way(choice: Choice, batch_size: int, shared: int) -> None:
    """Answers of many lengths, more than there is room for at once, prompts that repeat and that begin alike."""
    random = torch.Generator().manual_seed(1)
    begin = torch.randint(0, 250, (shared,), generator=random).tolist()
    lengths = (1, 9, 4, 4, 30, 2, 17, 5, 6)
    prompts = [begin + torch.randint(0, 250, (length,), generator=random).tolist() for length in lengths]
    prompts += [prompts[2], prompts[2]]
    stops = tuple(range(0, 256, 12))
    given = answers(prompts, choice, tokens=90, stop_ids=stops, seed=7, batch_size=batch_size)
    assert given == {i: alone(prompt, choice, 7 + i, stops) for i, prompt in enumerate(prompts)}
    assert choice == GREEDY or len({len(ids) for ids, _ in given.values()}) > 4


def test_equal_prompts_and_beginnings_are_read_once() -> None:
    begin = list(range(100, 130))
    with shapes_read() as shapes:
        answers([[*begin, 1, 2], [*begin, 3], [*begin, 1, 2]], tokens=1)
    assert shapes == [(1, 30), (2, 2)]


def test_an_answer_depends_on_its_own_seed_and_leaves_the_global_random_numbers_alone() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    prompts = PROMPTS * 3
    first, second, third = (answers(prompts, Choice(), seed=seed, batch_size=2) for seed in (1, 1, 2))
    assert first == second != third
    assert {i: third[i] for i in range(8)} != {i: first[i] for i in range(8)}
    assert answers(prompts, Choice(), seed=1, batch_size=9) == first
    assert answers([PROMPTS[1]], Choice(), seed=2)[0] == first[1]
    assert torch.equal(before, torch.get_rng_state())


def test_answers_come_as_they_end_and_no_further_ones_begin_when_asked() -> None:
    seen: list[int] = []
    ending = Ending(40, tuple(range(0, 256, 16)))
    prompts = [[n, n + 1] for n in range(20)]
    for index, _, _ in generate(
        LM.model, prompts, Choice(), ending, pad_id=257, seeds=range(20), batch_size=4, halt=lambda: len(seen) >= 3
    ):
        seen.append(index)
    assert 3 <= len(seen) < 9


def test_an_answer_that_ends_has_its_end_of_turn() -> None:
    every = range(len(LM.tokenizer))
    how = Rollout(max_new_tokens=4, top_k=1)
    ended = sample_answers(LM.model, PROMPTS, how, stop_ids=tuple(every), pad_id=257, seed=0)
    assert all(ids == [0] for ids in ended)
    cut = sample_answers(LM.model, PROMPTS, how, stop_ids=(len(every) + 5,), pad_id=257, seed=0)
    assert all(len(ids) == 4 for ids in cut)


def test_long_prompts_are_answered_fewer_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    prompts = [[1] * length for length in (30, 3, 4, 25, 5)]
    whole = answers(prompts)
    monkeypatch.setattr(sample, "TOKENS_AT_ONCE", 40)
    with shapes_read() as shapes:
        assert answers(prompts) == whole
    assert [shape for shape in shapes if shape[1] > 1] == [(3, 5), (1, 25), (1, 30)]


def test_answers_end_where_their_own_text_says_so_and_are_else_the_same() -> None:
    prompts = [[1, 2, 3, 4], [5], [6, 7, 8], [9, 10]]
    free = answers(prompts, Choice(), tokens=30, seed=2)
    texts = {i: decode(LM.tokenizer, ids) for i, (ids, _) in free.items()}
    stop = next(letter for letter in texts[0][3:] if letter.isascii() and letter not in texts[0][:3])
    stopped = answers(prompts, Choice(), tokens=30, seed=2, stop=[stop])
    assert 0 < sum(stop in text for text in texts.values()) < 4
    for i, text in texts.items():
        ids, how = stopped[i]
        if stop in text:
            assert (how, ids) == ("stop", free[i][0][: len(ids)])
            assert decode(LM.tokenizer, ids).endswith(stop)
            assert stop not in decode(LM.tokenizer, ids[:-1])
        else:
            assert (ids, how) == free[i]


def test_decoding_ends_when_all_have_stopped() -> None:
    with shapes_read() as whole:
        ids, _ = answers([[1, 2, 3]], tokens=30)[0]
    text = LM.tokenizer.decode(ids)
    with shapes_read() as steps:
        ids, how = answers([[1, 2, 3]], tokens=30, stop=[text[0]])[0]
    assert (how, len(steps) < len(whole)) == ("stop", True)
    assert len(steps) == len(ids)
