"""Sampling from a model in process: length-sorted, left-padded batches through transformers' own generate."""

from collections.abc import Callable, Iterator, Sequence

import torch
from transformers import GenerationConfig, PreTrainedModel

from stillhouse.recipe import Rollout
from stillhouse.records.types import Finish


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
    batch_size: int = 32,
    on_tokens: Callable[[int], None] | None = None,
) -> Iterator[tuple[int, list[int], Finish]]:
    """Answer prompts; yields (index, new ids without the stop token, how it ended), the shortest prompts first.

    `temperature` 0 is greedy. The random numbers depend on `seed` and the batch alone, and the caller's are left alone.
    """
    order = sorted(range(len(prompts)), key=lambda i: (len(prompts[i]), i))
    config = GenerationConfig(
        max_new_tokens=max_new_tokens,
        do_sample=temperature > 0,
        temperature=temperature or 1.0,
        top_p=top_p,
        top_k=top_k,
        eos_token_id=list(stop_ids),
        pad_token_id=pad_id,
    )
    for begin in range(0, len(order), batch_size):
        indices = order[begin : begin + batch_size]
        answers = _answer(model, [prompts[i] for i in indices], config, seed + begin)
        for index, ids in zip(indices, answers, strict=True):
            stops = [i for i, token in enumerate(ids) if token in stop_ids]
            answer, finish = (ids[: stops[0]], "stop") if stops else (ids, "length")
            if on_tokens is not None:
                on_tokens(len(answer))
            yield index, answer, finish


def sample_answers(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    how: Rollout,
    *,
    stop_ids: Sequence[int],
    pad_id: int,
    seed: int,
) -> list[list[int]]:
    """One sampled answer per prompt, in order, the end-of-turn token `stop_ids[0]` included where it ended by itself."""
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
    )
    ended = {i: [*ids, stop_ids[0]] if finish == "stop" else ids for i, ids, finish in found}
    return [ended[i] for i in range(len(prompts))]


@torch.inference_mode()
def _answer(
    model: PreTrainedModel, prompts: Sequence[Sequence[int]], config: GenerationConfig, seed: int
) -> list[list[int]]:
    width = max(len(p) for p in prompts)
    pad = config.pad_token_id
    ids = torch.tensor([[*[pad] * (width - len(p)), *p] for p in prompts], device=model.device)
    mask = torch.tensor([[*[0] * (width - len(p)), *[1] * len(p)] for p in prompts], device=model.device)
    devices = [model.device] if model.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        out = model.generate(input_ids=ids, attention_mask=mask, generation_config=config)
    return out[:, width:].tolist()
