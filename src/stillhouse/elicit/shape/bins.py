"""`bins`: the quantile of a number among those of all records: one of a few levels, the best being the highest."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Annotated

from pydantic import Field

from stillhouse.elicit.contract import Dropped, Result
from stillhouse.elicit.filters.reading import number
from stillhouse.elicit.view import value
from stillhouse.records.types import Record


def bins(
    records: Iterable[Record],
    *,
    by: str,
    n: Annotated[int, Field(ge=1)] = 5,
    per: str = "",
    into: str = "bin",
) -> Iterator[Result]:
    """1 + floor(n * share of records whose number in `by` is lower), into the field `into`; the highest are in bin n.

    So without ties there are as many records in each of the bins 1 to `n`, equal numbers share a bin, and there is
    always something in the best one: right and wrong answers, as 1 and 0, are in bins n and 1. All records are
    compared, or those with the same value in `per`. A record without the number is dropped. It holds all records until
    the last has come.

    Used by MaRio (arXiv 2311.02805) and Quark (2205.13636): control tokens for quantiles of a reward.
    """
    held = [(record, repr(value(record, per)) if per else "", number(record, by)) for record in records]
    known: dict[str, list[float]] = defaultdict(list)
    for _, group, found in held:
        if found is not None:
            known[group].append(found)
    for numbers in known.values():
        numbers.sort()
    for record, group, found in held:
        if found is None:
            yield Dropped(record, f"no usable number in '{by}'")
        else:
            numbers = known[group]
            lower = n * bisect_left(numbers, found) // len(numbers)
            yield record.having(**{into: n if found == numbers[-1] else 1 + lower})
