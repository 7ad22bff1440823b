"""`expand`: new items in the manner of demonstrations (Self-Instruct, Alpaca, LaMini-LM, BELLE, Code Alpaca)."""

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field

from stillhouse.elicit.ask import Ask
from stillhouse.elicit.contract import Dropped, Result
from stillhouse.elicit.generation.asking import Parse, asked, prompt_of, replies
from stillhouse.elicit.view import view
from stillhouse.errors import RecipeError
from stillhouse.records.types import Record


def expand(
    ask: Ask,
    sets: Mapping[str, Sequence[Record]],
    rng: random.Random,
    *,
    template: str,
    calls: Annotated[int, Field(ge=1)] = 1,
    demos: dict[str, Annotated[int, Field(ge=0)]],
    draws: dict[str, Annotated[int, Field(ge=1)]] | None = None,
    shuffle: bool = True,
    system: str = "",
    parse: Parse,
    carry: dict[str, Any] | None = None,
    retries: Annotated[int, Field(ge=0, le=20)] = 0,
) -> Iterator[Result]:
    """x' ~ p(x' | I + demonstrations): every one of `calls` shows other demonstrations; each item read is a record.

    `demos`: how many are drawn from which sets, as in {human = 6, machine = 2}; where a set has too few, the first one
    makes up for it, and only training records are shown. The template sees them as `demos`, in random order with
    `shuffle`, and what is drawn by `draws` ({categories = 3}) under the set's name. `carry` are fields that every new
    record gets besides those read.
    """
    prompts, shown = [], []
    pools = {name: _shown_of(sets, name) for name in (*demos, *(draws or {}))}
    for _ in range(calls):
        values = _drawn(pools, demos, draws or {}, shuffle, rng)
        shown.append({name: values[name] for name in draws or {}})
        prompts.append(prompt_of(template, values, system=system))
    for prompt, drawn, row in zip(prompts, shown, replies(ask, prompts, parse, retries=retries), strict=True):
        event, fields = asked(ask, "expand", prompt), dict(carry or {}) | ({"drawn": drawn} if drawn else {})
        for reply in row:
            if reply.reason:
                yield Dropped(Record((), (), "", fields | {"raw": reply.answer.text}, lineage=(event,)), reply.reason)
            for item in reply.items:
                yield Record((), (), "", fields | item, lineage=(event,))


def _drawn(
    sets: Mapping[str, Sequence[Record]],
    demos: Mapping[str, int],
    draws: Mapping[str, int],
    shuffle: bool,
    rng: random.Random,
) -> dict[str, Any]:
    shown: list[Record] = []
    for name, count in reversed(list(demos.items())):  # the first set makes up for the others
        wanted = count if name != next(iter(demos)) else sum(demos.values()) - len(shown)
        more = rng.sample(sets[name], min(wanted + len(shown), len(sets[name])))
        shown += [record for record in more if record not in shown][:wanted]
    shown.reverse()
    if shuffle:
        rng.shuffle(shown)
    drawn = {name: [view(r) for r in rng.sample(sets[name], min(n, len(sets[name])))] for name, n in draws.items()}
    return {"demos": [view(record) for record in shown], **drawn}


def _shown_of(sets: Mapping[str, Sequence[Record]], name: str) -> Sequence[Record]:
    """The records of a set that may be shown: nothing held out."""
    if name not in sets:
        raise RecipeError(f"operator 'expand' draws from the set '{name}'; there are {', '.join(sorted(sets))}")
    return [record for record in sets[name] if record.split in ("", "train")]
