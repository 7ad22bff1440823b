"""What every parser's items are held to."""

from typing import Any

from pydantic import NonNegativeInt

from stillhouse.elicit.parsers.contract import Unreadable


def sound(
    items: list[dict[str, Any]],
    *,
    required: tuple[str, ...] = (),
    longest: NonNegativeInt = 0,
    exactly: NonNegativeInt = 0,
    at_least: NonNegativeInt = 1,
    at_most: NonNegativeInt = 1000,
) -> list[dict[str, Any]]:
    """The items as they are, if they are as many and as full as they must be; raises Unreadable otherwise.

    `required`: fields that every item must have, and not empty. `longest`: the most characters of a field of text.
    `exactly`, `at_least`, `at_most`: how many items; a text with another number was not written as it was asked to be.
    """
    if exactly and len(items) != exactly:
        raise Unreadable("wrong number of items")
    if not exactly and not at_least <= len(items) <= at_most:
        raise Unreadable("too few items" if len(items) < at_least else "too many items")
    for item in items:
        for field in required:
            if item.get(field) in (None, "", [], {}):
                raise Unreadable(f"no {field}")
        if longest and any(isinstance(value, str) and len(value) > longest for value in item.values()):
            raise Unreadable("field too long")
    return items
