"""`evolve`: an item is rewritten by a drawn operation (WizardLM, Tree-Instruct, WizardMath, Reflection-Tuning)."""

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from stillhouse.elicit.ask import Ask
from stillhouse.elicit.contract import Dropped, Result
from stillhouse.elicit.generation.asking import Parse, asked, prompt_of, replies
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
    ops: Annotated[tuple[Operation, ...], Field(min_length=1)],
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
    template sees another record of the set and split as `other`. `on_fail`: "carry" yields the parent as it was, so
    it is tried again in the next round.
    """
    held = list(records)
    jobs = [(i, op) for i in range(len(held)) for op in (ops if each == "all" else (_draw(ops, rng),))]
    others = _others(held, [i for i, _ in jobs], rng) if arity == 2 else [{}] * len(jobs)
    prompts = [
        prompt_of(op.template, view(held[i]) | other, system=system)
        for (i, op), other in zip(jobs, others, strict=True)
    ]
    found, carried = replies(ask, prompts, parse or {}, retries=retries, into=into), set()
    for (i, op), prompt, (reply,) in zip(jobs, prompts, found, strict=True):
        record = held[i]
        if reply.reason and on_fail == "carry" and i not in carried:
            carried.add(i)  # the parent goes on once, however many operations failed
            yield record
        elif reply.reason:
            yield Dropped(record.having(raw=reply.answer.text), reply.reason)
        for item in reply.items:
            noted = {
                "operation": op.name,
                "parent": view(record).get(into, ""),
                "generation": _generation(record) + 1,
                "finish": reply.answer.finish,
            }
            yield record.child(asked(ask, op.name, prompt), **(record.kept(keep) | item | noted))


def _draw(ops: tuple[Operation, ...], rng: random.Random) -> Operation:
    return rng.choices(ops, [op.weight for op in ops])[0]


def _others(held: Sequence[Record], places: Sequence[int], rng: random.Random) -> list[dict[str, Any]]:
    """Another record for each, of the same split, so that nothing held out is mixed in; itself where it is alone."""
    of_split: dict[str, list[int]] = defaultdict(list)
    rank = [0] * len(held)
    for i, record in enumerate(held):
        rank[i] = len(of_split[record.split])
        of_split[record.split].append(i)
    drawn = []
    for i in places:
        among = of_split[held[i].split]
        step = rng.randrange(1, len(among)) if len(among) > 1 else 0
        drawn.append({"other": view(held[among[(rank[i] + step) % len(among)]])})
    return drawn


def _generation(record: Record) -> int:
    found = record.fields.get("generation", 0)
    return found if isinstance(found, int) else 0
