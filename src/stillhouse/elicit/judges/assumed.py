"""`assumed`: which answer is better is known without asking: teacher over student, gold over own."""

from collections.abc import Iterable, Iterator, Mapping

from stillhouse.elicit.contract import Dropped, Result
from stillhouse.elicit.view import value
from stillhouse.records.types import Record


def assumed(
    records: Iterable[Record], *, order: tuple[str, ...], field: str = "name", candidates: str = "candidates"
) -> Iterator[Result]:
    """Scores for the list field `candidates` by the place of each one's `field` in `order`, the best first.

    The score is the number of names that it is assumed to beat; the list is sorted by it. (DPKD, SPIN, ALMoST, PLaD.)
    """
    for record in records:
        found = value(record, candidates)
        listed = [c for c in found if isinstance(c, Mapping)] if isinstance(found, list | tuple) else []
        if len(listed) < 2 or any(c.get(field) not in order for c in listed):
            yield Dropped(record, "candidates outside the assumed order")
            continue
        scored = [dict(c) | {"score": float(len(order) - 1 - order.index(c[field]))} for c in listed]
        yield record.having(**{candidates: sorted(scored, key=lambda c: -c["score"])})
