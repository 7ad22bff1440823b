"""Low-rank adapters through peft (arXiv 2106.09685): train few weights, save a plain model."""

import copy

from stillhouse import recipe
from stillhouse.errors import ModelError
from stillhouse.models.load import LanguageModel

INSTALL = "pip install stillhouse[peft]"


def with_lora(lm: LanguageModel, lora: recipe.Lora) -> LanguageModel:
    """Freeze the model and put trainable float32 adapters on `lora.target`; `merged` undoes it for saving.

    The given model is changed in place: its layers are wrapped, its class stays.

    Raises:
        ModelError: peft is not installed, or the target names no layer of the model.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise ModelError(f"student.lora needs the package peft; install it with `{INSTALL}`.") from error
    target = lora.target if isinstance(lora.target, str) else list(lora.target)
    config = LoraConfig(r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=target)
    try:
        inject_adapter_in_model(config, lm.model)
    except ValueError as error:
        raise ModelError(
            f"student.lora.target = {lora.target!r} names no layer of '{lm.name}'; "
            "use 'all-linear', or names such as 'q_proj'."
        ) from error
    for weight in lm.model.parameters():
        if weight.requires_grad:
            weight.data = weight.data.float()
    return lm


def merged(lm: LanguageModel) -> LanguageModel:
    """A plain copy with the adapters added into its weights; a model without adapters as it is.

    The adapted model is left as it was, so that training can go on.
    """
    try:
        from peft.tuners.tuners_utils import BaseTunerLayer
    except ImportError:
        return lm
    wrapped = [name for name, module in lm.model.named_modules() if isinstance(module, BaseTunerLayer)]
    if not wrapped:
        return lm
    model = copy.deepcopy(lm.model)
    for name in wrapped:
        layer = model.get_submodule(name)
        assert isinstance(layer, BaseTunerLayer)
        layer.merge()
        model.set_submodule(name, layer.get_base_layer())
    return LanguageModel(model.requires_grad_(True), lm.tokenizer, lm.name)
