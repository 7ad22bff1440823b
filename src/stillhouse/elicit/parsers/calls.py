"""Calls of functions, `search(query="cats", n=2)`, read as syntax and never run."""

import ast
from dataclasses import dataclass
from typing import Any

from stillhouse.elicit.parsers.contract import Unreadable

LONGEST = 5_000
"""Characters of a call; the compiler of Python has limits of its own on how deep brackets nest."""


@dataclass(frozen=True, slots=True)
class Call:
    """A function's name, dotted as written, and its arguments; positional ones are named "0", "1", ..."""

    name: str
    args: dict[str, Any]


def call(text: str) -> Call:
    """The one call that the text is. Its arguments must be literals. Raises Unreadable."""
    if len(text) > LONGEST:
        raise Unreadable("a call that is too long")
    try:
        node = ast.parse(text.strip(), mode="eval").body
        if isinstance(node, ast.Call):
            return _read(node)
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        raise Unreadable("a call that cannot be read") from None
    raise Unreadable("no call")


def same_call(a: str, b: str) -> bool:
    """Whether two texts are the same call: name, positional arguments in order, named ones in any order.

    Arguments are compared as values, so 'x' = "x" and 1 = 1.0 (Gorilla, 2305.15334, compares syntax trees likewise).
    """
    try:
        return call(a) == call(b)
    except Unreadable:
        return False


def _read(node: ast.Call) -> Call:
    args = {str(index): ast.literal_eval(arg) for index, arg in enumerate(node.args)}
    named = [(keyword.arg, ast.literal_eval(keyword.value)) for keyword in node.keywords if keyword.arg]
    if len(named) < len(node.keywords) or len(dict(named)) < len(named):
        raise Unreadable("a call that cannot be read")
    return Call(_dotted(node.func), args | dict(named))


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    raise Unreadable("no call")
