"""`turns.log`: a conversation that was kept as a list, as in ShareGPT."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import NonNegativeInt

from stillhouse.elicit.parsers.contract import Unreadable
from stillhouse.elicit.parsers.markup import markdown
from stillhouse.elicit.parsers.talk import Turn, chunks, ordered

ROLES = {
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
    "model": "assistant",
    "system": "system",
}


def log(
    text: str,
    *,
    html: bool = False,
    merge: bool = False,
    at_least_turns: NonNegativeInt = 2,
    at_most_turns: NonNegativeInt = 0,
    max_chars: NonNegativeInt = 0,
    field: str = "turns",
) -> list[dict[str, Any]]:
    """The turns, as a list of {"role", "content"} under `field`, of a list of {"from", "value"} or {"role", "content"}.

    The text is that list's JSON; the operator `parse` makes it of a field that is a list.
    `html`: the assistant's turns are HTML and become markdown. The rest is as for `talk.ordered` and `talk.chunks`.
    Used by Vicuna (split into rounds by context) and Koala.
    """
    try:
        listed = json.loads(text)
    except (ValueError, RecursionError):
        raise Unreadable("no log") from None
    if not isinstance(listed, list):
        raise Unreadable("no log")
    kept = ordered([_turn(entry, html) for entry in listed], merge, at_least_turns, at_most_turns)
    return [{field: [turn.message for turn in chunk]} for chunk in chunks(kept, max_chars)]


def _turn(entry: Any, html: bool) -> Turn:
    if not isinstance(entry, Mapping):
        raise Unreadable("a turn of another form")
    who, words = entry.get("from", entry.get("role")), entry.get("value", entry.get("content"))
    role = ROLES.get(who.casefold()) if isinstance(who, str) else None
    if role is None or not isinstance(words, str):
        raise Unreadable("a turn of another form")
    return Turn(role, markdown(words) if html and role == "assistant" else words.strip())
