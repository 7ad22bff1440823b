"""`rubric`: a judge scores a record on one aspect or several (LLaMA-GPT4, UltraFeedback, Self-Rewarding, MUFFIN)."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field

from stillhouse.elicit.ask import Ask
from stillhouse.elicit.contract import Dropped, Result
from stillhouse.elicit.generation.asking import Parse
from stillhouse.elicit.judges.verdict import finite, mean, verdicts
from stillhouse.elicit.view import value, view
from stillhouse.records.types import Record


def rubric(
    records: Iterable[Record],
    ask: Ask,
    *,
    template: str,
    system: str = "",
    parse: Parse,
    aspects: dict[str, str] | None = None,
    candidates: str = "",
    samples: Annotated[int, Field(ge=1)] = 1,
    retries: Annotated[int, Field(ge=0, le=20)] = 1,
    into: str = "score",
    at_least: float | None = None,
) -> Iterator[Result]:
    """A score per aspect, and their mean as the field `into`; verdicts of several samples are averaged.

    `parse` reads a field `score`. `aspects` maps names to descriptions, which the template sees one at a time as
    `aspect` and `description`; their scores go to the field `aspects`. With `candidates`, a list field of objects, each
    of these is scored alone (the template sees it as `candidate`) and gets `into` itself. `at_least` drops records with
    a lower score.
    """
    held = list(records)
    shown = list((aspects or {"": ""}).items())
    jobs = [
        (i, j, name, view(record) | {"aspect": name, "description": words} | seen)
        for i, record in enumerate(held)
        for j, seen in enumerate(_seen(record, candidates))
        for name, words in shown
    ]
    rows = verdicts(ask, [v for *_, v in jobs], template, system, parse, samples=samples, retries=retries)
    heard: dict[tuple[int, int], dict[str, float]] = {}
    for (i, j, name, _), row in zip(jobs, rows, strict=True):
        numbers = [number for verdict in row if (number := finite(verdict.get("score"))) is not None]
        if numbers:
            heard.setdefault((i, j), {})[name] = mean(numbers)
    for i, record in enumerate(held):
        yield _scored(record, i, heard, len(shown), candidates, into, at_least)


def _seen(record: Record, candidates: str) -> list[dict[str, Any]]:
    if not candidates:
        return [{}]
    found = value(record, candidates)
    return [{"candidate": c} for c in _objects(found)]


def _objects(found: Any) -> list[dict[str, Any]]:
    """The candidates as objects: a text alone has the field `text`."""
    listed = found if isinstance(found, list | tuple) else []
    return [dict(c) if isinstance(c, Mapping) else {"text": c} for c in listed]


def _scored(
    record: Record,
    i: int,
    heard: Mapping[tuple[int, int], Mapping[str, float]],
    wanted: int,
    candidates: str,
    into: str,
    at_least: float | None,
) -> Result:
    count = len(_seen(record, candidates))
    found = [heard.get((i, j), {}) for j in range(count)]
    if not found or any(len(scores) < wanted for scores in found):
        return Dropped(record, "no readable verdict")
    means = [mean(list(scores.values())) for scores in found]
    if candidates:
        rated = [c | {into: m} for c, m in zip(_objects(value(record, candidates)), means, strict=True)]
        return record.having(**{candidates: rated})
    if at_least is not None and means[0] < at_least:
        return Dropped(record.having(**{into: means[0]}), f"{into} below {at_least:g}")
    named = {name: score for name, score in found[0].items() if name}
    return record.having(**{into: means[0]} | ({"aspects": named} if named else {}))
