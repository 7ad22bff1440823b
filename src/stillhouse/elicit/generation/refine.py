"""`refine`: feedback, revision, feedback, ... until a stop mark or a cap; the chain stays (SelFee, CAI, ILF, PERsD)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field

from stillhouse.elicit.ask import Ask
from stillhouse.elicit.contract import Dropped, Result
from stillhouse.elicit.generation.asking import Parse, asked, prompt_of, replies
from stillhouse.elicit.templates import holds
from stillhouse.elicit.view import text, value, view
from stillhouse.records.types import Record


@dataclass
class _Work:
    record: Record
    output: str
    chain: list[dict[str, Any]] = field(default_factory=list)
    done: bool = False
    failed: str = ""


def refine(
    records: Iterable[Record],
    ask: Ask,
    *,
    critique: str,
    revise: str,
    field: str = "output",
    critic: str = "",
    reviser: str = "",
    system: str = "",
    parse: Parse | None = None,
    parse_revision: Parse | None = None,
    until: str,
    max_rounds: Annotated[int, Field(ge=1, le=50)] = 3,
    retries: Annotated[int, Field(ge=0, le=20)] = 1,
    into: str = "chain",
) -> Iterator[Result]:
    """Feedback on the field by the `critic`, a revision by the `reviser`, and so on.

    The templates see the record, `chain` so far, and `feedback`. It ends when the guard `until`, an expression over the
    last critique's fields (`feedback` without a parser) and `rounds`, is true, or after `max_rounds` revisions. The
    chain, a list of {feedback fields, "revision"} of which the last may lack its revision, is the field `into`; the
    field itself becomes the last revision, `first` keeps what it was, and `ended` says how it ended.
    """
    held = [_Work(record, text(record, field)) for record in records]
    for work in held:
        work.failed = "" if work.output.strip() else f"no '{field}'"
    for turn in range(max_rounds + 1):
        _criticise(held, ask.of(critic), critique, system, parse, retries, field, until, turn)
        if turn < max_rounds:
            _revise(held, ask.of(reviser), revise, system, parse_revision, retries, field)
    for work in held:
        if work.failed and not any("revision" in link for link in work.chain):
            yield Dropped(work.record.having(**{into: work.chain}), work.failed)
            continue
        ended = work.failed or ("satisfied" if work.done else "cap")
        noted = {into: work.chain, "first": value(work.record, field), "ended": ended}
        yield work.record.having(**noted | {field: work.output}).after(
            asked(ask, "refine", _asked(work, critique, system, field))
        )


def _criticise(
    held: list[_Work],
    ask: Ask,
    critique: str,
    system: str,
    parse: Parse | None,
    retries: int,
    field: str,
    until: str,
    turn: int,
) -> None:
    active = [work for work in held if not work.done and not work.failed]
    prompts = [_asked(work, critique, system, field) for work in active]
    found = replies(ask, prompts, parse or {}, retries=retries, into="feedback")
    for work, (reply,) in zip(active, found, strict=True):
        if reply.reason:
            work.failed = reply.reason
        else:
            work.chain.append(dict(reply.items[0]))
            work.done = holds(until, reply.items[0] | {"rounds": turn})


def _revise(
    held: list[_Work], ask: Ask, revise: str, system: str, parse: Parse | None, retries: int, field: str
) -> None:
    active = [work for work in held if not work.done and not work.failed]
    prompts = [_asked(work, revise, system, field) for work in active]
    found = replies(ask, prompts, parse or {}, retries=retries, into="revision")
    for work, (reply,) in zip(active, found, strict=True):
        revised = reply.items[0] if reply.items else {}
        output = str(revised.get("revision", revised.get(field, ""))).strip()
        cut = "cut off" if reply.answer.finish == "length" else ""  # half a revision is none
        if reply.reason or cut or not output:
            work.failed = reply.reason or cut or "unreadable: no revision"
        else:
            work.output = output
            work.chain[-1] |= revised | {"revision": output}


def _asked(work: _Work, template: str, system: str, field: str) -> Any:
    now = {"chain": work.chain, field: work.output} | (work.chain[-1] if work.chain else {})
    return prompt_of(template, view(work.record) | now, system=system)
