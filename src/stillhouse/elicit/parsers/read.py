"""The one way to read a text with the `parse` table of a recipe."""

import inspect
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any

from stillhouse.elicit.parsers.catalogue import PARSERS
from stillhouse.elicit.parsers.contract import Parser, Unreadable
from stillhouse.elicit.parsers.items import sound
from stillhouse.errors import RecipeError
from stillhouse.signature import checked, imported

LONGEST = 1_000_000
"""Characters: a longer text is not looked at."""

Items = list[dict[str, Any]]


def read(text: str, settings: Mapping[str, Any], *, finished: bool = True) -> Items:
    """The fields of each item that the text holds, at least one.

    `settings` is the `parse` table of a step: `use`, the parser (with `kind`, where it has several), its own settings,
    and those of `items.sound`, which every parser has. `finished` is whether the text ended by itself.
    Raises Unreadable with the reason, and RecipeError as `check` does.
    """
    reader = _reader(_spelled(settings))
    if len(text) > LONGEST:
        raise Unreadable("too long")
    return reader(text, finished)


def check(settings: Mapping[str, Any]) -> None:
    """Whether a `parse` table can be used at all; raises RecipeError that says what is wrong and what is possible."""
    with suppress(Unreadable):
        read("", settings)


def resolve(settings: Mapping[str, Any]) -> tuple[str, Parser]:
    """The name of the parser that a table names, and the parser: `use` and `kind`, or "package.module:function"."""
    use = settings.get("use")
    if not isinstance(use, str) or not use:
        raise RecipeError(f"a parse table needs 'use', the name of a parser; there are {', '.join(PARSERS)}")
    if ":" in use:
        return use, imported(use, "parser")
    kind = settings.get("kind")
    name = use if kind is None else f"{use}.{kind}"
    if name in PARSERS:
        return name, PARSERS[name]
    kinds = [known.partition(".")[2] for known in PARSERS if known.startswith(f"{use}.")]
    if kinds:
        raise RecipeError(f"parser '{use}' has no kind {kind!r}; its kinds are {', '.join(kinds)}")
    raise RecipeError(f"there is no parser '{name}'; there are {', '.join(PARSERS)}")


@lru_cache(maxsize=256)
def _reader(spelled: str) -> Callable[[str, bool], Items]:
    """What reads with these settings; they are checked once, not for every answer."""
    settings: dict[str, Any] = json.loads(spelled)
    name, parser = resolve(settings)
    named = {"use"} if ":" in name else {"use", "kind"}
    given = {key: value for key, value in settings.items() if key not in named}
    common = inspect.signature(sound).parameters
    who = f"parser '{name}'"
    counting = checked(sound, {key: value for key, value in given.items() if key in common}, who)
    own = {key: value for key, value in given.items() if key not in common}
    chosen = checked(parser, own, who)
    wants_ending = "finished" in inspect.signature(parser).parameters

    def reader(text: str, finished: bool) -> Items:
        items = parser(text, finished, **chosen) if wants_ending else parser(text, **chosen)
        return sound(items, **counting)

    return reader


def _spelled(settings: Mapping[str, Any]) -> str:
    try:
        return json.dumps(dict(settings))
    except TypeError as error:
        raise RecipeError(f"a parse table holds what no parser takes: {error}") from error
