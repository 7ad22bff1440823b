"""`label`: a role answers every record. Used by nearly all systems: Alpaca-GPT4, Orca, CoT distillation, SeqKD, ..."""

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal

from pydantic import Field

from stillhouse.elicit.ask import Ask, Prompt
from stillhouse.elicit.contract import Dropped, Result
from stillhouse.elicit.generation.asking import Parse, Reply, asked, prompt_of, replies
from stillhouse.elicit.view import view
from stillhouse.records.types import Record, Response

Samples = Annotated[int, Field(ge=1)]
Retries = Annotated[int, Field(ge=0, le=20)]


def label(
    records: Iterable[Record],
    ask: Ask,
    *,
    template: str = "",
    system: str = "",
    parse: Parse | None = None,
    into: str = "output",
    retries: Retries = 2,
    on_fail: Literal["drop", "keep"] | None = None,
) -> Iterator[Result]:
    """y ~ p(y | I + c + x): one answer a record.

    With a `template` (rendered over the record, after the `system` template where there is one) the answer is read by
    `parse` into fields, or without a parser becomes the field `into`. Without a template the record's own messages are
    the prompt, and the answer becomes a response of the role's name. `on_fail`: a record without a readable answer is
    dropped, or kept with the reason as its field `status` (the default where it has messages of its own).
    """
    return _labelled(records, ask, 1, template, system, parse or {}, into, retries, on_fail)


def sample(
    records: Iterable[Record],
    ask: Ask,
    *,
    samples: Samples = 1,
    roles: tuple[str, ...] = (),
    template: str = "",
    system: str = "",
    parse: Parse | None = None,
    into: str = "output",
    as_list: str = "",
    retries: Retries = 2,
    on_fail: Literal["drop", "keep"] | None = None,
) -> Iterator[Result]:
    """n answers a record, of one role or of each of several `roles` (Fine-tune-CoT, SCoTD, LMSI, UltraFeedback, Baize).

    One record an answer, with its number as the field `sample`; with `as_list`, one record in all, with the readable
    answers as a list of objects in that field: their fields, `role`, `text` and `finish`. Without a template the
    record's own messages are the prompt, and each answer becomes a response of the role's name.
    """
    if not as_list:
        each = list(records) if roles else records
        for role in roles or ("",):
            yield from _labelled(each, ask.of(role), samples, template, system, parse or {}, into, retries, on_fail)
        return
    held = list(records)
    prompts = [_prompt(record, template, system) for record in held]
    answers: list[list[dict[str, Any]]] = [[] for _ in held]
    for role in roles or ("",):
        asking = ask.of(role)
        for found, row in zip(
            answers, replies(asking, prompts, parse or {}, samples=samples, retries=retries, into=into), strict=True
        ):
            found += [_candidate(reply, asking.role) for reply in row if not reply.reason]
    for record, prompt, found in zip(held, prompts, answers, strict=True):
        if found:
            yield record.having(**{as_list: found}).after(asked(ask, "sample", prompt))
        else:
            yield Dropped(record, "no readable answer")


def _labelled(
    records: Iterable[Record],
    ask: Ask,
    samples: int,
    template: str,
    system: str,
    parse: Parse,
    into: str,
    retries: int,
    on_fail: Literal["drop", "keep"] | None,
) -> Iterator[Result]:
    held = list(records)
    prompts = [_prompt(record, template, system) for record in held]
    keep = on_fail == "keep" or (on_fail is None and not template)
    for record, prompt, row in zip(
        held, prompts, replies(ask, prompts, parse, samples=samples, retries=retries, into=into), strict=True
    ):
        if not template and not parse:
            yield _responded(record, prompt, row, ask, keep=keep)
            continue
        for number, reply in enumerate(row):
            if not reply.reason and len(reply.items) != 1:
                reply = Reply(reply.answer, reason="unreadable: several items instead of one")
            if not reply.reason:
                numbered = {"sample": number} if samples > 1 else {}
                fields = reply.items[0] | {"finish": reply.answer.finish} | numbered
                yield record.having(**fields).after(asked(ask, "label" if samples == 1 else "sample", prompt))
            elif keep:
                yield record.having(status=reply.reason)
            else:
                yield Dropped(record.having(raw=reply.answer.text), reply.reason)


def _prompt(record: Record, template: str, system: str) -> Prompt | str:
    if template:
        return prompt_of(template, view(record), system=system)
    return record.messages or "neither messages nor a template"


def _responded(record: Record, prompt: Prompt | str, row: list[Reply], ask: Ask, *, keep: bool) -> Result:
    """The record with the answers as responses; what failed is said in its field `status`."""
    good = [r.answer for r in row if not r.reason]
    bad = next((r.reason for r in row if r.reason), "")
    if bad and not good and not keep:
        return Dropped(record, bad)
    answered = record.adding(*(Response(ask.role, a.text, a.finish, a.tokens) for a in good))
    if isinstance(prompt, str):
        return answered.having(status=bad)
    answered = answered.after(asked(ask, "label" if len(row) == 1 else "sample", prompt))
    return answered.having(status=bad) if bad else answered


def _candidate(reply: Reply, role: str) -> dict[str, Any]:
    return {**reply.items[0], "role": role, "text": reply.answer.text.strip(), "finish": reply.answer.finish}
