"""What a parser is.

    def numbered(text: str, finished: bool = True, *, field: str = "text") -> list[dict[str, Any]]: ...

Positional parameters are what it is given: the text, and, where it asks for that, whether the text ended by itself;
keyword-only ones are what a recipe may set. It looks at its settings before it looks at the text, so that a call with
no text at all shows whether they are right.
"""

from collections.abc import Callable
from typing import Any


class Unreadable(ValueError):
    """A text that a parser cannot read; its words are the reason, the same for all of a kind ("no number")."""


Parser = Callable[..., list[dict[str, Any]]]
"""`parser(text, *, settings) -> the fields of each item found`, at least one; raises Unreadable.

Raises RecipeError for settings that no text could be read with.
"""
