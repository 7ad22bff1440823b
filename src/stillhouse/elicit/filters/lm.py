"""The filter `lm`: how likely a text is to a model, by itself or beside what it would be otherwise."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal

from stillhouse.elicit.ask import Ask, Prompt
from stillhouse.elicit.contract import Dropped, Result
from stillhouse.elicit.generation.asking import batches
from stillhouse.elicit.sandboxed import Unfit
from stillhouse.elicit.templates import conversation
from stillhouse.elicit.view import text, view
from stillhouse.errors import RecipeError
from stillhouse.records.types import Message, Record

Logp = Sequence[float]
Score = Callable[[Logp, Logp], float]


def _mean(logp: Logp) -> float:
    return math.fsum(logp) / len(logp)


ALONE: dict[str, Score] = {
    "logp": lambda given, _: math.fsum(given),
    "mean_logp": lambda given, _: _mean(given),
    "confidence": lambda given, _: math.exp(math.fsum(given)),
    "ppl": lambda given, _: math.exp(-_mean(given)),
}
COMPARED: dict[str, Score] = {
    "ifd": lambda given, without: math.exp(_mean(without) - _mean(given)),
    "loss_ratio": lambda given, without: _mean(given) / _mean(without),
    "gain": lambda given, without: math.fsum(given) - math.fsum(without),
    "mean_gain": lambda given, without: _mean(given) - _mean(without),
}
"""Scores of the text's log-probabilities given the prompt, and those that compare them with another prompt's."""


def lm(
    records: Iterable[Record],
    ask: Ask,
    *,
    score: Literal["logp", "mean_logp", "confidence", "ppl", "ifd", "loss_ratio", "gain", "mean_gain"] = "mean_logp",
    field: str = "output",
    template: str = "",
    system: str = "",
    without: str = "",
    at_least: float | None = None,
    at_most: float | None = None,
    into: str = "lm_score",
) -> Iterator[Result]:
    """Score the text y in `field` as the role's answer to a prompt x, into the field `into`; keep those within limits.

    x is made by `template` (and `system`), or is the record's own messages. With T tokens in y, in nats:

    logp = log p(y | x); mean_logp = logp / T; confidence = p(y | x); ppl = exp(-mean_logp)
    ifd = ppl(y | x) / ppl(y | x'); loss_ratio = mean_logp(y | x) / mean_logp(y | x')
    gain = logp(y | x) - logp(y | x'); mean_gain = gain / T

    x' is made by the template `without`, by default an empty message, so that y stands for itself. No score counts an
    end of turn. Without limits all are kept, to be sorted by a later step. The role must give token log-probabilities.

    Used by Cherry LLM (arXiv 2308.12032: loss_ratio) and Superfiltering (2402.00530: ifd), both below 1; Selective
    Reflection-Tuning (2402.10110: r-IFD is ifd of the instruction, given the output); MaRio (2311.02805: gain of the
    answer by the rationale); InPars (2202.05144: mean_logp of the query); GPT-3 labeling (confidence).
    """
    if "token_logp" not in ask.gives:
        given = ", ".join(sorted(ask.gives))
        raise RecipeError(
            f"operator 'lm' needs token_logp, but role '{ask.role}' gives {given}; give the role a local model, or a "
            "server that scores texts, or ask for a verdict with 'prob', which can count votes"
        )
    for batch in batches(records):
        yield from _scored(batch, ask, score, field, (template, system, without), at_least, at_most, into)


def _scored(
    batch: Sequence[Record],
    ask: Ask,
    score: str,
    field: str,
    templates: tuple[str, str, str],
    at_least: float | None,
    at_most: float | None,
    into: str,
) -> Iterator[Result]:
    compared = score in COMPARED
    prompts = [_prompts(record, text(record, field), templates, compared) for record in batch]
    asked = [
        (prompt, text(r, field))
        for r, row in zip(batch, prompts, strict=True)
        if isinstance(row, list)
        for prompt in row
    ]
    found = iter(ask.logp([prompt for prompt, _ in asked], [answer for _, answer in asked]) if asked else [])
    for record, row in zip(batch, prompts, strict=True):
        if isinstance(row, str):
            yield Dropped(record, row)
            continue
        logp = [next(found) for _ in row]
        value = _value(score, logp)
        if value is None:
            yield Dropped(record, "no log-probability" if not all(logp) else "score out of range")
            continue
        scored = record.having(**{into: value})
        low, high = at_least is not None and value < at_least, at_most is not None and value > at_most
        yield Dropped(scored, "score too low" if low else "score too high") if low or high else scored


def _prompts(record: Record, answer: str, templates: tuple[str, str, str], compared: bool) -> list[Prompt] | str:
    """x, and x' where the score wants it; or why there is none."""
    template, system, without = templates
    if not answer.strip():
        return "no text to score"
    values = view(record)
    try:
        given = conversation(template, values, system=system) if template else record.messages
        if not given:
            return "no prompt"
        if not compared:
            return [given]
        other = conversation(without, values, system=system) if without or template else (Message("user", ""),)
        return [given, other]
    except Unfit as error:
        return error.reason


def _value(score: str, logp: Sequence[Logp]) -> float | None:
    given, without = logp[0], logp[-1]
    if not given or not without:
        return None
    try:
        value = (ALONE | COMPARED)[score](given, without)
    except (OverflowError, ZeroDivisionError):
        return None
    return value if math.isfinite(value) else None
