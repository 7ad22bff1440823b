"""Block influence: how much each layer of a model turns what passes through it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from stillhouse.models.depth import decoder_layers
from stillhouse.models.forward import hidden_of
from stillhouse.models.load import LanguageModel
from stillhouse.models.tokenise import Encoded

Output = Tensor | tuple[Any, ...]
"""What a layer returns: hidden states, in some families as the first of a tuple."""


class Call(NamedTuple):
    """One call of a layer: the hidden states that went in, what else it was given by name, and what it returned."""

    before: Tensor
    settings: dict[str, Any]
    output: Output


@torch.no_grad()
def block_influence(lm: LanguageModel, rows: Sequence[Encoded]) -> tuple[float, ...]:
    """1 - cos(input, output) of every layer, mean over the real tokens of prompts and answers (arXiv 2403.03853).

    Unitless, between 0 and 2; a layer with a small value may go first.
    """
    layers = list(decoder_layers(lm.model)[2])
    sums, tokens = torch.zeros(len(layers), dtype=torch.float64), 0.0
    with recorded(layers) as seen:
        for _, batch, _ in hidden_of(lm.model, rows):
            real = batch.attention_mask if batch.attention_mask is not None else batch.input_ids >= 0
            for i, layer in enumerate(layers):
                before, after = seen[layer].before[real], hidden_states(seen[layer].output)[real]
                cosine = torch.cosine_similarity(before.float(), after.float(), dim=-1)
                sums[i] += torch.dot(1 - cosine, batch.times).double().cpu()
            tokens += float(batch.times.sum())
    return tuple((sums / tokens).tolist())


@contextmanager
def recorded(layers: Sequence[nn.Module]) -> Iterator[dict[nn.Module, Call]]:
    """The last call of each layer."""
    seen: dict[nn.Module, Call] = {}

    def note(layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Output) -> None:
        settings = {key: value for key, value in kwargs.items() if key != "hidden_states"}
        seen[layer] = Call(args[0] if args else kwargs["hidden_states"], settings, output)

    handles = [layer.register_forward_hook(note, with_kwargs=True) for layer in layers]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def hidden_states(output: Output) -> Tensor:
    return output[0] if isinstance(output, tuple) else output
