"""Tokens per second of generation, measured so that the ratio of two models is honest.

Every model answers the same prompts, greedily and with the same number of new tokens (none may stop earlier), in turns
with the others: what else the machine does meanwhile falls on all of them. A short first turn warms up, uncounted.
"""

import time
from collections.abc import Mapping, Sequence
from statistics import median

from transformers import PreTrainedModel

from stillhouse.models.choice import Choice, Ending
from stillhouse.models.sample import generate

WARM_UP = 4
"""New tokens of the turn that is not counted."""


def tokens_per_second(
    models: Mapping[str, PreTrainedModel],
    prompts: Sequence[Sequence[int]],
    *,
    pad_id: int,
    new_tokens: int = 64,
    batch_size: int = 8,
    repetitions: int = 3,
) -> dict[str, float]:
    """New tokens by seconds, the reading of the prompts included: the median over repetitions for each named model."""
    speeds: dict[str, list[float]] = {name: [] for name in models}
    for repetition in range(repetitions + 1):
        for name, model in models.items():
            begin = time.perf_counter()
            made = _tokens(model, prompts, pad_id, new_tokens if repetition > 0 else WARM_UP, batch_size)
            if repetition > 0:
                speeds[name].append(made / (time.perf_counter() - begin))
    return {name: median(found) for name, found in speeds.items()}


def _tokens(
    model: PreTrainedModel, prompts: Sequence[Sequence[int]], pad_id: int, new_tokens: int, batch_size: int
) -> int:
    """Generates and counts; without stop ids every answer has `new_tokens`."""
    greedy, whole = Choice(temperature=0.0), Ending(new_tokens)
    seeds = range(len(prompts))
    answers = generate(model.eval(), prompts, greedy, whole, pad_id=pad_id, seeds=seeds, batch_size=batch_size)
    return sum(len(ids) for _, ids, _ in answers)
