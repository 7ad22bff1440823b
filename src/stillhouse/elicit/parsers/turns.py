"""`turns.transcript`: a conversation that was written in one piece, with a tag before each turn."""

import re
from functools import lru_cache
from typing import Any

from pydantic import NonNegativeInt

from stillhouse.elicit.parsers.contract import Unreadable
from stillhouse.elicit.parsers.talk import Turn, chunks, ordered
from stillhouse.errors import RecipeError

SPEAKERS = {"user": ("Human", "User"), "assistant": ("AI", "Assistant")}


def transcript(
    text: str,
    finished: bool = True,
    *,
    speakers: dict[str, tuple[str, ...]] | None = None,
    leads: str = "",
    merge: bool = False,
    at_least_turns: NonNegativeInt = 2,
    at_most_turns: NonNegativeInt = 0,
    max_chars: NonNegativeInt = 0,
    field: str = "turns",
) -> list[dict[str, Any]]:
    """The turns, as a list of {"role", "content"} under `field`.

    A turn begins where a line has a speaker's name as a tag: "[Human] ...", "User: ...", "### Assistant: ...",
    "**AI**: ...", "<|user|> ...". `speakers`: the names of each role. `leads`: the role whose tag ended the prompt, so
    that the text begins with its turn; otherwise what comes before the first tag is left out. The last turn of a text
    that was cut off is left out, too. The rest is as for `talk.ordered` and `talk.chunks`.
    Used by Baize (2304.01196); UltraChat (2305.14233) and CAMEL (2303.17760) take theirs turn by turn.
    """
    names = SPEAKERS if speakers is None else speakers
    if not set(names) <= {"user", "assistant", "system"} or not all(any(aliases) for aliases in names.values()):
        raise RecipeError("'speakers' must give the names of the roles user, assistant, system: user = ['Human']")
    if leads and leads not in names:
        raise RecipeError(f"'leads' is '{leads}', which is none of the speakers {', '.join(names)}")
    spelled = {alias.casefold(): role for role, aliases in names.items() for alias in aliases}
    found = list(_tag(tuple(spelled)).finditer(text))
    starts = [match.start() for match in found] + [len(text)]
    turns = [
        Turn(spelled[next(filter(None, match.groups())).casefold()], text[match.end() : end].strip())
        for match, end in zip(found, starts[1:], strict=True)
    ]
    turns = [Turn(leads, text[: starts[0]].strip()), *turns] if leads else turns
    if not turns:
        raise Unreadable("no turns")
    kept = ordered(turns if finished else turns[:-1], merge, at_least_turns, at_most_turns)
    return [{field: [turn.message for turn in chunk]} for chunk in chunks(kept, max_chars)]


@lru_cache(maxsize=64)
def _tag(names: tuple[str, ...]) -> re.Pattern[str]:
    either = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    return re.compile(
        rf"^[ \t]{{0,8}}(?:\[({either})\][ \t]{{0,3}}:?|<\|({either})\|>|(?:#{{1,6}}[ \t]{{0,3}})?[*_]{{0,3}}({either})"
        rf"[*_]{{0,3}}[ \t]{{0,3}}[:：][*_]{{0,3}}|#{{1,6}}[ \t]{{0,3}}({either})[ \t]{{0,8}}$)",
        re.M | re.I,
    )
