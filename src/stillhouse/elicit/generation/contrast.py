"""`contrast`: answers that differ on purpose, so that it is known which is better (RLCD, ALMoST, MUFFIN)."""

from collections.abc import Iterable, Iterator
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from stillhouse.elicit.ask import Ask
from stillhouse.elicit.contract import Dropped, Result
from stillhouse.elicit.generation.asking import Parse, asked, prompt_of, replies
from stillhouse.elicit.view import view
from stillhouse.records.types import Record


class Version(BaseModel):
    """One version: its name, the template that asks for it, and the score that it has by construction."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    template: str
    system: str = ""
    role: str = ""
    score: float = 0.0


def contrast(
    records: Iterable[Record],
    ask: Ask,
    *,
    versions: Annotated[tuple[Version, ...], Field(min_length=1)],
    parse: Parse | None = None,
    into: str = "candidates",
    retries: Annotated[int, Field(ge=0, le=20)] = 1,
) -> Iterator[Result]:
    """All versions of every record, as a list of {name, text, score, fields read} in the field `into`, best first.

    A record that lacks one is dropped: half a contrast is none.
    """
    held = list(records)
    prompts = [[prompt_of(v.template, view(record), system=v.system) for record in held] for v in versions]
    rows = [
        replies(ask.of(version.role), of_all, parse or {}, retries=retries, into="text")
        for version, of_all in zip(versions, prompts, strict=True)
    ]
    order = sorted(range(len(versions)), key=lambda i: -versions[i].score)
    for number, record in enumerate(held):
        found = [rows[i][number][0] for i in order]
        bad = next((reply.reason for reply in found if reply.reason), "")
        if bad:
            yield Dropped(record, bad)
            continue
        candidates = [
            {"text": reply.answer.text.strip(), **reply.items[0], "name": versions[i].name, "score": versions[i].score}
            for i, reply in zip(order, found, strict=True)
        ]
        yield record.having(**{into: candidates}).after(asked(ask, "contrast", prompts[0][number]))
