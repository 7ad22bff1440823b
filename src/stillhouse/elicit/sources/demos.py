"""`demos`: demonstrations for every record, from one pool or several (CoT-Distill, SCoTD, STaR, LMSI, ExpertLLaMA)."""

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field

from stillhouse.elicit.contract import Result
from stillhouse.elicit.view import text, value, view
from stillhouse.errors import RecipeError
from stillhouse.records.types import Record


def demos(
    records: Iterable[Record],
    sets: Mapping[str, Sequence[Record]],
    rng: random.Random,
    *,
    pools: dict[str, Annotated[int, Field(ge=1)]],
    choose: Literal["first", "random", "near"] = "first",
    near: str = "question",
    same: str = "",
    shuffle: bool = False,
    into: str = "demos",
) -> Iterator[Result]:
    """A list of views of other records as the field `into`: so many from each pool, never the record itself.

    `choose`: the first ones, random ones, or those with the most words of the field `near` in common. `same`: a field
    in which demonstration and record must agree.
    """
    for name in pools:
        if name not in sets:
            raise RecipeError(f"operator 'demos' draws from the set '{name}'; there are {', '.join(sorted(sets))}")
    for record in records:
        shown: list[Record] = []
        for name, count in pools.items():
            fitting = [d for d in sets[name] if _may_show(d, record, same) and d not in shown]
            shown += _chosen(fitting, count, choose, near, record, rng)
        if shuffle:
            rng.shuffle(shown)
        yield record.having(**{into: [view(demo) for demo in shown]})


def _may_show(demo: Record, record: Record, same: str) -> bool:
    """Not the record itself, nothing held out, and of the same kind where that is asked for."""
    if demo.key == record.key or demo.split in ("valid", "test"):
        return False
    return not same or value(demo, same) == value(record, same)


def _chosen(
    fitting: Sequence[Record], count: int, choose: str, near: str, record: Record, rng: random.Random
) -> Sequence[Record]:
    if choose == "random":
        return rng.sample(fitting, min(count, len(fitting)))
    if choose == "near":
        words = set(text(record, near).lower().split())
        return sorted(fitting, key=lambda d: -len(words & set(text(d, near).lower().split())))[:count]
    return fitting[:count]
