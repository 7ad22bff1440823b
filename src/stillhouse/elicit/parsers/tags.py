"""`fields.tags`: <tag>what becomes a field</tag>."""

from typing import Any

from stillhouse.elicit.parsers.contract import Unreadable
from stillhouse.errors import RecipeError


def tags(text: str, *, tags: tuple[str, ...], many: bool = False) -> list[dict[str, Any]]:
    """The text between <tag> and </tag> for each of `tags`, under the tag's name.

    Each must be there once; with `many`, all equally often, and the first of each make the first item, and so on.
    What is outside them is not looked at. Tags are found as they are written, without attributes.
    """
    if not tags:
        raise RecipeError("parser 'fields.tags' needs at least one name in 'tags'")
    found = {tag: _between(text, f"<{tag}>", f"</{tag}>") for tag in tags}
    counts = {len(parts) for parts in found.values()}
    if 0 in counts:
        raise Unreadable("no such tag")
    if not many and counts != {1}:
        raise Unreadable("a tag more than once")
    if len(counts) > 1:
        raise Unreadable("tags without their pairs")
    return [dict(zip(found, parts, strict=True)) for parts in zip(*found.values(), strict=True)]


def _between(text: str, opening: str, closing: str) -> list[str]:
    parts: list[str] = []
    _, *rest = text.split(opening)
    for part in rest:
        inside, closed, _ = part.partition(closing)
        if not closed:
            raise Unreadable("a tag that is not closed")
        parts.append(inside.strip())
    return parts
