"""How a text is cut into words, for lengths and for measures of overlap."""

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import regex

Tokens = Literal["latin", "unicode"]

UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
"""Scripts that put no spaces between words; each of their letters counts as a word."""

_LATIN = re.compile(r"[a-z0-9]+")
_UNSPACED = regex.compile(rf"[{UNSPACED}]")
_UNICODE = regex.compile(rf"[{UNSPACED}]|[[\p{{L}}\p{{M}}\p{{N}}]--[{UNSPACED}]]+", regex.V1)


def latin_words(text: str) -> list[str]:
    """Runs of a-z and 0-9 in lower case: the tokens of rouge-score without a stemmer, which sees no other script."""
    return _LATIN.findall(text.lower())


def unicode_words(text: str) -> list[str]:
    """Runs of letters and digits of any script in lower case; in scripts without spaces, each letter. On ASCII the
    same as `latin_words`."""
    return latin_words(text) if text.isascii() else _UNICODE.findall(unicodedata.normalize("NFKC", text).lower())


TOKENISERS: dict[Tokens, Callable[[str], list[str]]] = {"latin": latin_words, "unicode": unicode_words}


def count_words(text: str) -> int:
    """What stands between spaces, as Self-Instruct counts; in scripts without spaces, each letter."""
    if text.isascii() or not _UNSPACED.search(text):
        return len(text.split())
    return len(_UNSPACED.sub(" x ", text).split())


def ngrams(words: Sequence[str], n: int) -> Iterator[str]:
    """Every n words in a row, joined by spaces; of fewer words, all of them."""
    if words:
        yield from (" ".join(words[i : i + n]) for i in range(max(1, len(words) - n + 1)))
