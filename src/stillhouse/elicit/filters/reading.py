"""What filters read of a record: the texts of a field, and its number."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from stillhouse.elicit.view import value
from stillhouse.errors import RecipeError
from stillhouse.records.types import Record


def texts(record: Record, field: str, roles: Sequence[str] = ()) -> list[str]:
    """The texts of a field, at least one: a list's items, a dialogue's turns (of these roles), or the value itself."""
    found = _value(record, field)
    if not isinstance(found, list | tuple):
        return [_said(found)]
    items = [_said(item) for item in found if not roles or (isinstance(item, Mapping) and item.get("role") in roles)]
    return items or [""]


def whole_text(record: Record, field: str) -> str:
    """The texts of a field as one."""
    return "\n".join(texts(record, field))


def number(record: Record, field: str) -> float | None:
    """The finite number that a field holds, be it written as text; None where there is none."""
    found = _value(record, field)
    if isinstance(found, bool) or not isinstance(found, int | float | str):
        return None
    try:
        read = float(found)
    except (ValueError, OverflowError):
        return None
    return read if math.isfinite(read) else None


def members(sets: Mapping[str, Iterable[Record]], names: Sequence[str]) -> Iterator[tuple[str, Record]]:
    """(set, record) of the named sets. Raises RecipeError for a name that no set has."""
    for name in names:
        if name not in sets:
            raise RecipeError(f"there is no set '{name}' to compare with; there are {', '.join(sorted(sets))}")
        yield from ((name, record) for record in sets[name])


def _value(record: Record, field: str) -> Any:
    """`value`, at once where it is a field: a view of the whole record costs the hash of it."""
    return record.fields[field] if field in record.fields else value(record, field)


def _said(item: Any) -> str:
    """A turn's content, or a value as text."""
    content = item.get("content", "") if isinstance(item, Mapping) else item
    return content if isinstance(content, str) else "" if content is None else str(content)
