"""Texts that end an answer, while it is sampled."""

import torch

from stillhouse.models.sample import generate
from stillhouse.models.stop_strings import StopStrings
from stillhouse.tiny import tiny_model, tiny_tokenizer

TOKENIZER = tiny_tokenizer()


def rows(*texts):
    return torch.tensor([TOKENIZER.encode(text) for text in texts])


def test_only_new_text_counts():
    ends = StopStrings(TOKENIZER, ["##", "é!"], prompt_width=4)
    assert ends(rows("a###b", "abcde"), torch.zeros(2, 1)).tolist() == [False, False]
    assert ends(rows("a###bc#", "abcd##."), torch.zeros(2, 1)).tolist() == [False, True]
    assert ends(rows("a###bc#é!", "abcd##...."), torch.zeros(2, 1)).tolist() == [True, True]
    assert ends.lengths == {1: 3, 0: 6}


def test_answers_end_where_their_own_text_says_so_and_are_else_the_same():
    lm = tiny_model(seed=4)
    prompts = [[1, 2, 3, 4], [5], [6, 7, 8], [9, 10]]
    common = {"stop_ids": (256,), "pad_id": 257, "max_new_tokens": 30, "seed": 2}
    free = {i: (ids, how) for i, ids, how in generate(lm.model, prompts, **common)}
    texts = {i: TOKENIZER.decode(ids) for i, (ids, _) in free.items()}
    stop = next(letter for letter in texts[0][3:] if letter.isascii() and letter not in texts[0][:3])
    stopped = {i: (ids, how) for i, ids, how in generate(lm.model, prompts, stop=[stop], tokenizer=TOKENIZER, **common)}
    assert 0 < sum(stop in text for text in texts.values()) < 4
    for i, text in texts.items():
        ids, how = stopped[i]
        if stop in text:
            assert (how, ids) == ("stop", free[i][0][: len(ids)])
            assert TOKENIZER.decode(ids).endswith(stop)
            assert stop not in TOKENIZER.decode(ids[:-1])
        else:
            assert (ids, how) == free[i]


def test_decoding_ends_when_all_have_stopped():
    lm, steps = tiny_model(seed=4), []
    lm.model.register_forward_pre_hook(lambda module, given: steps.append(1))
    common = {"stop_ids": (256,), "pad_id": 257, "max_new_tokens": 30, "temperature": 0.0}
    [(_, ids, _)] = generate(lm.model, [[1, 2, 3]], **common)
    whole, text = len(steps), TOKENIZER.decode(ids)
    steps.clear()
    [(_, ids, how)] = generate(lm.model, [[1, 2, 3]], stop=[text[0]], tokenizer=TOKENIZER, **common)
    assert (how, len(steps) < whole) == ("stop", True)
    assert len(steps) == len(ids)
