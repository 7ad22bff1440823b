"""`score.number`, `score.numbers`, `score.verdict` and `score.ranking`: what a judge says."""

import re
from functools import lru_cache
from typing import Any

from pydantic import PositiveInt

from stillhouse.elicit.parsers.contract import Unreadable
from stillhouse.elicit.parsers.statements import Where, chosen, stated
from stillhouse.errors import RecipeError

NUMBER = r"(?<![\w.,-])-?[0-9]{1,9}(?:\.[0-9]{1,9})?(?![\w%]|[.,][0-9])"
OF = rf"[ \t]{{0,3}}(?:/|out[ \t]of)[ \t]{{0,3}}(?P<of>{NUMBER})"
NO_RANGE = r"(?![ \t]{0,3}(?:-|–|to\b|and\b)[ \t]{0,3}[0-9])"
MARKS = r"[*_\"'`]{0,4}"
OF_TEN = re.compile(rf"(?P<value>{NUMBER}){OF}", re.I)
WORD = r"[\[(*]{0,3}[^\s>\[\]()*.,;:]{1,40}[\])*]{0,3}"
CHAIN = re.compile(rf"(?<![^\s:*\[(]){WORD}(?:[ \t]{{0,3}}>[ \t]{{0,3}}{WORD})+")
"""Any short words with ">" between them, so that an order with a stranger in it is seen and refused."""
LINE = re.compile(rf"^[ \t]*{MARKS}(?:(?:scores?|ratings?)[ \t]*[:：])?([-0-9., \t;/*|]+)$", re.I | re.M)


def number(
    text: str,
    *,
    low: float = 1.0,
    high: float = 10.0,
    names: tuple[str, ...] = ("score", "rating", "grade"),
    where: Where = "last",
    field: str = "score",
) -> list[dict[str, Any]]:
    """A number from `low` to `high` under `field`: "Score: 7", "rating is 7", "[[7]]", "7" alone on a line, or where
    there is none of these, "7/10" or "7.5 out of 10". A number outside the range or of another scale is unreadable.

    `names`: the words that announce it. `where`: which of several counts.
    Used by Lion (2305.12870), LLaMA-GPT4 (2304.03277), WizardMath (2308.09583).
    """
    _check_range(low, high)
    if not any(names):
        raise RecipeError("parser 'score.number' needs at least one word in 'names'")
    found = [(m.start(), m["value"], m["of"]) for m in _announced(names).finditer(text)]
    found = found or [(m.start(), m["value"], m["of"]) for m in OF_TEN.finditer(text) if float(m["of"]) == high]
    if not found:
        raise Unreadable("no score")
    start, value = chosen([(start, f"{float(value)}") for start, value, _ in found], where)
    if any(at == start and of is not None and float(of) != high for at, _, of in found):
        raise Unreadable("a score of another scale")
    return [{field: _within(float(value), low, high)}]


def numbers(
    text: str,
    *,
    count: PositiveInt = 2,
    low: float = 1.0,
    high: float = 10.0,
    where: Where = "first",
    field: str = "scores",
) -> list[dict[str, Any]]:
    """`count` numbers from `low` to `high` on a line of their own, under `field` as a list: "8 9", "Scores: 8, 9".

    The first such line counts by default, since a judge that is asked for it writes it before all else.
    Used by Vicuna, Lion (2305.12870) and LLaMA-GPT4 (2304.03277), which score a pair of answers at once.
    """
    _check_range(low, high)
    lines = ((m.start(), [one[0] for one in re.finditer(NUMBER, m[1])]) for m in LINE.finditer(text))
    found = [(start, " ".join(listed)) for start, listed in lines if len(listed) == count]
    if not found:
        raise Unreadable("no line of scores")
    return [{field: [_within(float(one), low, high) for one in chosen(found, where)[1].split()]}]


def verdict(
    text: str,
    *,
    words: dict[str, tuple[str, ...]] | None = None,
    where: Where = "last",
    field: str = "verdict",
) -> list[dict[str, Any]]:
    """One of `words` under `field`: a table from each verdict to the ways to write it (by default yes and no).

    How a verdict is stated, see `statements.stated`: "Verdict: tie", "[[A]]", "Yes, because ...", or alone on a line.
    Used by WizardLM (2304.12244) for "equal", MUFFIN (2312.02436) for "does it fit", Self-Instruct for "is it a class".
    """
    found = stated(text, _checked(words or {"yes": ("yes",), "no": ("no",)}), where)
    return [{field: found.value}]


def ranking(text: str, *, ids: tuple[str, ...], where: Where = "last", field: str = "ranking") -> list[dict[str, Any]]:
    """An order of all `ids`, best first, under `field` as a list: "[2] > [1] > [3]" or "2 > 1 > 3".

    An order that leaves one out, has one twice or has another is unreadable. Used by Baize (2304.01196).
    """
    if len(ids) < 2 or len(set(ids)) < len(ids):
        raise RecipeError("parser 'score.ranking' needs at least two 'ids', each once")
    chains = (
        (match.start(), [part.strip(" \t[]()*") for part in match[0].split(">")]) for match in CHAIN.finditer(text)
    )
    found = [(start, " ".join(order)) for start, order in chains if set(order) & set(ids)]
    if not found:
        raise Unreadable("no ranking")
    order = chosen(found, where)[1].split()
    if sorted(order) != sorted(ids):
        raise Unreadable("not an order of all")
    return [{field: order}]


def _check_range(low: float, high: float) -> None:
    if not low < high:
        raise RecipeError(f"a score's 'low' must be below its 'high'; they are {low} and {high}")


def _checked(words: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    if not all(aliases and all(alias.strip() for alias in aliases) for aliases in words.values()):
        raise RecipeError("'words' must give each verdict at least one way to write it")
    return words


def _within(value: float, low: float, high: float) -> float:
    if not low <= value <= high:
        raise Unreadable("out of range")
    return value


@lru_cache(maxsize=64)
def _announced(names: tuple[str, ...]) -> re.Pattern[str]:
    either = "|".join(map(re.escape, names))
    word = rf"\b(?:{either})s?{MARKS}(?:[ \t]{{0,3}}(?:is|of|[:：=])){{0,2}}[ \t]{{0,3}}{MARKS}\s{{0,2}}"
    alone = rf"^[ \t]{{0,8}}{MARKS}(?={NUMBER}(?:{OF.replace('?P<of>', '?:')})?{MARKS}\.?[ \t]{{0,8}}$)"
    return re.compile(
        rf"(?:{word}|\[\[(?={NUMBER}\]\])|{alone})\[{{0,2}}(?P<value>{NUMBER})(?:{OF})?{NO_RANGE}", re.I | re.M
    )
