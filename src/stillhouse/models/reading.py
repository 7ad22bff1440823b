"""Prompts and new tokens through a model that remembers: one forward pass over what is new, in any family's terms."""

import inspect
from collections.abc import Sequence
from itertools import takewhile

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformers import Cache, DynamicCache, DynamicLayer, PreTrainedModel
from transformers.cache_utils import DynamicSlidingWindowLayer

from stillhouse.errors import ModelError
from stillhouse.models.lanes import Read, keys_and_values

WORTH_SHARING = 16
"""Tokens with which all prompts must begin to be read once for all of them."""


class Reader:
    """Reads the prompts of one call, and then the answers to them token by token.

    Where a model remembers nothing but keys and values, its rows can begin and end at any time (`joins`), equal prompts
    are read once, and so are the tokens with which all prompts begin.
    Raises ModelError for a model that takes no cache.
    """

    def __init__(self, model: PreTrainedModel, prompts: Sequence[Sequence[int]], pad_id: int) -> None:
        self._model, self._pad_id = model, pad_id
        self._takes = set(inspect.signature(model.forward).parameters)
        if not self._takes & {"past_key_values", "cache_params"}:
            raise ModelError(f"{type(model).__name__} cannot be sampled from: it takes no cache of what it has read.")
        layers = {type(layer) for layer in self._new_cache().layers}
        chunked = "chunked_attention" in (getattr(model.config.get_text_config(), "layer_types", None) or ())
        self.joins = layers <= {DynamicLayer, DynamicSlidingWindowLayer} and not chunked and not model._is_stateful
        # between a shared beginning and a prompt's rest there are empty columns: windows and distances would count them
        plain = self.joins and layers == {DynamicLayer} and "position_ids" in self._takes
        shared = _shared(prompts) if plain else []
        self._shared = shared if len(shared) >= WORTH_SHARING else []
        self._beginning: Cache | None = None

    def read(self, prompts: Sequence[Sequence[int]]) -> tuple[Read, Float[Tensor, "N V"]]:
        """What is remembered of the prompts, and the logits of the first token behind each."""
        different = list(dict.fromkeys(map(tuple, prompts))) if self.joins else [tuple(p) for p in prompts]
        device, shared = self._model.device, len(self._shared)
        width = max(len(prompt) for prompt in different) - shared
        left = [width + shared - len(prompt) for prompt in different]
        ids = [[*[self._pad_id] * pad, *prompt[shared:]] for pad, prompt in zip(left, different, strict=True)]
        counts = [[1] * shared + [0] * pad + [1] * (width - pad) for pad in left]
        mask = torch.tensor(counts, device=device, dtype=torch.bool)
        positions = (mask.long().cumsum(-1) - 1).clamp(min=0)[:, shared:]
        cache = self._begun(len(different))
        logits = self.step(torch.tensor(ids, device=device), mask, positions, cache)
        place = {prompt: row for row, prompt in enumerate(different)}
        rows = [place[tuple(p)] for p in prompts] if self.joins else list(range(len(prompts)))
        which = torch.tensor(rows, device=device)
        return Read(cache, mask, which), logits[which]

    def step(
        self, ids: Int[Tensor, "R T"], mask: Bool[Tensor, "R W"], positions: Int[Tensor, "R T"], cache: Cache
    ) -> Float[Tensor, "R V"]:
        """The logits behind the last of some new tokens; the cache remembers them afterwards."""
        memory = "past_key_values" if "past_key_values" in self._takes else "cache_params"
        given = {"attention_mask": mask.long(), "position_ids": positions, memory: cache, "logits_to_keep": 1}
        taken = {name: value for name, value in given.items() if name in self._takes}
        return self._model(input_ids=ids, use_cache=True, **taken).logits[:, -1]

    def _begun(self, rows: int) -> Cache:
        """An empty cache, or one with the shared beginning in every row."""
        cache = DynamicCache() if self.joins else self._new_cache()
        if self._shared:
            if self._beginning is None:
                self._beginning = DynamicCache()
                ids = torch.tensor([self._shared], device=self._model.device)
                positions = torch.arange(ids.shape[1], device=ids.device)[None]
                self.step(ids, torch.ones_like(ids, dtype=torch.bool), positions, self._beginning)
            for number, (keys, values) in enumerate(keys_and_values(self._beginning)):
                cache.update(keys.expand(rows, -1, -1, -1), values.expand(rows, -1, -1, -1), number)
        return cache

    def _new_cache(self) -> DynamicCache:
        return DynamicCache(config=self._model.config)


def _shared(prompts: Sequence[Sequence[int]]) -> list[int]:
    """The tokens with which all prompts begin, if there are several, with one left over of each."""
    different = {tuple(prompt) for prompt in prompts}
    if len(different) < 2:
        return []
    pairs = zip(min(different), max(different), strict=False)
    return [a for a, _ in takewhile(lambda pair: pair[0] == pair[1], pairs)][: min(map(len, different)) - 1]
