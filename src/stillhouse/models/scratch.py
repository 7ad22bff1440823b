"""A student from scratch: random weights in a given shape."""

import difflib
from typing import Any

import torch
from transformers import CONFIG_MAPPING, AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerBase

from stillhouse.errors import ModelError
from stillhouse.models.load import UNFIT, LanguageModel, first_line


def random_student(config: dict[str, Any], tokenizer: PreTrainedTokenizerBase, *, seed: int = 0) -> LanguageModel:
    """A student with random float32 weights, e.g. {"model_type": "llama", "hidden_size": 256, ...}.

    Vocabulary and special tokens come from the tokenizer unless the shape says otherwise.

    Raises:
        ModelError: the shape names an unknown key or model type, or no such model can be built.
    """
    model_type = refuse_unknown(config)
    special = {f"{kind}_token_id": getattr(tokenizer, f"{kind}_token_id") for kind in ("bos", "eos", "pad")}
    shape = {"vocab_size": len(tokenizer)} | special | {k: v for k, v in config.items() if k != "model_type"}
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = AutoModelForCausalLM.from_config(AutoConfig.for_model(model_type, **shape), dtype=torch.float32)
    except (*UNFIT, TypeError) as error:
        raise ModelError(f"student.config cannot be built: {first_line(error)}.") from error
    return LanguageModel(model.eval(), tokenizer, f"random-{model_type}")


def refuse_unknown(config: dict[str, Any]) -> str:
    """The model type. transformers keeps an unknown key silently and builds the default shape; here it is an error."""
    model_type = str(config.get("model_type"))
    if model_type not in CONFIG_MAPPING:
        near = ", ".join(difflib.get_close_matches(model_type, CONFIG_MAPPING, 3)) or "llama, qwen3, gpt2"
        raise ModelError(f"student.config has model_type {model_type!r}; transformers knows, for example, {near}.")
    blank = AutoConfig.for_model(model_type)
    known = {"model_type", *blank.to_dict(), *blank.attribute_map}
    for key in sorted(config.keys() - known):
        close = ", ".join(difflib.get_close_matches(key, known, 3))
        near = f"did you mean {close}?" if close else "see transformers on the configuration of this model"
        raise ModelError(f"student.config has the key '{key}', which a {model_type} does not take; {near}")
    return model_type
