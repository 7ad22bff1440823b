"""Sampling from a model in process: length-sorted, left-padded batches through transformers' own generate."""

from collections.abc import Callable, Iterator, Sequence
from typing import cast

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    StoppingCriteriaList,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from stillhouse.models.collate import by_tokens
from stillhouse.models.stop_strings import StopStrings
from stillhouse.recipe import Rollout
from stillhouse.records.types import Finish

BATCH_TOKENS = 2**15
"""Tokens of one batch, padding and answers included: what bounds its memory when prompts are long."""


def generate(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    *,
    stop_ids: Sequence[int],
    pad_id: int,
    max_new_tokens: int,
    temperature: float = 1.0,
    top_p: float = 1.0,
    top_k: int = 0,
    seed: int = 0,
    vocabulary: int | None = None,
    batch_size: int = 32,
    stop: Sequence[str] = (),
    tokenizer: PreTrainedTokenizerBase | None = None,
) -> Iterator[tuple[int, list[int], Finish]]:
    """Answer prompts; yields (index, new ids without the stop token, how it ended), the shortest prompts first.

    At most `batch_size` prompts at once, fewer where prompts are so long that their batch would pass BATCH_TOKENS.
    `temperature` 0 is greedy. `vocabulary` cuts off the rows by which a published head exceeds its tokenizer. Random
    numbers depend on `seed` and the batch alone. An answer also stops with the token that completes one of the texts in
    `stop`, read by `tokenizer`; that token is part of it.
    """
    order = sorted(range(len(prompts)), key=lambda i: (len(prompts[i]), i))
    config = GenerationConfig(
        max_new_tokens=max_new_tokens, do_sample=False, eos_token_id=list(stop_ids) or None, pad_token_id=pad_id
    )
    for positions in _batches([len(prompts[i]) + max_new_tokens for i in order], batch_size):
        indices = [order[i] for i in positions]
        choice = LogitsProcessorList([] if vocabulary is None else [Cut(vocabulary)])
        choice += _choice(temperature, top_p, top_k, seed + positions[0], model.device)
        width = max(len(prompts[i]) for i in indices)
        ends = StopStrings(tokenizer, stop, width) if stop and tokenizer is not None else None
        answers = _answer(model, [prompts[i] for i in indices], config, choice, ends)
        for row, (index, ids) in enumerate(zip(indices, answers, strict=True)):
            cut = None if ends is None else ends.lengths.get(row)
            stops = [i for i, token in enumerate(ids[:cut]) if token in stop_ids]
            answer, finish = (ids[: stops[0]], "stop") if stops else (ids[:cut], "length" if cut is None else "stop")
            yield index, answer, finish


def _batches(lengths: Sequence[int], batch_size: int) -> Iterator[list[int]]:
    for run in by_tokens(lengths, BATCH_TOKENS, padded=True):
        for begin in range(0, len(run), batch_size):
            yield run[begin : begin + batch_size]


def sample_answers(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    how: Rollout,
    *,
    stop_ids: Sequence[int],
    pad_id: int,
    seed: int,
    vocabulary: int | None = None,
) -> list[list[int]]:
    """One sampled answer per prompt, in order; `stop_ids[0]` is part of it where it ended by itself."""
    found = generate(
        model,
        prompts,
        stop_ids=stop_ids,
        pad_id=pad_id,
        max_new_tokens=how.max_new_tokens,
        temperature=how.temperature,
        top_p=how.top_p,
        top_k=how.top_k,
        seed=seed,
        vocabulary=vocabulary,
    )
    ended = {i: [*ids, stop_ids[0]] if finish == "stop" else ids for i, ids, finish in found}
    return [ended[i] for i in range(len(prompts))]


class Cut(LogitsProcessor):
    """Rules out the entries from `vocabulary` on, which stand for no token."""

    def __init__(self, vocabulary: int) -> None:
        self._vocabulary = vocabulary

    def __call__(self, input_ids: Int[Tensor, "B T"], scores: Float[Tensor, "B V"]) -> Float[Tensor, "B V"]:
        scores[:, self._vocabulary :] = -torch.inf
        return scores


class Draw(LogitsProcessor):
    """Draws each row's token from its softmax, by inverting the cumulative distribution at one uniform number a row.

    It leaves the drawn token as the only one, so that the greedy search behind it takes it. Drawing as `generate` does
    needs a random number for every entry of the vocabulary, which on a CPU takes as long as the model itself.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self._random = torch.Generator(device).manual_seed(seed)

    def __call__(self, input_ids: Int[Tensor, "B T"], scores: Float[Tensor, "B V"]) -> Float[Tensor, "B V"]:
        cumulative = scores.float().softmax(-1).cumsum_(-1)
        uniform = torch.rand(len(scores), 1, generator=self._random, device=scores.device)
        drawn = torch.searchsorted(cumulative, uniform * cumulative[:, -1:], right=True)
        drawn.clamp_(max=scores.shape[-1] - 1)
        return torch.full_like(scores, -torch.inf).scatter_(-1, drawn, 0.0)


def _choice(temperature: float, top_p: float, top_k: int, seed: int, device: torch.device) -> list[LogitsProcessor]:
    """What stands between the logits and the choice of the likeliest token: nothing when greedy."""
    if temperature == 0:
        return []
    steps: list[LogitsProcessor] = []
    if temperature != 1:
        steps.append(TemperatureLogitsWarper(temperature))
    if top_k:
        steps.append(TopKLogitsWarper(top_k))
    if top_p < 1:
        steps.append(TopPLogitsWarper(top_p))
    return [*steps, Draw(seed, device)]


@torch.inference_mode()
def _answer(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    config: GenerationConfig,
    choice: LogitsProcessorList,
    ends: StopStrings | None,
) -> list[list[int]]:
    width, pad = max(len(p) for p in prompts), config.pad_token_id
    ids = torch.tensor([[*[pad] * (width - len(p)), *p] for p in prompts], device=model.device)
    mask = torch.tensor([[*[0] * (width - len(p)), *[1] * len(p)] for p in prompts], device=model.device)
    generate_ids = cast(Callable[..., Tensor], model.generate)
    out = generate_ids(
        input_ids=ids,
        attention_mask=mask,
        generation_config=config,
        logits_processor=choice,
        stopping_criteria=StoppingCriteriaList([] if ends is None else [ends]),
    )
    return out[:, width:].tolist()
