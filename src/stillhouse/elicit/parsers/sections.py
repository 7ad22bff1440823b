"""`fields.sections`: parts that begin with a heading of their own, "Instruction: ...", "### Input: ..."."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from stillhouse.elicit.parsers.contract import Unreadable
from stillhouse.errors import RecipeError

DECORATION = "#*_:： \t"


def sections(
    text: str,
    finished: bool = True,
    *,
    markers: dict[str, str],
    optional: tuple[str, ...] = (),
    ordered: bool = False,
    leads: str = "",
    many: bool = False,
    between: str = "",
    blanks: tuple[str, ...] = ("<noinput>", "N/A"),
) -> list[dict[str, Any]]:
    """For each field the text from its marker to the next, e.g. markers = {input = "Input:", output = "Output:"}.

    A marker stands at the beginning of a line, in any case, and may be decorated: "### Input:", "**Input:**",
    "3. Input:" and "## Input" alone on its line are all the marker "Input". `leads`: the field whose marker ended the
    prompt, so that the text begins with it, or with its marker once more; otherwise what comes before the first marker
    is left out. Each field must be there once, in the order of `markers` if `ordered`; the `optional` ones are "" where
    they are not. A part that says one of `blanks` and nothing else is "". A text that was cut off is unreadable.

    `many`: an item begins wherever the first marker does, or, with `between`, after each line that begins with it.
    There, an item that is not whole is left out alone, and so is the last item of a text that was cut off.
    Used by Alpaca, BELLE (2303.14742) and Code Alpaca (`between` = "###"), Reflection-Tuning (2310.11716),
    LogiCoT (2305.12147), CoT-Distill (2305.02301).
    """
    if not markers or not all(marker.strip(DECORATION) for marker in markers.values()):
        raise RecipeError("parser 'fields.sections' needs 'markers', a table from fields to the words that begin them")
    if unknown := {*optional, *([leads] if leads else [])} - set(markers):
        raise RecipeError(f"parser 'fields.sections' has no marker for '{min(unknown)}', only for {', '.join(markers)}")
    headings = {field: _heading(marker) for field, marker in markers.items()}
    layout = Layout(headings, optional, ordered, frozenset(blank.casefold() for blank in blanks))
    if many or between:
        blocks = re.split(rf"^[ \t]*{re.escape(between)}", text, flags=re.M) if between else layout.split(text, leads)
        items = list(layout.whole(blocks if finished else blocks[:-1], leads))
        if not items:
            raise Unreadable("no whole item" if finished else "cut off")
        return items
    if not finished:
        raise Unreadable("cut off")
    return [layout.read(text, leads)]


@dataclass(frozen=True, slots=True)
class Layout:
    """How the sections of one item are written."""

    headings: dict[str, re.Pattern[str]]
    optional: tuple[str, ...]
    ordered: bool
    blanks: frozenset[str]

    def read(self, text: str, leads: str) -> dict[str, Any]:
        """The fields of one item."""
        parts = self._parts(text, leads)
        names = [field for field, _ in parts]
        if len(set(names)) < len(names):
            raise Unreadable("a section more than once")
        if any(field not in names and field not in self.optional for field in self.headings):
            raise Unreadable("a section is missing")
        if self.ordered and names != [field for field in self.headings if field in names]:
            raise Unreadable("sections in another order")
        said = {field: part.strip() for field, part in parts}
        return {field: self._filled(said.get(field, "")) for field in self.headings}

    def whole(self, blocks: list[str], leads: str) -> Iterator[dict[str, Any]]:
        """The items of those blocks that are whole; only the first can go on where the prompt ended."""
        for index, block in enumerate(blocks):
            try:
                yield self.read(block, "" if index else leads)
            except Unreadable:
                continue

    def split(self, text: str, leads: str) -> list[str]:
        """The text cut at each of the first marker; what comes before belongs to the first item."""
        starts = [match.start() for match in next(iter(self.headings.values())).finditer(text)]
        cuts = [0, *(starts if leads else starts[1:]), len(text)]
        return [text[a:b] for a, b in pairwise(cuts)]

    def _parts(self, text: str, leads: str) -> list[tuple[str, str]]:
        """(field, its text) as they come."""
        found = sorted(
            (m.start(), m.end(), field) for field, heading in self.headings.items() for m in heading.finditer(text)
        )
        ends = [start for start, _, _ in found[1:]] + [len(text)] * bool(found)
        parts = [(field, text[after:end]) for (_, after, field), end in zip(found, ends, strict=True)]
        before = text[: found[0][0]] if found else text
        repeated = bool(parts) and parts[0][0] == leads and not before.strip()  # a chat model says the marker once more
        return [(leads, before), *parts] if leads and not repeated else parts

    def _filled(self, part: str) -> str:
        return "" if part.rstrip(".").casefold() in self.blanks else part


def _heading(marker: str) -> re.Pattern[str]:
    """The marker's words as a heading: before a colon, or decorated and alone on their line, or in brackets."""
    core = marker.strip(DECORATION)
    words = rf"(?:#{{1,6}}[ \t]*)?[*_]*(?:[0-9]{{1,4}}[.)][ \t]*[*_]*)?{re.escape(core)}"
    colon = r"[*_ \t]*[:：]?[*_]*" if core[-1] in ")]>" else r"[*_ \t]*[:：][*_]*"
    return re.compile(rf"^[ \t>]*(?:{words}{colon}|(?=[#*_]){words}[*_ \t]*$)", re.M | re.I)
