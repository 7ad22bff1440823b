"""How varied a pool of grown instructions is: what they begin with, what they are about, how near they lie."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup
from matplotlib.ticker import FuncFormatter, MaxNLocator

from stillhouse.report.kitchen import Grown
from stillhouse.report.style import INK, METHODS, MUTED, PAPER, STUDENT, TEACHER, UNTRAINED, panel, to_svg

VERBS, NOUNS = 14, 4
"""First words that are drawn, and nouns of each, as in figure 3 of Self-Instruct (arXiv 2212.10560)."""

BINS = 20
ENDS_A_PHRASE, SEEN = 0.08, 4
"""A word of the pool that was seen so often and ends fewer of its phrases than that is a function word."""

_OPENING = " \t\r\n\"'“‘(*#-"
_TOKEN = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*|[.,;:!?()\"\n]")


@dataclass(frozen=True, slots=True)
class Root:
    """How an instruction begins: its first word, mostly a verb, and the first noun-like word after it, or ""."""

    verb: str
    noun: str


def roots(instructions: Sequence[str]) -> list[Root]:
    """The roots of all instructions that have a word.

    There is no parser and no word list behind this. Function words are learned from the pool: words (the, about, given)
    that hardly ever end a phrase. The noun is the last of the first run of other words: "Write a short story about a
    dog" has (write, story). It is right for most English instructions, and wrong for some; for scripts without spaces
    it tells nothing.
    """
    tokens = [[t.lower() for t in _TOKEN.findall(text.lstrip(_OPENING))] for text in instructions]
    seen, ending = Counter[str](), Counter[str]()
    for line in tokens:
        for token, after in pairwise([*line, "."]):
            seen[token] += 1
            ending[token] += not after[0].isalpha()
    small = {word for word, n in seen.items() if n >= SEEN and ending[word] < ENDS_A_PHRASE * n}
    return [Root(line[0], _noun(line[1:], small)) for line in tokens if line and line[0][0].isalpha()]


def roots_plot(pool: Sequence[Root]) -> Markup:
    """The commonest first words, each with the nouns that it has more than once, the commonest first."""
    verbs = Counter(root.verb for root in pool).most_common(VERBS)
    longest = max(n for _, n in verbs)
    with panel(height=0.6 + 0.2 * max(6, len(verbs))) as (figure, axes):
        axes.grid(False, axis="y")
        axes.grid(True, axis="x")
        axes.set_xlabel("instructions")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6, steps=[1, 2, 5, 10]))
        axes.set_yticks(range(len(verbs)), [verb[:18] for verb, _ in verbs])
        axes.set_ylim(max(6, len(verbs)) - 0.4, -0.6)
        axes.set_xlim(0, longest * 1.5)
        for label in axes.get_yticklabels():
            label.set_color(INK)
        for place, (verb, total) in enumerate(verbs):
            parts, begin = _nouns(pool, verb, total), 0
            for _, n, colour in parts:
                axes.barh([place], [n], left=begin, height=0.78, color=colour, edgecolor=PAPER, linewidth=0.6)
                begin += n
            words = ", ".join(noun[:18] for noun, _, _ in parts if noun)
            told = f"{total:,} · {words}" if words else f"{total:,}"
            axes.annotate(told, (total, place), xytext=(4, 0), textcoords="offset points", va="center",
                          color=MUTED, fontsize=7.5)  # fmt: skip
        return to_svg(figure, "roots", "First words of the instructions, and their nouns")


def similarity_plot(pool: Sequence[Grown]) -> Markup:
    """How many instructions are how similar to their nearest neighbour."""
    counts = Counter(min(BINS - 1, int(one.similarity * BINS)) for one in pool)
    with panel() as (figure, axes):
        axes.set_xlabel("similarity to the nearest instruction before it")
        axes.set_ylabel("instructions")
        axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        places = range(BINS)
        axes.bar([(i + 0.5) / BINS for i in places], [counts[i] for i in places], 0.9 / BINS, color=STUDENT)
        mean = sum(one.similarity for one in pool) / len(pool)
        axes.axvline(mean, color=TEACHER, linewidth=1.0, linestyle=(0, (3, 2)))
        axes.annotate(f"mean {mean:.2f}", (mean, 1), xycoords=axes.get_xaxis_transform(), xytext=(4, -2),
                      textcoords="offset points", va="top", color=TEACHER, fontsize=8)  # fmt: skip
        axes.set_xlim(0, 1)
        return to_svg(figure, "similarity", "Instructions by similarity to their nearest neighbour")


def diversity_words(pool: Sequence[Root]) -> str:
    """The counts behind the picture, in a sentence."""
    verbs, pairs = {root.verb for root in pool}, {root for root in pool if root.noun}
    nouns = {root.noun for root in pairs}
    return (
        f"{len(pool):,} instructions begin with {len(verbs):,} different words; with the first noun-like word after "
        f"it, {len(nouns):,} different ones, there are {len(pairs):,} pairs."
    )


def _noun(words: Sequence[str], small: set[str]) -> str:
    run: list[str] = []
    for word in words:
        if word[0].isalpha() and word not in small and len(word) > 2:
            run.append(word)
        elif run:
            break
    return run[-1] if run else ""


def _nouns(pool: Sequence[Root], verb: str, total: int) -> list[tuple[str, int, str]]:
    """(noun, instructions, colour) of a first word: the commonest nouns, and the others as one."""
    counts = Counter(root.noun for root in pool if root.verb == verb and root.noun)
    shown = [(noun, n) for noun, n in counts.most_common(NOUNS) if n > 1]
    parts = [(noun, n, METHODS[i % 2 * 5]) for i, (noun, n) in enumerate(shown)]
    rest = total - sum(n for _, n in shown)
    return [*parts, ("", rest, UNTRAINED)] if rest else parts
