"""`mine`: tasks out of raw text by patterns, without asking anybody (AdaptLLM, AugTriever, DARWIN)."""

import re
from collections.abc import Iterable, Iterator
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from stillhouse.elicit.contract import Dropped, Result
from stillhouse.elicit.sandboxed import Unfit
from stillhouse.elicit.templates import render
from stillhouse.elicit.view import text, view
from stillhouse.errors import RecipeError
from stillhouse.records.types import Origin, Record


class Pattern(BaseModel):
    """A regular expression with named groups, and templates of the fields of a record, over groups and document."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    find: str
    fields: dict[str, str]


def mine(
    records: Iterable[Record],
    *,
    patterns: tuple[Pattern, ...],
    field: str = "text",
    per_record: Annotated[int, Field(ge=0)] = 0,
    longest: Annotated[int, Field(ge=1)] = 100_000,
) -> Iterator[Result]:
    """A child for every match of every pattern in the field, at most `per_record` (0: all) of one document."""
    compiled = [(pattern, _compiled(pattern)) for pattern in patterns]
    for record in records:
        document, found = text(record, field)[:longest], 0
        for pattern, expression in compiled:
            for match in expression.finditer(document):
                if per_record and found >= per_record:
                    break
                found += 1
                values = view(record) | {k: v or "" for k, v in match.groupdict().items()}
                try:
                    made = {name: render(template, values) for name, template in pattern.fields.items()}
                except Unfit as error:
                    yield Dropped(record, error.reason)
                else:
                    yield record.child(Origin(pattern.name), **made | {"pattern": pattern.name})
        if not found:
            yield Dropped(record, "no match")


def _compiled(pattern: Pattern) -> re.Pattern[str]:
    try:
        return re.compile(pattern.find)
    except re.error as error:
        raise RecipeError(
            f"operator 'mine': the pattern '{pattern.name}' is no regular expression ({error})"
        ) from error
