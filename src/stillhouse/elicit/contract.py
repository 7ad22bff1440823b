"""An operator is a generator over records; its signature is its contract.

    def rules(records: Iterable[Record], *, field: str = "instruction", min_words: int = 0) -> Iterator[Result]: ...

Positional parameters are what it needs, by name, from `GIVEN`; keyword-only ones are what a recipe may set. It yields
every record that goes on, changed, new or as it was, and a `Dropped` for every one that does not, with the reason. It
reads no file and no clock, and it is random only through `rng`, so that the same call gives the same records.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from inspect import Parameter
from typing import Any

from stillhouse.errors import RecipeError
from stillhouse.records.types import Record
from stillhouse.signature import checked, name_of, parameters

GIVEN = {
    "records": "the records of the step's input set",
    "ask": "asks the step's role (`stillhouse.elicit.ask.Ask`)",
    "sets": "all named sets of records, to read",
    "rng": "a random.Random of the step's own seed, another in every round",
}
"""What an operator may ask for by the name of a positional parameter."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """A record that does not go on, and why, in a few words that are the same for all of a kind ("too short")."""

    record: Record
    reason: str


Result = Record | Dropped
Operator = Callable[..., Iterator[Result]]


def needs(operator: Operator) -> tuple[str, ...]:
    """The names of what the operator is given, in order. Raises RecipeError for a name outside GIVEN."""
    who = _called(operator)
    names = tuple(p.name for p in parameters(operator, who) if p.kind is not Parameter.KEYWORD_ONLY)
    for name in names:
        if name not in GIVEN:
            raise RecipeError(f"{who} needs '{name}'; it may need {', '.join(GIVEN)}")
    return names


def settings_of(operator: Operator, given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a recipe gives, in the types of the signature. Raises as `signature.checked` does."""
    return checked(operator, given, _called(operator))


def _called(operator: Operator) -> str:
    return f"operator '{name_of(operator)}'"
