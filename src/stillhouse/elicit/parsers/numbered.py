"""`fields.numbered`: a numbered list, one item a number."""

import re
from typing import Any

from stillhouse.elicit.parsers.contract import Unreadable


def numbered(
    text: str, finished: bool = True, *, field: str = "text", word: str = "", continues: bool = False
) -> list[dict[str, Any]]:
    """The items of "1. ...", "2) ...", or with a `word` "Task 9: ...", each with all its lines, under `field`.

    An item begins where a line has the next number at the indentation of the first, so that a list within an item
    stays in it. `continues`: the prompt ended with the first number, so the text begins within the first item.
    The last item of a text that was cut off is left out. Numbers with nothing after them are no items.
    Used by Self-Instruct (2212.10560), CAMEL (2303.17760), UltraChat (2305.14233), DEBATunE (2402.10614).
    """
    before = rf"(?:{re.escape(word)}[ \t]*)?" if word else ""
    marker = re.compile(rf"^([ \t]*){before}#?([0-9]{{1,6}})[ \t]?(?:[.):](?=\s|$)|[、．：])", re.M | re.I)
    starts = _counting_up(list(marker.finditer(text)), continues)
    if not starts and not continues:
        raise Unreadable("no numbered list")
    ends = [match.start() for match in starts] + [len(text)]
    parts = [text[match.end() : end] for match, end in zip(starts, ends[1:], strict=True)]
    if continues:
        parts.insert(0, text[: ends[0]])
    if not finished:
        parts.pop()
    items = [{field: part.strip()} for part in parts if part.strip()]
    if not items:
        raise Unreadable("empty" if finished else "cut off")
    return items


def _counting_up(found: list[re.Match[str]], continues: bool) -> list[re.Match[str]]:
    """The markers that go on counting from the first; the prompt's number is not known, so any may come after it."""
    kept: list[re.Match[str]] = []
    for match in found:
        if not kept or (match[1] == kept[0][1] and int(match[2]) == int(kept[-1][2]) + 1):
            kept.append(match)
    return kept
