"""`judge`: a yes-or-no question about a record, which keeps it or not (WizardLM, Lion, MUFFIN, WaveCoder)."""

from collections.abc import Iterable, Iterator
from typing import Annotated

from pydantic import Field

from stillhouse.elicit.ask import Ask
from stillhouse.elicit.contract import Dropped, Result
from stillhouse.elicit.generation.asking import Parse, prompt_of, replies
from stillhouse.elicit.templates import holds
from stillhouse.elicit.view import view
from stillhouse.records.types import Record

VERDICT: Parse = {"use": "score", "kind": "verdict"}


def judge(
    records: Iterable[Record],
    ask: Ask,
    *,
    template: str,
    system: str = "",
    parse: Parse | None = None,
    until: str = "verdict == 'yes'",
    reason: str = "judged unfit",
    unreadable: bool = False,
    retries: Annotated[int, Field(ge=0, le=20)] = 1,
    into: str = "",
) -> Iterator[Result]:
    """Keep the records for which `until`, an expression over what `parse` reads in the answer, is true.

    Without a parser, the verdict is yes or no, the field `verdict`. `unreadable` says whether a record with an answer
    that cannot be read is kept; `into` notes what was read in a field.
    """
    held = list(records)
    prompts = [prompt_of(template, view(record), system=system) for record in held]
    for record, (reply,) in zip(held, replies(ask, prompts, parse or VERDICT, retries=retries), strict=True):
        if reply.reason:
            yield record if unreadable else Dropped(record, f"verdict {reply.reason}")
            continue
        noted = record.having(**{into: reply.items[0]}) if into else record
        yield noted if holds(until, view(noted) | reply.items[0]) else Dropped(noted, reason)
