"""Where a text states one of a few words as its answer: "The answer is (B).", "[[A]]", "Verdict: tie", "Yes, ..."."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from stillhouse.elicit.parsers.contract import Unreadable

Where = Literal["last", "first", "only"]
"""Which of several statements counts. The last by default: what a text quotes or weighs comes before it concludes."""

MARKS = r"[*_\"'$]{0,4}"
TOLD = (
    rf"(?im:\b(?:answer|verdict|decision|judge?ment|winner|choice|option|label|conclusion|result){MARKS}"
    rf"(?:[ \t]{{0,3}}(?:is|was|[:：=])){{1,2}}|^[ \t]{{0,8}}{MARKS}A:){MARKS}\s{{0,3}}{MARKS}"
)
"""What announces an answer."""

BOX = r"\\boxed\{(?:\\text\{)?"
ENDS = r"(?=[ \t]*+(?:\Z|[\n.,;:!?)\]}*_\"'$—–-]|(?:because|since|as|is)\b))"
LEAD_IN = re.compile(
    r"(?:\b(?:so|thus|hence|therefore|then|and|the|my|final|correct|best|most|likely|overall)\b|[\s,:*_#]++)++\Z",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Statement:
    """One of the words, and where in the text its statement begins."""

    value: str
    start: int


def stated(text: str, words: Mapping[str, tuple[str, ...]], where: Where = "last") -> Statement:
    """Which of `words` (the value, and the ways to write it) the text states. Raises Unreadable when it states none.

    A statement is a word after "answer is", "verdict:" and the like, in [[double brackets]] or \\boxed{}, alone on a
    line, or at the beginning of the text with punctuation after it. A word of one letter counts in its own case only,
    unless it is in brackets.
    """
    spelled = {alias.casefold(): value for value, aliases in words.items() for alias in aliases}
    aliases = tuple(alias for listed in words.values() for alias in listed)
    found = sorted(
        (match.start(), spelled[(match["inside"] or match["word"]).casefold()])
        for pattern in _patterns(aliases)
        for match in pattern.finditer(text)
    )
    if not found:
        raise Unreadable("no statement")
    start, value = chosen(found, where)
    return Statement(value, start)


def chosen(found: list[tuple[int, str]], where: Where) -> tuple[int, str]:
    """The statement that counts of those found, as (start, value), in the order of the text."""
    if where == "only" and len({value for _, value in found}) > 1:
        raise Unreadable("several statements")
    return found[0] if where == "first" else found[-1]


def reasons(text: str, start: int) -> str:
    """What comes before a statement, without the words that lead to it ("So the final ...")."""
    near = max(0, start - 80)
    return (text[:near] + LEAD_IN.sub("", text[near:start])).strip()


@lru_cache(maxsize=64)
def _patterns(aliases: tuple[str, ...]) -> tuple[re.Pattern[str], ...]:
    """Each has the group `inside` (of brackets, in any case) or `word`. Every repetition is bounded."""
    longest_first = sorted(aliases, key=len, reverse=True)
    inside = f"(?P<inside>(?i:{'|'.join(map(re.escape, longest_first))}))"
    word = f"(?P<word>{'|'.join(re.escape(a) if len(a) == 1 else f'(?i:{re.escape(a)})' for a in longest_first)})"
    return (
        re.compile(rf"{TOLD}(?:(?:option|choice)[ \t])?(?:(?:\(|\[\[?|{BOX}){inside}[)\]}}]|{word}{ENDS})"),
        re.compile(rf"(?:\[\[|{BOX}){inside}(?:\]\]|\}})(?P<word>)"),
        re.compile(rf"^[ \t]{{0,8}}{MARKS}(?:\({inside}\)|{word})[.!,]?{MARKS}[.!,]?[ \t]{{0,8}}$", re.M),
        re.compile(rf"\A\s{{0,8}}{MARKS}(?:\({inside}\)|{word}{MARKS}[.,;:!)—–-])"),
    )
