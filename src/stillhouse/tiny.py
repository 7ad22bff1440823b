"""Tiny real models built in memory, for tests and for recipes at toy size: a Llama of a few thousand weights."""

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from stillhouse.models.load import LanguageModel

_TEMPLATE = (
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
_SPECIAL = ("<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>")


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """One token a byte, and five control tokens; padding and end of turn are different tokens."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(letters)}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token="<|pad|>", eos_token="<|end|>", additional_special_tokens=list(_SPECIAL[2:])
    )
    tokenizer.chat_template = _TEMPLATE
    return tokenizer


def tiny_model(
    *,
    seed: int = 0,
    layers: int = 2,
    hidden: int = 32,
    heads: int = 4,
    extra_rows: int = 0,
    window: int = 512,
    tied: bool = True,
) -> LanguageModel:
    """A random Llama; `extra_rows` pads its vocabulary beyond the tokenizer's, as published models do."""
    tokenizer = tiny_tokenizer()
    config = LlamaConfig(
        vocab_size=len(tokenizer) + extra_rows,
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads // 2,
        max_position_embeddings=window,
        tie_word_embeddings=tied,
        pad_token_id=tokenizer.encode("<|pad|>")[0],
        eos_token_id=tokenizer.encode("<|end|>")[0],
        bos_token_id=None,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config).eval()
    return LanguageModel(model=model, tokenizer=tokenizer, name=f"tiny-{seed}")
