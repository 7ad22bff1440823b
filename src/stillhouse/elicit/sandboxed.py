"""The sandbox of templates: no way out of it, and nothing that would not end or fill the memory.

Beyond Jinja's own sandbox (no names with underscores, no changes to values): texts grow by known amounts only, loops of
a rendering have a limit together, and what a prompt does not need (macros, blocks, includes) is refused.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import wraps
from typing import Any

from jinja2 import nodes, pass_context, pass_environment
from jinja2.exceptions import TemplateSyntaxError
from jinja2.filters import do_sum
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from stillhouse.errors import RecipeError

MAX_SIZE = 4_000_000
"""Most characters or elements of any value on the way."""

MAX_TURNS = 100_000
"""Most turns of all loops of one rendering together."""

MAX_BITS = 4096
"""Most bits of a whole number."""

TEXT_METHODS = frozenset(
    {"lower", "upper", "title", "capitalize", "strip", "lstrip", "rstrip", "removeprefix", "removesuffix", "split"}
    | {"splitlines", "startswith", "endswith", "replace", "count", "find"}
)
"""What a template may call on a text; the others pad it to any size, or format."""

WITHOUT = ("lipsum", "cycler", "joiner", "namespace", "range")
WITHOUT_FILTERS = ["batch", "center", "format", "indent", "random", "slice", "urlize", "wordwrap", "xmlattr", "attr"]
"""What Jinja has and a prompt does not need: it grows to any size, reaches into objects, or is left to chance."""

REFUSED = (
    nodes.Macro,
    nodes.CallBlock,
    nodes.Block,
    nodes.Extends,
    nodes.Include,
    nodes.Import,
    nodes.FromImport,
    nodes.AssignBlock,
)
"""What calls itself or other files, or collects text unseen."""


LACKING = "template without values"
"""Begins the reason why a template fits no record: where it fits none at all, the recipe is wrong."""


class Unfit(RecipeError):
    """Values that a template does not fit; `reason` says why in a few words, the same for all of a kind."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class TooLarge(Unfit):
    """A template that would not end, or fill the memory."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "prompt too long")


class Turns:
    """`range` for one rendering, and the limit on all of its loops together."""

    NAME = " turns"

    def __init__(self) -> None:
        self.left = MAX_TURNS

    @classmethod
    def among(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values with those that a rendering needs besides."""
        turns = cls()
        return {"range": turns, **values, cls.NAME: turns}

    def __call__(self, *bounds: int) -> Iterator[int]:
        return self.over(range(*bounds))

    def over(self, values: Iterable[Any]) -> Iterator[Any]:
        for value in values:
            self.left -= 1
            if self.left < 0:
                raise TooLarge(f"a template may not loop more than {MAX_TURNS:,} times")
            yield value


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja in which nothing grows without bounds."""

    intercepted_binops = frozenset({"*", "**", "%", "+"})

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for name in WITHOUT:
            self.globals.pop(name, None)
        for name in WITHOUT_FILTERS:
            self.filters.pop(name, None)
        self.filters |= {"replace": _replace, "join": _join, "sum": _sum}
        self.filters = {name: _sized(function) for name, function in self.filters.items()} | {"turns": _turns}

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "**":
            raise TooLarge("a template may not raise to a power")
        sized = [value for value in (left, right) if isinstance(value, str | list | tuple)]
        if sized and operator != "+":
            raise TooLarge(f"a template may not use {operator} on texts or lists")
        _fits(sum(map(len, sized)))
        if operator == "*" and sum(v.bit_length() for v in (left, right) if isinstance(v, int)) > MAX_BITS:
            raise TooLarge("a template may not make numbers of any size")
        return super().call_binop(context, operator, left, right)

    def call(self, context: Context, obj: Any, *args: Any, **kwargs: Any) -> Any:
        text = getattr(obj, "__self__", None)
        if isinstance(text, str) and obj.__name__ == "replace":
            return _replace(text, *args, **kwargs)
        return super().call(context, obj, *args, **kwargs)

    def wrap_str_format(self, value: Any) -> None:
        """No `format` of texts either: it pads to any size."""

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        if isinstance(obj, str):
            return attr in TEXT_METHODS
        return not isinstance(obj, int | float | bytes) and super().is_safe_attribute(obj, attr, value)


def bounded(tree: nodes.Template) -> nodes.Template:
    """The template with its loops counted and its texts joined under a limit. Raises TemplateSyntaxError."""
    for node in tree.find_all(nodes.Node):
        if isinstance(node, REFUSED) or (isinstance(node, nodes.For) and node.recursive):
            kind = "recursive loop" if isinstance(node, nodes.For) else type(node).__name__.lower()
            raise TemplateSyntaxError(f"a prompt has no use for a {kind}", node.lineno)
    for loop in list(tree.find_all(nodes.For)):
        loop.iter = nodes.Filter(loop.iter, "turns", [], [], None, None, lineno=loop.lineno)
    _join_in(tree)
    return tree


def _join_in(tree: nodes.Node) -> None:
    """Every a ~ b as [a, b] | join, which knows a limit."""
    for name, child in tree.iter_fields():
        if isinstance(child, list):
            setattr(tree, name, [_joined(one) for one in child])
        else:
            setattr(tree, name, _joined(child))


def _joined(node: Any) -> Any:
    if not isinstance(node, nodes.Node):
        return node
    _join_in(node)
    if not isinstance(node, nodes.Concat):
        return node
    parts = nodes.List(node.nodes, lineno=node.lineno)
    return nodes.Filter(parts, "join", [], [], None, None, lineno=node.lineno)


@pass_context
def _turns(context: Context, values: Iterable[Any]) -> Iterator[Any]:
    return context[Turns.NAME].over(values)


def _fits(size: int) -> None:
    if size > MAX_SIZE:
        raise TooLarge(f"a template may not make a value of more than {MAX_SIZE:,} characters")


def _sized(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def filtered(*args: Any, **kwargs: Any) -> Any:
        made = function(*args, **kwargs)
        _fits(len(made) if isinstance(made, str | list | tuple) else 0)
        return made

    return filtered


def _replace(text: Any, old: str, new: str, count: int = -1) -> str:
    text, found = str(text), str(text).count(old)
    _fits(len(text) + (found if count is None or count < 0 else min(found, count)) * len(new))
    return text.replace(old, new, -1 if count is None else count)


def _join(values: Iterable[Any], between: str = "", attribute: str | None = None) -> str:
    parts: list[str] = []
    size = 0
    for value in values:
        part = value if attribute is None else value.get(attribute, "")
        parts.append(part if isinstance(part, str) else str(part))
        size += len(parts[-1]) + len(between)
        _fits(size)
    return between.join(parts)


@pass_environment
def _sum(environment: Any, values: Iterable[Any], attribute: str | None = None) -> Any:
    return do_sum(environment, values, attribute)
