"""`mix`: a drawn text for every record: a system message, a strategy, a principle (Orca, Orca 2, CAI)."""

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from stillhouse.elicit.contract import Dropped, Result
from stillhouse.elicit.view import value, view
from stillhouse.errors import RecipeError
from stillhouse.records.types import Record


class Rule(BaseModel):
    """Which choices (by their `id` field) records with one value of the `by` field get, and how often each."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: str
    choices: dict[str, Annotated[float, Field(ge=0)]]


def mix(
    records: Iterable[Record],
    sets: Mapping[str, Sequence[Record]],
    rng: random.Random,
    *,
    choices: str,
    by: str = "",
    rules: tuple[Rule, ...] = (),
    id: str = "id",
    into: str = "drawn",
) -> Iterator[Result]:
    """One record of the set `choices` for each record, as the field `into` (an object of its fields).

    Without `rules`, all are equally likely. With them, the value of the field `by` says which may be drawn, and with
    which weights; a value without a rule is dropped, so that nothing is mixed that nobody thought of.
    """
    if choices not in sets:
        raise RecipeError(f"operator 'mix' draws from the set '{choices}'; there are {', '.join(sorted(sets))}")
    known = {str(value(choice, id) if rules else place): choice for place, choice in enumerate(sets[choices])}
    for rule in rules:
        if missing := [name for name in rule.choices if name not in known]:
            raise RecipeError(f"operator 'mix' has no choice '{missing[0]}' in '{choices}'; it has {', '.join(known)}")
    ruled = {rule.value: rule.choices for rule in rules}
    for record in records:
        weights = ruled.get(str(value(record, by))) if rules else dict.fromkeys(known, 1.0)
        if not weights or not any(weights.values()):
            yield Dropped(record, f"no rule for its {by}" if rules else "nothing to draw from")
            continue
        drawn = rng.choices(list(weights), list(weights.values()))[0]
        yield record.having(**{into: view(known[drawn])})
