"""`write` and `clean`: fields made of fields."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from stillhouse.elicit.contract import Dropped, Result
from stillhouse.elicit.sandboxed import Unfit
from stillhouse.elicit.templates import render
from stillhouse.elicit.view import text, view
from stillhouse.errors import RecipeError
from stillhouse.records.types import Record


def write(
    records: Iterable[Record], *, fields: dict[str, Any], number: bool = False, drop: tuple[str, ...] = ()
) -> Iterator[Result]:
    """Every field a template over the record, in order, so that later ones see earlier ones; other values as they are.

    `number` gives every record its place as the field `number`, from 1; `drop` takes fields away.
    """
    for place, record in enumerate(records, start=1):
        try:
            made = _written(record.having(number=place) if number else record, fields)
        except Unfit as error:
            yield Dropped(record, error.reason)
        else:
            yield made.without(*drop) if drop else made


def _written(record: Record, fields: Mapping[str, Any]) -> Record:
    values, made = view(record), {}
    for name, template in fields.items():
        made[name] = render(template, values | made) if isinstance(template, str) else template
    return record.having(**made)


def clean(
    records: Iterable[Record],
    *,
    field: str = "output",
    remove: tuple[str, ...] = (),
    replace: dict[str, str] | None = None,
) -> Iterator[Result]:
    """Take away what the regular expressions `remove` find, and put other words for what those of `replace` find.

    ExpertLLaMA takes "As a biologist, " off its answers so. A field that is empty afterwards drops the record.
    """
    pairs = [(_compiled(p), "") for p in remove] + [(_compiled(p), to) for p, to in (replace or {}).items()]
    for record in records:
        words = text(record, field)
        for expression, to in pairs:
            words = _put(expression, to, words)
        words = words.strip()
        if words:
            yield record.having(**{field: words[0].upper() + words[1:] if remove else words})
        else:
            yield Dropped(record, "empty after cleaning")


def _put(expression: re.Pattern[str], to: str, words: str) -> str:
    try:
        return expression.sub(to, words)
    except (re.error, IndexError) as error:
        raise RecipeError(f"operator 'clean': {to!r} cannot replace {expression.pattern!r} ({error})") from error


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern, re.IGNORECASE)
    except re.error as error:
        raise RecipeError(f"operator 'clean': {pattern!r} is no regular expression ({error})") from error
