"""Prompt templates: Jinja in a sandbox. Data are values, never template source, so what a teacher wrote stays text."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from jinja2 import ChainableUndefined, StrictUndefined, Template, TemplateError
from jinja2.exceptions import UndefinedError

from stillhouse.elicit.sandboxed import LACKING, Sandbox, TooLarge, Turns, Unfit, bounded
from stillhouse.errors import RecipeError
from stillhouse.records.types import Message

MAX_CHARACTERS = 2_000_000
"""Most characters that one prompt may come to."""

SHARED = re.compile(r"@[A-Za-z_][\w.-]*")
"""A text that stands for one of the recipe's [templates]."""

FAULTS = (TypeError, ValueError, ArithmeticError, LookupError, AttributeError)
"""What an expression raises on a value of another kind than it is meant for."""


@lru_cache(maxsize=1)
def _environment() -> Sandbox:
    return Sandbox(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


@lru_cache(maxsize=1)
def _guards() -> Sandbox:
    return Sandbox(undefined=ChainableUndefined)


@lru_cache(maxsize=512)
def _template(template: str) -> Template:
    """Compiled once, not for every record."""
    sandbox = _environment()
    code = sandbox.compile(bounded(sandbox.parse(template)))
    return sandbox.template_class.from_code(sandbox, code, sandbox.make_globals(None))


def render(template: str, values: Mapping[str, Any]) -> str:
    """The text of a template, without the blanks around it.

    Raises Unfit where a value is missing or of the wrong kind, TooLarge, and RecipeError for any other fault.
    """
    try:
        return _pieces(template, values)
    except UndefinedError as error:
        names = ", ".join(sorted(values)) or "none"
        raise Unfit(
            f"a template wants what is not there ({error.message}); there are {names}", f"{LACKING}: {error.message}"
        ) from error
    except TemplateError as error:
        raise RecipeError(f"a template cannot be rendered ({error.message}): {_shown(template)}") from error
    except (*FAULTS, RecursionError) as error:
        raise Unfit(
            f"a template fails on its values ({error}): {_shown(template)}", f"{LACKING} of its kind"
        ) from error


def _pieces(template: str, values: Mapping[str, Any]) -> str:
    pieces, size = [], 0
    for piece in _template(template).generate(Turns.among(values)):
        size += len(piece)
        if size > MAX_CHARACTERS:
            raise TooLarge(f"a template comes to more than {MAX_CHARACTERS:,} characters")
        pieces.append(piece)
    return "".join(pieces).strip()


def check(template: str) -> None:
    """Raises RecipeError when the template is not Jinja, or more than a prompt needs."""
    try:
        _template(template)
    except (TemplateError, RecursionError) as error:
        raise RecipeError(f"not a template ({_said(error)}): {_shown(template)}") from error


def check_guard(guard: str) -> None:
    """Raises RecipeError when the guard is not an expression; "" is none."""
    if guard:
        _compiled(guard)


def holds(guard: str, values: Mapping[str, Any]) -> bool:
    """Whether a guard is true: a Jinja expression over the values.

    What a value has not is false, and so is what cannot be compared: a teacher may have written anything.
    """
    try:
        return bool(_compiled(guard)(Turns.among(values)))
    except (UndefinedError, TooLarge, *FAULTS):
        return False
    except TemplateError as error:
        raise RecipeError(f"the guard {guard!r} fails ({error.message})") from error


@lru_cache(maxsize=256)
def _compiled(guard: str) -> Any:
    try:
        return _guards().compile_expression(guard)
    except (TemplateError, RecursionError) as error:
        raise RecipeError(f"the guard {guard!r} is not an expression ({_said(error)})") from error


def conversation(template: str, values: Mapping[str, Any], *, system: str = "") -> tuple[Message, ...]:
    """The prompt of a template: one user turn, after a system message where there is one."""
    said = render(system, values) if system else ""
    turns = [Message("system", said)] if said else []
    return (*turns, Message("user", render(template, values)))


def shared_in(value: Any, shared: Mapping[str, str]) -> Any:
    """The same settings with every text "@NAME" replaced by that one of the recipe's [templates].

    Raises RecipeError where there is none.
    """
    if isinstance(value, dict):
        return {key: shared_in(inner, shared) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [shared_in(inner, shared) for inner in value]
    if not isinstance(value, str) or not SHARED.fullmatch(value):
        return value
    if value[1:] not in shared:
        known = ", ".join(sorted(shared)) or "none"
        raise RecipeError(f"there is no template {value!r}; [templates] has {known}")
    return shared[value[1:]]


def _said(error: TemplateError | RecursionError) -> str:
    return str(error.message) if isinstance(error, TemplateError) else "nested too deeply"


def _shown(template: str) -> str:
    words = " ".join(template.split())
    return repr(words if len(words) <= 80 else words[:77] + "...")
