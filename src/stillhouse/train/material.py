"""What a stage's training draws from, as token ids, and which prompts each step sees."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from transformers import PreTrainedTokenizerBase

from stillhouse.errors import DataError
from stillhouse.models.tokenise import Encoded, encode_answer, encode_pair, encode_prompt, encode_text
from stillhouse.recipe import Data
from stillhouse.records.types import Record


@dataclass(frozen=True, slots=True)
class Material:
    """Encoded prompts, the recorded answers to each by source, and plain text."""

    keys: tuple[str, ...]
    prompts: tuple[tuple[int, ...], ...]
    answers: Mapping[str, tuple[tuple[Encoded, ...], ...]]
    texts: tuple[Encoded, ...]
    max_tokens: int


def build(
    tokenizer: PreTrainedTokenizerBase,
    records: Sequence[Record],
    texts: Sequence[str],
    *,
    sources: frozenset[str],
    data: Data,
) -> Material:
    """Encode the records that have every source asked for.

    Raises DataError when none is left, naming what is missing.
    """
    recorded = sorted(sources & {"reference", "teacher"})
    kept, prompts = [], []
    for record in records:
        if all(record.answers(source) for source in recorded):
            prompt = tuple(encode_prompt(tokenizer, record.messages))
            if len(prompt) <= data.max_prompt_tokens:
                kept.append(record)
                prompts.append(prompt)
    if not kept:
        wanted = " and ".join(recorded) or "any"
        raise DataError(
            f"none of the {len(records)} training records has {wanted} answers and a prompt of at most "
            f"{data.max_prompt_tokens} tokens; add a generate step, give references, or raise data.max_prompt_tokens"
        )
    answers = {
        source: tuple(_answers(tokenizer, r, p, source, data.max_tokens) for r, p in zip(kept, prompts, strict=True))
        for source in recorded
    }
    pieces = [e for t in texts for e in encode_text(tokenizer, t, max_tokens=data.max_tokens)]
    if "text" in sources and not pieces:
        raise DataError("an objective asks for plain text, but data.text has none; name a text file there")
    return Material(tuple(r.key for r in kept), tuple(prompts), answers, tuple(pieces), data.max_tokens)


def _answers(
    tokenizer: PreTrainedTokenizerBase, record: Record, prompt: tuple[int, ...], source: str, limit: int
) -> tuple[Encoded, ...]:
    return tuple(
        encode_pair(prompt, encode_answer(tokenizer, r.text, finished=r.finish == "stop"), max_tokens=limit)
        for r in record.answers(source)
    )


@dataclass(frozen=True, slots=True)
class Visit:
    """Prompt `index` seen for the `number`-th time (from 0), which picks among several recorded answers."""

    index: int
    number: int


def visits(count: int, batch_size: int, step: int, seed: int) -> list[Visit]:
    """The prompts of one step (from 0): passes over all of them, each pass in an order of its own."""
    begin = step * batch_size
    return [_visit(count, position, seed) for position in range(begin, begin + batch_size)]


def _visit(count: int, position: int, seed: int) -> Visit:
    number, place = divmod(position, count)
    order = np.random.default_rng((seed, number)).permutation(count)
    return Visit(int(order[place]), number)
