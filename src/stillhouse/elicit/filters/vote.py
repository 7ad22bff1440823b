"""`vote`: keep the samples that agree with most others of the same question."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal

from pydantic import Field

from stillhouse.elicit.contract import Dropped, Result
from stillhouse.elicit.parsers.same import Kind, answer_key
from stillhouse.elicit.view import value
from stillhouse.records.types import Record, content_key

Keep = Literal["majority", "one", "all"]


def vote(
    records: Iterable[Record],
    *,
    field: str = "answer",
    by: str = "question",
    kind: Kind = "text",
    min_share: Annotated[float, Field(ge=0, le=1)] = 0.0,
    keep: Keep = "majority",
    into: str = "votes",
) -> Iterator[Result]:
    """The records with the same value in `by` vote with their `field`; of answers with equally many, the first wins.

    Each notes in `into` a table: `count` and `share` of the votes that its answer has, and whether it `won`. `keep`:
    every record with the winning answer ("majority"), the first of them ("one"), or "all" that voted. A group whose
    winner has less than `min_share` of its votes is dropped as a whole. What is no answer (see `answer_key` for `kind`)
    does not vote and is dropped. It holds all records until the last has come.

    Used by LMSI (2210.11610: all paths that reach the majority answer), Mixed Distill (2312.10730: across both forms).
    """
    held = [(record, _group(value(record, by)), answer_key(value(record, field), kind)) for record in records]
    ballots: dict[str, Counter[str]] = {}
    for _, group, answer in held:
        if group and answer:
            ballots.setdefault(group, Counter())[answer] += 1
    winners = {group: ballot.most_common(1)[0][0] for group, ballot in ballots.items()}
    seen: set[str] = set()
    for record, group, answer in held:
        if not group or not answer:
            yield Dropped(record, "no answer" if group else f"nothing in '{by}'")
            continue
        ballot, winner = ballots[group], winners[group]
        won = answer == winner
        noted = record.having(**{into: {"count": ballot[answer], "share": ballot[answer] / ballot.total(), "won": won}})
        if ballot[winner] < min_share * ballot.total():
            yield Dropped(noted, "no agreement")
        elif keep != "all" and not won:
            yield Dropped(noted, "in the minority")
        elif keep == "one" and group in seen:
            yield Dropped(noted, "not the first")
        else:
            seen.add(group)
            yield noted


def _group(found: Any) -> str:
    return "" if found in (None, "", [], {}) else content_key(found)
