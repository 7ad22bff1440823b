"""Prompt templates: Jinja in a sandbox. Data are values, never template source, so what a teacher wrote stays text."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from jinja2 import ChainableUndefined, StrictUndefined, TemplateError
from jinja2.exceptions import UndefinedError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from stillhouse.errors import RecipeError
from stillhouse.records.types import Message

MAX_CHARACTERS = 2_000_000
"""Most characters that one prompt may come to."""

MAX_TURNS = 100_000
"""Most turns of all `range` loops of one rendering together."""

TEXT_METHODS = frozenset(
    [
        "lower",
        "upper",
        "title",
        "capitalize",
        "strip",
        "lstrip",
        "rstrip",
        "removeprefix",
        "removesuffix",
        "split",
        "splitlines",
        "startswith",
        "endswith",
        "replace",
        "count",
        "find",
    ]
)
"""What a template may call on a text; the others pad it to any size, or format."""

WITHOUT = ("lipsum", "cycler", "joiner", "namespace")
WITHOUT_FILTERS = ("center", "format", "batch", "slice", "indent", "xmlattr", "attr", "urlize")
"""What Jinja has and a prompt does not need: it grows to any size, or reaches into objects."""


class TooLarge(RecipeError):
    """A template that would not end, or fill the memory."""


class _Sandbox(ImmutableSandboxedEnvironment):
    """No attribute that begins with an underscore, nothing is changed, and no number or text grows without bounds."""

    intercepted_binops = frozenset({"*", "**", "%"})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "**":
            raise TooLarge("a template may not raise to a power")
        if isinstance(left, str | list | tuple) or isinstance(right, str | list | tuple):
            raise TooLarge(f"a template may not use {operator} on texts or lists")
        return super().call_binop(context, operator, left, right)

    def wrap_str_format(self, value: Any) -> None:
        """No `format` of texts either: it pads to any size."""

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        if isinstance(obj, str) and attr not in TEXT_METHODS:
            return False
        return super().is_safe_attribute(obj, attr, value)


class _Turns:
    """`range` for one rendering, with a limit on all of its loops together."""

    def __init__(self) -> None:
        self.left = MAX_TURNS

    def __call__(self, *bounds: int) -> Iterator[int]:
        for number in range(*bounds):
            self.left -= 1
            if self.left < 0:
                raise TooLarge(f"a template may not loop more than {MAX_TURNS:,} times")
            yield number


@lru_cache(maxsize=1)
def _environment() -> ImmutableSandboxedEnvironment:
    sandbox = _Sandbox(
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
        autoescape=False,
    )
    for name in WITHOUT:
        sandbox.globals.pop(name, None)
    for name in WITHOUT_FILTERS:
        sandbox.filters.pop(name, None)
    return sandbox


def render(template: str, values: Mapping[str, Any]) -> str:
    """The text of a template. Raises RecipeError for a faulty template and for a value that it names and has not."""
    try:
        return _pieces(template, values)
    except UndefinedError as error:
        names = ", ".join(sorted(values)) or "none"
        raise RecipeError(f"a template wants what is not there ({error.message}); there are {names}") from error
    except TooLarge:
        raise
    except TemplateError as error:
        raise RecipeError(f"a template cannot be rendered ({error.message}): {_shown(template)}") from error
    except (TypeError, ValueError, ArithmeticError, LookupError, RecursionError) as error:
        raise RecipeError(f"a template fails on its values ({error}): {_shown(template)}") from error


def _pieces(template: str, values: Mapping[str, Any]) -> str:
    compiled = _environment().from_string(template, globals={"range": _Turns()})
    pieces, size = [], 0
    for piece in compiled.generate(**values):
        size += len(piece)
        if size > MAX_CHARACTERS:
            raise TooLarge(f"a template comes to more than {MAX_CHARACTERS:,} characters")
        pieces.append(piece)
    return "".join(pieces).strip()


def check(template: str) -> None:
    """Raises RecipeError when the template is not Jinja."""
    try:
        _environment().parse(template)
    except TemplateError as error:
        raise RecipeError(f"not a template ({error.message}): {_shown(template)}") from error


def check_guard(guard: str) -> None:
    """Raises RecipeError when the guard is not an expression; "" is none."""
    if guard:
        _compiled(guard)


def holds(guard: str, values: Mapping[str, Any]) -> bool:
    """Whether a guard is true: a Jinja expression over the values; what a value has not is false, not an error."""
    try:
        return bool(_compiled(guard)(**values))
    except UndefinedError:
        return False
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
        raise RecipeError(f"the guard {guard!r} fails ({error})") from error


@lru_cache(maxsize=256)
def _compiled(guard: str) -> Any:
    try:
        return _guards().compile_expression(guard)
    except TemplateError as error:
        raise RecipeError(f"the guard {guard!r} is not an expression ({error.message})") from error


@lru_cache(maxsize=1)
def _guards() -> ImmutableSandboxedEnvironment:
    sandbox = _Sandbox(undefined=ChainableUndefined)
    sandbox.globals.clear()
    return sandbox


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
    if not isinstance(value, str) or not value.startswith("@"):
        return value
    if value[1:] not in shared:
        known = ", ".join(sorted(shared)) or "none"
        raise RecipeError(f"there is no template {value!r}; [templates] has {known}")
    return shared[value[1:]]


def _shown(template: str) -> str:
    words = " ".join(template.split())
    return repr(words if len(words) <= 80 else words[:77] + "...")
