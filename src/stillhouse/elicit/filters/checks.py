"""The rules that look at one text. Each factory gives a check, which says why a text fails, or "" where it passes."""

import string
from collections.abc import Callable, Sequence

import re2
import regex

from stillhouse.elicit.filters.words import UNSPACED, count_words, unicode_words
from stillhouse.errors import RecipeError

Check = Callable[[str], str]

REFUSALS = (
    "as an AI",
    "as a language model",
    "as a large language model",
    "I'm sorry, but",
    "I am sorry, but",
    "I apologize, but",
    "I cannot assist with",
    "I can't assist with",
    "I cannot help with",
    "I can't help with",
    "I cannot fulfill",
    "I can't fulfill",
    "I'm unable to",
    "I am unable to",
    "I do not have access to",
    "I don't have access to",
    "作为一个人工智能",
    "作为人工智能",
    "作为一个AI",
    "很抱歉，我无法",
    "对不起，我无法",
)
"""Phrases by which assistants decline."""

_WORDS = """
a about after all also an and any are as at be because been before being but by can could did do does for from had
has have he her here him his how i if in into is it its just like may me might more most my no nor not of on or
our out over own same shall she should so some such than that the their them then there these they this those to
too under until up us very was we were what when where which while who whom why will with would you your
"""
STOP_WORDS = tuple(_WORDS.split())
"""English words that say nothing by themselves."""


def word_count(least: int, most: int) -> Check:
    return _between(count_words, least, most, "too few words", "too many words")


def length(least: int, most: int) -> Check:
    return _between(len, least, most, "too short", "too long")


def no_phrase(phrases: Sequence[str], reason: str) -> Check:
    """None of these words or phrases, whatever their case, as whole words where the script has words."""
    says = _says_any(phrases)
    return lambda text: reason if says(text) else ""


def no_refusal(phrases: Sequence[str], under_words: int) -> Check:
    """None of these phrases; with `under_words`, only a text of fewer words counts as a refusal (WizardLM: 80)."""
    says = _says_any(phrases)

    def check(text: str) -> str:
        refuses = says(text.replace("’", "'")) and (not under_words or count_words(text) < under_words)
        return "refusal" if refuses else ""

    return check


def starts_with(prefixes: Sequence[str]) -> Check:
    low = _folded(prefixes)
    return lambda text: "" if text.lstrip().casefold().startswith(low) else "wrong start"


def not_starting_with(prefixes: Sequence[str]) -> Check:
    low = _folded(prefixes)
    return lambda text: "forbidden start" if text.lstrip().casefold().startswith(low) else ""


def clean_start(text: str) -> str:
    """Not beginning with punctuation or outside ASCII (Self-Instruct)."""
    first = text.lstrip()[:1]
    return "unclean start" if first and (first in string.punctuation or not first.isascii()) else ""


def ends_with(endings: Sequence[str]) -> Check:
    low = _folded(endings)
    return lambda text: "" if text.rstrip().casefold().endswith(low) else "wrong end"


def not_ending_with(endings: Sequence[str]) -> Check:
    low = _folded(endings)
    return lambda text: "forbidden end" if text.rstrip().casefold().endswith(low) else ""


def matching(patterns: Sequence[str]) -> Check:
    found = _finder("matches", patterns)
    return lambda text: "" if all(found(text)) else "pattern not found"


def not_matching(patterns: Sequence[str]) -> Check:
    found = _finder("not_matches", patterns)
    return lambda text: "forbidden pattern" if any(found(text)) else ""


def in_script(script: str, share: float) -> Check:
    """At least this share of the letters in one Unicode script; a text without letters passes."""
    try:
        ours = regex.compile(rf"[[\p{{L}}]&&[\p{{Script={script}}}]]", regex.V1)
    except regex.error as error:
        example = "a name as Unicode has it, such as 'latin', 'han' or 'cyrillic'"
        raise RecipeError(
            f"operator 'rules': script is '{script}', which Unicode does not know; give {example}"
        ) from error

    def check(text: str) -> str:
        letters = sum(map(str.isalpha, text))
        return "another script" if letters and len(ours.findall(text)) < share * letters else ""

    return check


def saying_something(stop_words: Sequence[str]) -> Check:
    """A word that is no stop word (WizardLM drops answers of stop words and punctuation alone)."""
    empty = frozenset(_folded(stop_words))
    return lambda text: "" if any(word not in empty for word in unicode_words(text)) else "says nothing"


def _between(measure: Callable[[str], int], least: int, most: int, under: str, over: str) -> Check:
    def check(text: str) -> str:
        size = measure(text)
        return under if size < least else over if most and size > most else ""

    return check


def _folded(phrases: Sequence[str]) -> tuple[str, ...]:
    return tuple(phrase.casefold() for phrase in phrases)


def _says_any(phrases: Sequence[str]) -> Callable[[str], bool]:
    """Whether a text has one of the phrases. The fast `in` goes first: few texts are left to look at the edges."""
    sought = [(phrase, _whole(phrase)) for phrase in _folded(phrases)]

    def says(text: str) -> bool:
        low = text.casefold()
        return any(phrase in low and whole.search(low) for phrase, whole in sought)

    return says


def _whole(phrase: str) -> regex.Pattern[str]:
    """A phrase as a pattern; where its edge is a letter of a script with spaces, no other such letter may touch it."""
    letter = rf"[[\w]--[{UNSPACED}]]"
    before = rf"(?<!{letter})" if regex.match(letter, phrase, regex.V1) else ""
    after = rf"(?!{letter})" if regex.match(letter, phrase[-1:], regex.V1) else ""
    return regex.compile(rf"{before}{regex.escape(phrase)}{after}", regex.V1)


def _finder(setting: str, patterns: Sequence[str]) -> Callable[[str], list[bool]]:
    """Which of these patterns a text has. RE2 takes time in proportion to the text, whatever the pattern."""
    options = re2.Options()
    options.log_errors = False
    try:
        compiled = [re2.compile(pattern, options) for pattern in patterns]
    except re2.error as error:
        known = "it is not in the syntax of RE2, which has no look-around and no back-references"
        raise RecipeError(f"operator 'rules': a pattern of {setting} cannot be used ({error}); {known}") from error

    def found(text: str) -> list[bool]:
        whole = text.encode("utf-8", "replace").decode()
        return [pattern.search(whole) is not None for pattern in compiled]

    return found
