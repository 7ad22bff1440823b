"""Draws follow the model's distribution, and answers end where they should."""

import pytest
import torch

from stillhouse.models.choice import Choice, Ending
from stillhouse.tiny import tiny_tokenizer

TOKENIZER = tiny_tokenizer()
LOGITS = torch.tensor([0.0, 1.0, -1.0, -torch.inf, 2.0])
UNIFORM = torch.arange(0.5, 20_000)[:, None] / 20_000


def frequencies(choice: Choice, logits: torch.Tensor = LOGITS) -> torch.Tensor:
    return torch.bincount(choice(logits.expand(20_000, -1), UNIFORM), minlength=5) / 20_000


def test_draws_follow_the_softmax() -> None:
    torch.testing.assert_close(frequencies(Choice()), LOGITS.softmax(-1), atol=1e-4, rtol=0)
    torch.testing.assert_close(frequencies(Choice(temperature=0.5)), (LOGITS * 2).softmax(-1), atol=1e-4, rtol=0)


def test_top_k_and_top_p_leave_the_likeliest_in_proportion() -> None:
    two = torch.tensor([0.0, LOGITS[1].exp(), 0.0, 0.0, LOGITS[4].exp()])
    for choice in (Choice(top_k=2), Choice(top_p=0.8)):
        torch.testing.assert_close(frequencies(choice), two / two.sum(), atol=1e-4, rtol=0)


def test_rows_beyond_the_vocabulary_are_never_drawn() -> None:
    assert frequencies(Choice(vocabulary=3))[3:].tolist() == [0, 0]
    assert Choice(temperature=0.0, vocabulary=3)(LOGITS[None], UNIFORM[:1]).tolist() == [1]


@pytest.mark.parametrize("choice", [Choice(temperature=0.0), Choice(top_k=1), Choice(top_p=1e-6)])
def test_the_narrowest_choice_is_greedy(choice: Choice) -> None:
    assert frequencies(choice).tolist() == [0, 0, 0, 0, 1]


def test_an_answer_ends_at_a_stop_token_or_at_its_longest() -> None:
    ending = Ending(3, stop_ids=(7,))
    assert [ending(ids) for ids in ([1], [1, 2], [7], [1, 7], [1, 2, 3], [1, 2, 7])] == [
        None,
        None,
        (0, "stop"),
        (1, "stop"),
        (3, "length"),
        (2, "stop"),
    ]


def test_an_answer_ends_with_the_token_that_completes_a_stop_text() -> None:
    ending = Ending(100, stop=["##", "é!"], tokenizer=TOKENIZER)
    for text, length in {"a#b": None, "a##": 3, "##": 2, "b é": None, "b é!": 5}.items():
        assert ending(TOKENIZER.encode(text)) == (None if length is None else (length, "stop"))
    long = TOKENIZER.encode("##" + "x" * 40)
    assert ending(long) is None  # it would have ended long before
