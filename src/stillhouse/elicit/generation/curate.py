"""`curate`: items from meta-information: a topic, a document, a role pair (UltraChat, CAMEL, MUFFIN, DEBATunE)."""

from collections.abc import Iterable, Iterator
from typing import Annotated

from pydantic import Field

from stillhouse.elicit.ask import Ask
from stillhouse.elicit.contract import Dropped, Result
from stillhouse.elicit.generation.asking import Parse, asked, prompt_of, replies
from stillhouse.elicit.view import view
from stillhouse.records.types import Record


def curate(
    records: Iterable[Record],
    ask: Ask,
    *,
    template: str,
    system: str = "",
    parse: Parse,
    per_record: Annotated[int, Field(ge=0)] = 0,
    keep: tuple[str, ...] | None = None,
    samples: Annotated[int, Field(ge=1)] = 1,
    retries: Annotated[int, Field(ge=0, le=20)] = 2,
) -> Iterator[Result]:
    """x ~ p(x | I + m): each record m is asked about, and every item read in the answer is a child of it.

    At most `per_record` items of an answer (0: all); `keep` names the fields of m that the children have too (the
    default: all of them). A child's `finish` is its own: parsers leave out the item that was cut off.
    """
    held = list(records)
    prompts = [prompt_of(template, view(record), system=system) for record in held]
    for record, prompt, row in zip(
        held, prompts, replies(ask, prompts, parse, samples=samples, retries=retries), strict=True
    ):
        for reply in row:
            if reply.reason:
                yield Dropped(record.having(raw=reply.answer.text), reply.reason)
            for item in reply.items[: per_record or None]:
                yield record.child(asked(ask, "curate", prompt), **(record.kept(keep) | {"finish": "stop"} | item))
