"""What a stage's training draws from, as token ids, and which prompts each step sees."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from transformers import PreTrainedTokenizerBase

from stillhouse.errors import DataError
from stillhouse.models.examples import encode_example, first_prompt
from stillhouse.models.tokenise import Encoded, encode_prompt, encode_text
from stillhouse.recipe import Data
from stillhouse.records.types import Record, Response

NOT_RECORDED = frozenset({"student", "text"})
"""Sources that no record has: what the student says while it learns, and plain text."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A recorded answer behind its prompt, and its score, where candidates are ranked by it."""

    encoded: Encoded
    score: float = 0.0


@dataclass(frozen=True, slots=True)
class Material:
    """Encoded prompts, the recorded answers to each by source, and plain text."""

    keys: tuple[str, ...]
    prompts: tuple[tuple[int, ...], ...]
    answers: Mapping[str, tuple[tuple[Answer, ...], ...]]
    texts: tuple[Encoded, ...]
    max_tokens: int


def build(
    tokenizer: PreTrainedTokenizerBase,
    records: Sequence[Record],
    texts: Sequence[str],
    *,
    sources: frozenset[str],
    several: frozenset[str] = frozenset(),
    ranked: frozenset[str] = frozenset(),
    data: Data,
) -> Material:
    """Encode the records that have every source asked for: of `several` ones at least two answers, of `ranked` ones
    with scores.

    Raises DataError when none is left, naming what is missing, and for weights or spans that are none.
    """
    recorded = sorted(sources - NOT_RECORDED)
    kept, prompts = [], []
    for record in records:
        if record.messages and all(_usable(record, source, several, ranked) for source in recorded):
            prompt = tuple(encode_prompt(tokenizer, first_prompt(record)))
            if len(prompt) <= data.max_prompt_tokens:
                kept.append(record)
                prompts.append(prompt)
    if not kept:
        raise DataError(_nothing(records, recorded, several, ranked, data))
    answers = {
        source: tuple(
            tuple(
                Answer(encode_example(tokenizer, record, r, max_tokens=data.max_tokens), r.score or 0.0)
                for r in _usable(record, source, several, ranked)
            )
            for record in kept
        )
        for source in recorded
    }
    pieces = [e for t in texts for e in encode_text(tokenizer, t, max_tokens=data.max_tokens)]
    if "text" in sources and not pieces:
        raise DataError("an objective asks for plain text, but data.text has none; name a text file there")
    return Material(tuple(r.key for r in kept), tuple(prompts), answers, tuple(pieces), data.max_tokens)


def _usable(record: Record, source: str, several: frozenset[str], ranked: frozenset[str]) -> tuple[Response, ...]:
    """A record's answers of a source: at least two, where several are seen at once; with scores, to be ranked."""
    answers = record.answers(source)
    if source in ranked:
        answers = tuple(r for r in answers if r.score is not None and math.isfinite(r.score))
    return answers if source not in several or len(answers) > 1 else ()


def _nothing(
    records: Sequence[Record], recorded: Sequence[str], several: frozenset[str], ranked: frozenset[str], data: Data
) -> str:
    """Why there is nothing to train on."""
    kinds = {source: "two " * (source in several) + "scored " * (source in ranked) + source for source in recorded}
    wanted = " and ".join(kinds.values()) or "any"
    found = ", ".join(sorted({response.source for record in records for response in record.responses})) or "none"
    return (
        f"none of the {len(records)} training records has {wanted} answers and a prompt of at most "
        f"{data.max_prompt_tokens} tokens (sources found: {found}); add a step that writes them, name one of these "
        "sources, or raise data.max_prompt_tokens"
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
