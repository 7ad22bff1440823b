"""`demos`: demonstrations for every record, from one pool or several (CoT-Distill, SCoTD, STaR, LMSI, ExpertLLaMA)."""

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
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
    kept = {name: _Pool(sets[name], same, near if choose == "near" else "") for name in pools}
    for record in records:
        shown: list[Record] = []
        for name, count in pools.items():
            ordered = kept[name].in_order(record, choose, count + len(shown) + 1, rng)
            fitting = (d for d in ordered if d not in shown and not _is_itself(d, record))
            shown += list(islice(fitting, count))
        if shuffle:
            rng.shuffle(shown)
        yield record.having(**{into: [view(demo) for demo in shown]})


class _Pool:
    """The demonstrations of one set by kind, without what is held out, and where each word stands."""

    def __init__(self, records: Iterable[Record], same: str, near: str) -> None:
        self._same, self._near = same, near
        self._kinds: dict[str, list[Record]] = defaultdict(list)
        self._places: dict[tuple[str, str], list[int]] = defaultdict(list)
        for demo in records:
            if demo.split in ("valid", "test"):
                continue
            kind = self._kind(demo)
            for word in _words(demo, near) if near else ():
                self._places[kind, word].append(len(self._kinds[kind]))
            self._kinds[kind].append(demo)

    def in_order(self, record: Record, choose: str, count: int, rng: random.Random) -> Iterator[Record]:
        """More than enough of the record's kind, the ones to be shown first."""
        kind = self._kind(record)
        found = self._kinds.get(kind, [])
        if choose == "random":
            places: Iterable[int] = rng.sample(range(len(found)), min(count, len(found)))
        elif choose == "near":
            common = Counter(p for word in _words(record, self._near) for p in self._places.get((kind, word), ()))
            nearest = sorted(common, key=lambda place: (-common[place], place))
            places = chain(nearest, (p for p in range(len(found)) if p not in common))
        else:
            places = range(len(found))
        return (found[place] for place in places)

    def _kind(self, record: Record) -> str:
        return repr(value(record, self._same)) if self._same else ""


def _words(record: Record, field: str) -> set[str]:
    return set(text(record, field).lower().split())


def _is_itself(demo: Record, record: Record) -> bool:
    """Whether it is the same record, even where one has fields by now that the other has not."""
    if demo.messages or record.messages:
        return demo.messages == record.messages
    few, many = sorted((demo.fields, record.fields), key=len)
    return all(name in many and many[name] == few[name] for name in few)
