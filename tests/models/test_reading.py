"""Every kind of memory: answers are those of transformers' own generate, prompt by prompt."""

import random

import pytest
import torch
import transformers
from transformers import AutoModelForCausalLM

from stillhouse.errors import ModelError
from stillhouse.models.choice import Choice, Ending
from stillhouse.models.reading import Reader
from stillhouse.models.sample import generate

SIZES = {
    "vocab_size": 97,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "pad_token_id": 0,
    "eos_token_id": None,
    "bos_token_id": None,
}
SMALL = {name: SIZES[name] for name in ("vocab_size", "hidden_size", "pad_token_id", "eos_token_id", "bos_token_id")}
WINDOW = SIZES | {"sliding_window": 8}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
FAMILIES = {
    "keys and values": ("LlamaConfig", SIZES),
    "windows": ("MistralConfig", WINDOW),
    "windows in some layers": ("Gemma2Config", WINDOW | {"head_dim": 8}),
    "learnt positions": ("GPT2Config", SMALL | {"n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 256}),
    "distances from the mask": ("BloomConfig", SMALL | {"n_layer": 3, "n_head": 4}),
    "distances from the place": ("MptConfig", {"vocab_size": 97, "d_model": 32, "n_heads": 4, "n_layers": 3}),
    "chunks": (
        "Llama4TextConfig",
        SIZES | {"head_dim": 8, "attention_chunk_size": 8, "num_local_experts": 2, "intermediate_size_mlp": 48},
    ),
    "convolutions": ("Lfm2Config", SIZES | {"layer_types": ["conv", "full_attention"] * 2, "block_multiple_of": 8}),
    "states": ("MambaConfig", SMALL | {"state_size": 8, "num_hidden_layers": 3}),
    "states in some layers": (
        "Qwen3NextConfig",
        SIZES
        | EXPERTS
        | {"head_dim": 8, "linear_key_head_dim": 8, "linear_value_head_dim": 8, "linear_num_key_heads": 2}
        | {"linear_num_value_heads": 4, "shared_expert_intermediate_size": 16},
    ),
}


def model_of(name: str):
    kind, settings = FAMILIES[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(getattr(transformers, kind)(**settings)).eval()
        with torch.no_grad():
            for weight in model.parameters():
                if weight.ndim > 1:
                    weight.normal_(0, 0.15)
    return model


def of_transformers(model, prompt: list[int]) -> list[int]:
    ids = torch.tensor([prompt])
    how = {"max_new_tokens": 20, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
    return model.generate(ids, attention_mask=torch.ones_like(ids), **how)[0, len(prompt) :].tolist()


@pytest.mark.parametrize("name", FAMILIES)
def test_answers_are_those_of_transformers(name: str) -> None:
    model, rng = model_of(name), random.Random(0)
    begin = [rng.randrange(1, 97) for _ in range(20)]
    prompts = [begin + [rng.randrange(1, 97) for _ in range(rng.randint(1, 14))] for _ in range(7)]
    wanted = [of_transformers(model, prompt) for prompt in [*prompts, [5, 6]]]
    for asked in (prompts, [*prompts, [5, 6]]):
        found = generate(model, asked, Choice(temperature=0.0), Ending(20), pad_id=0, seeds=range(8), batch_size=3)
        assert {i: ids for i, ids, _ in found} == dict(enumerate(wanted[: len(asked)]))


def test_which_memories_can_be_joined() -> None:
    joins = {name: Reader(model_of(name), [[1]], 0).joins for name in FAMILIES}
    assert [name for name, joined in joins.items() if not joined] == [
        "chunks",
        "convolutions",
        "states",
        "states in some layers",
    ]


def test_a_model_without_a_cache_says_so() -> None:
    model = model_of("keys and values")
    model.forward = lambda input_ids, attention_mask: None
    with pytest.raises(ModelError, match="LlamaForCausalLM cannot be sampled from"):
        Reader(model, [[1]], 0)
