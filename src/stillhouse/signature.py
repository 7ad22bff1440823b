"""Functions that a recipe names (objectives, operators, parsers, scorers): found by name, read by their signature.

What a function needs are its positional parameters; what a recipe may set are its keyword-only ones.
"""

import inspect
from collections.abc import Callable, Mapping
from importlib import import_module
from inspect import Parameter
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from stillhouse.errors import RecipeError


def imported(name: str, kind: str) -> Callable[..., Any]:
    """The user's own function "package.module:function"; `kind` says in an error what it was wanted for.

    Raises RecipeError.
    """
    module, _, function = name.partition(":")
    if not module or not function:
        raise RecipeError(f"{kind} '{name}' is none of ours; name a function of your own as package.module:function")
    try:
        found = getattr(import_module(module), function)
    except (ImportError, AttributeError, SyntaxError, TypeError, ValueError) as error:
        raise RecipeError(f"{kind} '{name}' cannot be imported ({error}); check the path and the name") from error
    if not callable(found):
        raise RecipeError(f"{kind} '{name}' is a {type(found).__name__}; name a function")
    return found


def name_of(function: Callable[..., Any]) -> str:
    """What to call a function in a message."""
    return getattr(function, "__name__", repr(function))


def parameters(function: Callable[..., Any], who: str) -> list[Parameter]:
    """The parameters. Raises RecipeError for * and **, which say nothing."""
    found = list(inspect.signature(function).parameters.values())
    for p in found:
        if p.kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD):
            raise RecipeError(f"{who} takes '{p}'; name everything that it needs and every setting instead")
    return found


def checked(
    function: Callable[..., Any], given: Mapping[str, Any], who: str, *, strict: bool = False
) -> dict[str, Any]:
    """The settings that a recipe gives, checked and in the types of the signature (a list becomes a tuple).

    With `strict`, a value must be of its type already (1 is no bool). Raises RecipeError for a key that the function
    has not, naming the legal ones, for a missing one, and for a wrong value.
    """
    legal = {p.name: p for p in parameters(function, who) if p.kind is Parameter.KEYWORD_ONLY}
    missing = [name for name, p in legal.items() if p.default is Parameter.empty and name not in given]
    if missing:
        raise RecipeError(f"{who} needs the setting '{missing[0]}'")
    types = get_type_hints(function, include_extras=True)
    settings = {}
    for key, value in given.items():
        if key not in legal:
            known = f"its settings are {', '.join(legal)}" if legal else "it has no settings"
            raise RecipeError(f"{who} has no setting '{key}'; {known}")
        settings[key] = _checked(types.get(key, Any), value, f"{who}: setting '{key}'", strict=strict)
    return settings


def _checked(kind: Any, value: Any, what: str, *, strict: bool) -> Any:
    try:
        return TypeAdapter(kind).validate_python(value, strict=strict)
    except ValidationError as error:
        fault = error.errors()[0]["msg"].replace("Input", "it", 1)
        raise RecipeError(f"{what} is {value!r}; {fault}") from error
