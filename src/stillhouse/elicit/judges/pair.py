"""`pair`: a judge compares candidates, in every order or in shuffled ones, and is averaged (Lion, Vicuna)."""

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from stillhouse.elicit.ask import Ask
from stillhouse.elicit.contract import Dropped, Result
from stillhouse.elicit.generation.asking import Parse
from stillhouse.elicit.judges.verdict import finite, mean, verdicts
from stillhouse.elicit.view import value, view
from stillhouse.records.types import Record


def pair(
    records: Iterable[Record],
    ask: Ask,
    rng: random.Random,
    *,
    candidates: str | tuple[str, ...] = "candidates",
    text: str = "text",
    template: str,
    system: str = "",
    parse: Parse,
    kind: Literal["scores", "choice", "ranking"] = "scores",
    orders: Annotated[int, Field(ge=1)] = 2,
    samples: Annotated[int, Field(ge=1)] = 1,
    retries: Annotated[int, Field(ge=0, le=20)] = 1,
    into: str = "scores",
    reasons: str = "",
) -> Iterator[Result]:
    """Scores of the candidates of each record, averaged over orders, so that no place is favoured.

    `candidates`: a list field (of texts, or of objects with the field `text`), or the names of fields. The template
    sees the record and `shown`, the candidates in the order in which they are shown (`orders`: two candidates both ways
    round; of more, so many shuffles). `parse` reads what the judge says, by `kind`: "scores", a field `scores` with a
    number for each in the order shown; "choice", a field `choice` with the place of the better one, from 0, "A" or "1",
    or "tie"; "ranking", a field `ranking` from best to worst, of places from 0 or, as texts, of numbers from 1.

    Afterwards `into` has a number for each candidate (of a choice or a ranking, the mean share of the others that it
    beats), and `gap` the first less the second; `reasons` names a field for what the judge said, a text for each
    verdict.
    """
    held = list(records)
    texts = [_texts(record, candidates, text) for record in held]
    plans = [_orders(len(found), orders, rng) for found in texts]
    jobs = [(i, order) for i, plan in enumerate(plans) for order in plan]
    values = [view(held[i]) | {"shown": [texts[i][place] for place in order]} for i, order in jobs]
    heard: list[list[list[float]]] = [[] for _ in held]  # of each order, so that all orders count the same
    said: list[list[str]] = [[] for _ in held]
    rows = verdicts(ask, values, template, system, parse, samples=samples, retries=retries)
    for (i, order), row in zip(jobs, rows, strict=True):
        found = [scores for verdict in row if (scores := _scores(verdict, kind, order)) is not None]
        heard[i] += [[mean(column) for column in zip(*found, strict=True)]] if found else []
        said[i] += [verdict["said"] for verdict in row]
    for record, found, plan, words in zip(held, heard, plans, said, strict=True):
        if not plan:
            yield Dropped(record, "fewer than two candidates")
        elif len(found) < len(plan):
            yield Dropped(record, "no readable verdict in every order")
        else:
            scores = [mean(column) for column in zip(*found, strict=True)]
            noted = {into: scores} | ({reasons: words} if reasons else {})
            yield record.having(**noted | {"gap": scores[0] - scores[1]})


def _texts(record: Record, candidates: str | tuple[str, ...], text: str) -> list[str]:
    if not isinstance(candidates, str):
        named = [value(record, name) for name in candidates]
        return [] if None in named else [str(one) for one in named]
    found = value(record, candidates)
    listed = found if isinstance(found, list | tuple) else []
    return [str(c.get(text, "")) if isinstance(c, Mapping) else str(c) for c in listed]


def _orders(count: int, orders: int, rng: random.Random) -> list[tuple[int, ...]]:
    if count < 2:
        return []
    places = list(range(count))
    if count == 2:
        return [(0, 1), (1, 0)][:orders]
    return [tuple(rng.sample(places, count)) for _ in range(orders)]


def _scores(verdict: Mapping[str, Any], kind: str, order: Sequence[int]) -> list[float] | None:
    """The verdict as a number for each candidate in its own place; None where it does not fit the candidates."""
    shown = READ[kind](verdict.get(kind), len(order))
    return None if shown is None else [shown[order.index(place)] for place in range(len(order))]


def _chosen(said: Any, count: int) -> list[float] | None:
    if said == "tie":
        return [0.5] * count
    chosen = _place(said)
    return [float(place == chosen) for place in range(count)] if chosen in range(count) else None


def _ranked(said: Any, count: int) -> list[float] | None:
    places = [_place(one) for one in said] if isinstance(said, list | tuple) else []
    if sorted(places) != list(range(count)):
        return None
    return [1 - places.index(place) / (count - 1) for place in range(count)]


def _rated(said: Any, count: int) -> list[float] | None:
    numbers = [finite(one) for one in said] if isinstance(said, list | tuple) else []
    known = [number for number in numbers if number is not None]
    return known if len(known) == len(numbers) == count else None


READ = {"choice": _chosen, "ranking": _ranked, "scores": _rated}
"""What a verdict of each kind says of the candidates in the order in which they were shown."""


def _place(said: Any) -> int:
    """A place from 0 as it is; as words, a number from 1 or a letter from A; -1 for what is neither."""
    if isinstance(said, int) and not isinstance(said, bool):
        return said
    if isinstance(said, str) and said.isdecimal():
        return int(said) - 1
    return ord(said.upper()) - ord("A") if isinstance(said, str) and len(said) == 1 and said.isalpha() else -1
