"""The decoder layers of a model as a list that may be rearranged, whatever its family calls them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import nn
from transformers import PretrainedConfig, PreTrainedModel

from stillhouse.errors import ModelError
from stillhouse.models.forward import backbone


def decoder_layers(model: PreTrainedModel) -> tuple[nn.Module, str, nn.ModuleList]:
    """The module that owns the list of layers, the list's name in it, and the list.

    Raises:
        ModelError: the model has no such list.
    """
    count = model.config.get_text_config().num_hidden_layers
    for owner in backbone(model).modules():
        for name, child in owner.named_children():
            if isinstance(child, nn.ModuleList) and len(child) == count:
                return owner, name, child
    raise ModelError(f"no list of {count} decoder layers in a {type(model).__name__}; give student.model instead.")


@contextmanager
def arranged(model: PreTrainedModel, layers: Sequence[int]) -> Iterator[None]:
    """For a while the model consists of these of its layers alone, in this order; weights are shared, not copied."""
    owner, name, full = decoder_layers(model)
    config = model.config.get_text_config()
    changed = per_layer_settings(config, layers)
    before = {key: getattr(config, key) for key in changed}
    setattr(owner, name, nn.ModuleList(full[i] for i in layers))
    assign(config, changed)
    try:
        yield
    finally:
        setattr(owner, name, full)
        assign(config, before)


def per_layer_settings(config: PretrainedConfig, layers: Sequence[int]) -> dict[str, object]:
    """What the configuration says about these layers: their number, and lists with an entry for each layer."""
    count = config.num_hidden_layers
    lists = {
        key: [value[i] for i in layers]
        for key, value in config.to_dict().items()
        if isinstance(value, list) and len(value) == count and ("layer" in key or "head" in key)
    }
    return {"num_hidden_layers": len(layers), **lists}


def assign(config: PretrainedConfig, settings: dict[str, object]) -> None:
    for key, value in settings.items():
        setattr(config, key, value)
