"""Tokens a second of sampled answers: Stillhouse's loop against transformers, same model, same prompts, in turn.

The embedded teacher answers seed tasks of its own kind at temperature 1, each answer ending where it ends: once the
tasks alone, and once behind four worked examples that all prompts begin with, as recipes of reasoning have them. Peers:
transformers' `generate` in batches of 32 sorted by length, and its continuous batching, `generate_batch`. What they
draw differs, so the measure is answer tokens (the end of turn counts) by seconds.

    python benchmarks/sampling.py --prompts 96
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor
from transformers import GenerationConfig

from stillhouse.models import sample
from stillhouse.models.choice import Choice, Ending
from stillhouse.models.load import LanguageModel, load
from stillhouse.models.tokenise import encode_prompt
from stillhouse.records.read import read_records
from stillhouse.records.types import Message

BATCH, NEW_TOKENS = 32, 160
Prompts = Sequence[Sequence[int]]


def ours(lm: LanguageModel, prompts: Prompts) -> int:
    """Stillhouse's own loop."""
    choice, ending = Choice(vocabulary=lm.vocabulary), Ending(NEW_TOKENS, lm.stop_ids)
    found = sample.generate(lm.model, prompts, choice, ending, pad_id=lm.pad_id, seeds=range(len(prompts)))
    return sum(len(ids) + (how == "stop") for _, ids, how in found)


def settings(lm: LanguageModel) -> GenerationConfig:
    return GenerationConfig(
        max_new_tokens=NEW_TOKENS, do_sample=True, top_k=0, eos_token_id=list(lm.stop_ids), pad_token_id=lm.pad_id
    )


@torch.inference_mode()
def padded(lm: LanguageModel, prompts: Prompts) -> int:
    """transformers' generate: batches of prompts of like length, padded on the left."""
    made, order = 0, sorted(prompts, key=len)
    for begin in range(0, len(order), BATCH):
        batch = order[begin : begin + BATCH]
        width = max(map(len, batch))
        ids = torch.tensor([[*[lm.pad_id] * (width - len(p)), *p] for p in batch])
        mask = torch.tensor([[*[0] * (width - len(p)), *[1] * len(p)] for p in batch])
        generate = cast(Callable[..., Tensor], lm.model.generate)
        out = generate(input_ids=ids, attention_mask=mask, generation_config=settings(lm))
        made += sum(_length(row, lm.stop_ids) for row in out[:, width:].tolist())
    return made


def continuous(lm: LanguageModel, prompts: Prompts) -> int:
    """transformers' continuous batching over a paged cache."""
    generate = cast(Callable[..., dict[str, Any]], lm.model.generate_batch)
    out = generate(inputs=[list(p) for p in prompts], generation_config=settings(lm), progress_bar=False)
    return sum(len(answer.generated_tokens) for answer in out.values())


def _length(ids: list[int], stop_ids: Sequence[int]) -> int:
    return next((i + 1 for i, token in enumerate(ids) if token in stop_ids), len(ids))


PEERS: dict[str, Callable[[LanguageModel, Prompts], int]] = {
    "transformers generate": padded,
    "transformers generate_batch": continuous,
    "Stillhouse": ours,
}


def prompts_of(lm: LanguageModel, count: int, examples: int) -> list[list[int]]:
    """Seed tasks as prompts, behind `examples` others with their answers."""
    records = read_records("builtin")
    shown = [m for r in records[:examples] for m in (*r.messages, Message("assistant", r.answers("reference")[0].text))]
    asked = [records[examples + i % (len(records) - examples)] for i in range(count)]
    return [encode_prompt(lm.tokenizer, (*shown, *record.messages)) for record in asked]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=96)
    parser.add_argument("--repetitions", type=int, default=2)
    parser.add_argument("--without", nargs="*", default=[], choices=list(PEERS))
    asked = parser.parse_args()
    lm, peers = load("embedded"), {name: peer for name, peer in PEERS.items() if name not in asked.without}
    for title, examples in (("tasks alone", 0), ("behind four worked examples", 4)):
        prompts = prompts_of(lm, asked.prompts, examples)
        speeds: dict[str, list[float]] = {name: [] for name in peers}
        for _ in range(asked.repetitions):
            for name, peer in peers.items():
                begin = time.perf_counter()
                speeds[name].append(peer(lm, prompts) / (time.perf_counter() - begin))
        first = statistics.median(speeds["transformers generate"])
        print(f"\n{title}: {len(prompts)} prompts of {sum(map(len, prompts)) / len(prompts):.0f} tokens on average")
        for name, found in speeds.items():
            print(f"{name:28} {statistics.median(found):6.0f} answer tokens/s {statistics.median(found) / first:6.2f}")


if __name__ == "__main__":
    main()
