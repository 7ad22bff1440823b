from xml.etree import ElementTree

import pytest

from stillhouse.report.diversity import Root, diversity_words, roots, roots_plot, similarity_plot
from stillhouse.report.kitchen import Grown

POOL = [
    "Write a short story about a dog.", "Write a poem about the sea.", "Give me a list of films about the moon.",
    "Write an email to a friend about the party.", "Explain the plot of the story.", "Tell a story.",
    "Find the longest word in the given list.", "Sort the list.", "Describe the given dog.", "List films about space.",
    "Suggest a present for a friend, given a budget.", "Translate the given sentence into French.",
]  # fmt: skip


def texts(svg: str) -> list[str]:
    return [e.text or "" for e in ElementTree.fromstring(svg).iter("text")]


def test_the_first_word_and_the_noun_after_it() -> None:
    found = dict(zip(POOL, roots(POOL), strict=True))
    assert found[POOL[0]] == Root("write", "story")
    assert found[POOL[1]] == Root("write", "poem")
    assert found["Describe the given dog."] == Root("describe", "dog"), "`given` is learned to be no noun"


@pytest.mark.parametrize("text", ["", "123 ...", "\x00", "   "])
def test_texts_without_words_have_no_root(text: str) -> None:
    assert roots([text]) == []


def test_odd_texts_have_one_anyhow() -> None:
    assert roots(["如何学习蒸馏"]) == [Root("如何学习蒸馏", "")]
    assert roots(["Run"]) == [Root("run", "")]
    assert roots(["x " * 100_000])[0].verb == "x"


def test_the_counts_are_told() -> None:
    pool = [Root("write", "story"), Root("write", "story"), Root("give", "list"), Root("run", "")]
    assert diversity_words(pool) == (
        "4 instructions begin with 3 different words; with the first noun-like word after it, 2 different ones, "
        "there are 2 pairs."
    )


def test_pictures_show_verbs_nouns_and_the_mean() -> None:
    svg = roots_plot([Root("write", "story")] * 9 + [Root("write", "<b>poem")] * 3 + [Root("run", "")])
    assert {"write", "run", "12 · story, <b>poem", "1"} <= set(texts(svg)) and "<b>" not in svg
    svg = similarity_plot([Grown("a", 0.0), Grown("b", 0.5), Grown("c", 1.0)])
    assert "mean 0.50" in texts(svg)


def test_a_word_as_long_as_a_megabyte_is_cut() -> None:
    assert len(roots_plot([Root("x" * 1_000_000, "y" * 1_000_000)])) < 50_000
