"""Low-rank adapters through peft (arXiv 2106.09685): train few weights, save a plain model."""

import copy

from transformers import PreTrainedModel

from stillhouse import recipe
from stillhouse.errors import ModelError
from stillhouse.models.load import LanguageModel

INSTALL = "pip install stillhouse[peft]"


def with_lora(lm: LanguageModel, lora: recipe.Lora) -> LanguageModel:
    """Freeze the model and put trainable adapters on `lora.target`; `merged` undoes it for saving.

    The given model is changed in place (peft wraps its layers).

    Raises:
        ModelError: peft is not installed, or the target names no layer of the model.
    """
    try:
        from peft import LoraConfig, TaskType, get_peft_model
    except ImportError as error:
        raise ModelError(f"student.lora needs the package peft; install it with `{INSTALL}`.") from error
    config = LoraConfig(
        task_type=TaskType.CAUSAL_LM,
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=lora.target if isinstance(lora.target, str) else list(lora.target),
    )
    try:
        adapted = get_peft_model(lm.model, config)
    except ValueError as error:
        raise ModelError(f"student.lora.target = {lora.target!r} does not fit '{lm.name}': {error}.") from error
    return LanguageModel(adapted, lm.tokenizer, lm.name)


def merged(lm: LanguageModel) -> LanguageModel:
    """A plain model with the adapters added into its weights; a model without adapters as it is.

    The adapted model is left as it was, so that training can go on.
    """
    if isinstance(lm.model, PreTrainedModel):
        return lm
    return LanguageModel(copy.deepcopy(lm.model).merge_and_unload(), lm.tokenizer, lm.name)
