import pytest
import torch

from stillhouse.errors import ModelError
from stillhouse.models.scratch import random_student
from stillhouse.tiny import tiny_tokenizer

SHAPE = {
    "model_type": "llama",
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}


def test_shape_vocabulary_and_special_tokens() -> None:
    tokenizer = tiny_tokenizer()
    lm = random_student(SHAPE, tokenizer)
    assert lm.head_rows == len(tokenizer)
    assert lm.eos_ids == (tokenizer.eos_token_id,)
    assert lm.model.config.pad_token_id == tokenizer.pad_token_id
    assert {p.dtype for p in lm.model.parameters()} == {torch.float32}
    assert not lm.model.training


def test_the_seed_decides_and_the_callers_random_numbers_are_left_alone() -> None:
    before = torch.random.get_rng_state()
    one, same, other = (random_student(SHAPE, tiny_tokenizer(), seed=seed).model for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), same.parameters(), strict=True))
    assert not torch.equal(next(one.parameters()), next(other.parameters()))


def test_a_familys_own_names_are_known() -> None:
    shape = {"model_type": "gpt2", "n_embd": 16, "n_layer": 1, "n_head": 2, "vocab_size": 300}
    assert random_student(shape, tiny_tokenizer()).head_rows == 300


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"model_type": "lama"}, "model_type 'lama'.*llama"),
        ({"model_type": None}, "model_type 'None'"),
        ({"hiden_size": 8}, "'hiden_size'.*hidden_size"),
        ({"hidden_size": 30}, "not a multiple of the number of attention heads"),
        ({"hidden_size": "big"}, "expected int, got str"),
    ],
)
def test_an_impossible_shape_is_one_sentence(change: dict, told: str) -> None:
    with pytest.raises(ModelError, match=told) as error:
        random_student(SHAPE | change, tiny_tokenizer())
    assert "\n" not in str(error.value)


def test_an_encoder_is_refused() -> None:
    with pytest.raises(ModelError, match="cannot be built"):
        random_student({"model_type": "t5", "d_model": 16}, tiny_tokenizer())
