"""A function of the user's own, by its name "package.module:function"."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from stillhouse.errors import RecipeError


def plugin(name: str, kind: str) -> Callable[..., Any]:
    """The function of that name; `kind` says in an error what it was wanted for. Raises RecipeError."""
    module, _, function = name.partition(":")
    if not module or not function:
        raise RecipeError(f"{kind} '{name}' is none of ours; name a function of your own as package.module:function")
    try:
        found = getattr(import_module(module), function)
    except (ImportError, AttributeError, SyntaxError, TypeError) as error:
        raise RecipeError(f"{kind} '{name}' cannot be imported ({error})") from error
    if not callable(found):
        raise RecipeError(f"{kind} '{name}' is a {type(found).__name__}; name a function")
    return found
