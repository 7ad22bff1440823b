"""`spread`, `gather`, `join` and `draw`: one record of several, several of one, sets together, some of many."""

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated

from pydantic import Field

from stillhouse.elicit.contract import Dropped, Result
from stillhouse.elicit.view import value, view
from stillhouse.records.types import Origin, Record


def spread(records: Iterable[Record], *, field: str, into: str = "", number: str = "") -> Iterator[Result]:
    """A child for every element of a list field: its fields where it is an object, else the field `into`.

    The parent's other fields go along; `number` names a field for the element's place, from 0.
    """
    for record in records:
        elements = value(record, field)
        if not isinstance(elements, list | tuple) or not elements:
            yield Dropped(record, f"no list in {field}")
            continue
        rest = {name: v for name, v in record.fields.items() if name != field}
        for place, element in enumerate(elements):
            own = dict(element) if isinstance(element, Mapping) else {into or field: element}
            yield record.child(Origin("spread"), **(rest | own | ({number: place} if number else {})))


def gather(
    records: Iterable[Record],
    *,
    by: tuple[str, ...],
    into: str = "candidates",
    fields: tuple[str, ...] = (),
    at_least: Annotated[int, Field(ge=1)] = 1,
    at_most: Annotated[int, Field(ge=0)] = 0,
) -> Iterator[Result]:
    """One record for all that agree in the fields `by`: the first, with the `fields` (all) of each as a list in `into`.

    Records of different splits are never put together. Groups of fewer than `at_least` are dropped; of larger ones, the
    first `at_most` (0: all) are listed.
    """
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        groups[repr([record.split, *(value(record, name) for name in by)])].append(record)
    for group in groups.values():
        chosen = group[: at_most or None]
        members = [{k: v for k, v in view(r).items() if k in fields} if fields else dict(r.fields) for r in chosen]
        whole = group[0].having(**{into: members})
        yield whole if len(chosen) >= at_least else Dropped(whole, f"fewer than {at_least} in its group")


def join(records: Iterable[Record]) -> Iterator[Result]:
    """The records as they are: with several input sets, these together."""
    yield from records


def draw(
    records: Iterable[Record],
    rng: random.Random,
    *,
    n: Annotated[int, Field(ge=0)] = 0,
    share: Annotated[float, Field(ge=0, le=1)] = 1.0,
    per: str = "",
    shuffle: bool = False,
) -> Iterator[Result]:
    """A random choice of `n` (0: no limit) and at most the `share`, of all or of each value of the field `per`.

    Orca caps the queries of each task so. In the order in which they came, unless they are to be shuffled.
    """
    groups: dict[str, list[int]] = defaultdict(list)
    held = list(records)
    for place, record in enumerate(held):
        groups[repr(value(record, per)) if per else ""].append(place)
    chosen: set[int] = set()
    for places in groups.values():
        count = min(n or len(places), round(share * len(places)))
        chosen |= set(rng.sample(places, min(count, len(places))))
    order = list(range(len(held)))
    if shuffle:
        rng.shuffle(order)
    for place in order:
        yield held[place] if place in chosen else Dropped(held[place], "not drawn")
