"""An operator is a generator over records; its signature is its contract.

    def rules(records: Iterable[Record], *, field: str = "instruction", min_words: int = 0) -> Iterator[Result]: ...

Positional parameters are what it needs, by name, from `GIVEN`; keyword-only ones are what a recipe may set. It yields
every record that goes on, changed, new or as it was, and a `Dropped` for every one that does not, with the reason. It
reads no file and no clock, and it is random only through `rng`, so that the same call gives the same records.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from inspect import Parameter
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from stillhouse.errors import RecipeError
from stillhouse.records.types import Record

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
    names = tuple(p.name for p in _parameters(operator) if p.kind is not Parameter.KEYWORD_ONLY)
    for name in names:
        if name not in GIVEN:
            raise RecipeError(f"operator '{_name(operator)}' needs '{name}'; it may need {', '.join(GIVEN)}")
    return names


def settings_of(operator: Callable[..., Any], given: Mapping[str, Any], *, who: str = "") -> dict[str, Any]:
    """The settings that a recipe gives, checked and in the types of the signature (a list becomes a tuple).

    Raises RecipeError for a key that the operator has not, naming the legal ones, a missing one, or a wrong value.
    `who` names it in the message, where it is no operator.
    """
    who = who or f"operator '{_name(operator)}'"
    parameters = {p.name: p for p in _parameters(operator) if p.kind is Parameter.KEYWORD_ONLY}
    missing = [n for n, p in parameters.items() if p.default is Parameter.empty and n not in given]
    if missing:
        raise RecipeError(f"{who} needs the setting '{missing[0]}'")
    types = get_type_hints(operator, include_extras=True)
    return {key: _checked(who, key, value, parameters, types) for key, value in given.items()}


def _checked(who: str, key: str, value: Any, parameters: Mapping[str, Parameter], types: dict[str, Any]) -> Any:
    if key not in parameters:
        known = f"its settings are {', '.join(parameters)}" if parameters else "it has no settings"
        raise RecipeError(f"{who} has no setting '{key}'; {known}")
    try:
        return TypeAdapter(types.get(key, Any)).validate_python(value)
    except ValidationError as error:
        fault = error.errors()[0]["msg"].replace("Input", "it", 1)
        raise RecipeError(f"{who}: setting '{key}' is {value!r}; {fault}") from error


def _parameters(operator: Callable[..., Any]) -> list[Parameter]:
    parameters = list(inspect.signature(operator).parameters.values())
    for p in parameters:
        if p.kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD):
            raise RecipeError(f"operator '{_name(operator)}' takes '{p}'; name every need and every setting instead")
    return parameters


def _name(operator: Callable[..., Any]) -> str:
    return getattr(operator, "__name__", repr(operator))
