"""`evolve`: an item is rewritten by a drawn operation (WizardLM, Tree-Instruct, WizardMath, Reflection-Tuning)."""

import random
from collections.abc import Iterable, Iterator
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from stillhouse.elicit.ask import Ask
from stillhouse.elicit.contract import Dropped, Result
from stillhouse.elicit.generation.asking import Parse, asked, replies
from stillhouse.elicit.templates import conversation
from stillhouse.elicit.view import view
from stillhouse.records.types import Record


class Operation(BaseModel):
    """One way to rewrite: its name, how often it is drawn against the others, and its template."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    template: str
    weight: Annotated[float, Field(gt=0)] = 1.0


def evolve(
    records: Iterable[Record],
    ask: Ask,
    rng: random.Random,
    *,
    ops: tuple[Operation, ...],
    each: Literal["one", "all"] = "one",
    arity: Literal[1, 2] = 1,
    system: str = "",
    parse: Parse | None = None,
    into: str = "instruction",
    keep: tuple[str, ...] = (),
    on_fail: Literal["drop", "carry"] = "drop",
    retries: Annotated[int, Field(ge=0, le=20)] = 1,
) -> Iterator[Result]:
    """x' ~ p(x' | operation + x): a child of each record, by one operation drawn by weight, or by all of them.

    The answer is the field `into`, or what `parse` reads; `keep` names fields of the parent that go on; `operation`,
    `parent` (the parent's own `into` field) and `generation` (the parent's plus one) are noted. With `arity` 2 the
    template sees another record of the set as `other`. `on_fail`: "carry" yields the parent as it was, so that it is
    tried again in the next round.
    """
    held = list(records)
    jobs = [(record, op) for record in held for op in (ops if each == "all" else (_draw(ops, rng),))]
    prompts = []
    for record, op in jobs:
        others = {"other": view(rng.choice(held))} if arity == 2 else {}
        prompts.append(conversation(op.template, view(record) | others, system=system))
    found = replies(ask, prompts, parse or {}, retries=retries, into=into)
    for (record, op), prompt, (reply,) in zip(jobs, prompts, found, strict=True):
        if reply.reason:
            yield record if on_fail == "carry" else Dropped(record.having(raw=reply.answer.text), reply.reason)
        for item in reply.items:
            kept = {name: record.fields[name] for name in keep if name in record.fields}
            noted = {
                "operation": op.name,
                "parent": view(record).get(into, ""),
                "generation": record.fields.get("generation", 0) + 1,
                "finish": reply.answer.finish,
            }
            yield record.child(asked(ask, op.name, prompt), **(kept | noted | item))


def _draw(ops: tuple[Operation, ...], rng: random.Random) -> Operation:
    return rng.choices(ops, [op.weight for op in ops])[0]
