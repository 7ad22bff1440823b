"""`parse`: read a text that a record already has."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from stillhouse.elicit.contract import Dropped, Result
from stillhouse.elicit.parsers.contract import Unreadable
from stillhouse.elicit.parsers.read import read
from stillhouse.elicit.view import value
from stillhouse.records.types import Origin, Record


def parse(
    records: Iterable[Record], *, field: str = "raw", parse: dict[str, Any], into: str = "", many: bool = False
) -> Iterator[Result]:
    """What the parser `parse` (a table with `use`, as in steps that ask) finds in `field` becomes fields of the record.

    `into`: it becomes one field, a table, instead. `many`: every item becomes a child of the record, with the record's
    other fields, instead of the one item that there must be. A field that is a list or a table is read as JSON. Where
    the field names a source of answers ("teacher"), its first is read, and whether that was cut off is known.

    Used by Vicuna and Koala (logs), Fine-tune-CoT (2212.10071: a second reading of the same text), Orca (2306.02707).
    """
    for record in records:
        found = value(record, field)
        if found is None or found == "":
            yield Dropped(record, f"nothing in '{field}'")
            continue
        text = found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)
        try:
            items = read(text, parse, finished=_finished(record, field))
        except Unreadable as error:
            yield Dropped(record, f"unreadable: {error}")
            continue
        if not many and len(items) > 1:
            yield Dropped(record, "unreadable: several items")
            continue
        yield from (_with(record, {into: item} if into else item, many) for item in items)


def _with(record: Record, item: dict[str, Any], many: bool) -> Record:
    return record.child(Origin("parse"), **(record.fields | item)) if many else record.having(**item)


def _finished(record: Record, field: str) -> bool:
    answers = () if field in record.fields else record.answers(field)
    return not answers or answers[0].finish == "stop"
