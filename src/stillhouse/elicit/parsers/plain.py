"""`fields.text`: the whole text as one field."""

from typing import Any

from stillhouse.elicit.parsers.contract import Unreadable


def plain(text: str, *, field: str = "text") -> list[dict[str, Any]]:
    """The text, without the space around it, under `field`; an empty one is unreadable."""
    if not text.strip():
        raise Unreadable("empty")
    return [{field: text.strip()}]
