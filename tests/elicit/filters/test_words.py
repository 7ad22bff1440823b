"""Words are those of rouge-score, or of any script."""

import pytest
from rouge_score.tokenize import tokenize

from stillhouse.elicit.filters.words import count_words, latin_words, ngrams, unicode_words

ODD = [
    "",
    "  ",
    "Don't STOP-me_now 3.14!",
    "Café Ünï İstanbul",
    "写一首诗 about the sea",
    "\ud800 x",
    "a\x00b\u2028c",
    "ſ K",
]


@pytest.mark.parametrize("text", ODD)
def test_latin_words_are_rouge_scores(text):
    assert latin_words(text) == tokenize(text, None)


@pytest.mark.parametrize("text", [t for t in ODD if t.isascii()])
def test_on_ascii_both_kinds_are_the_same(text):
    assert unicode_words(text) == latin_words(text)


def test_words_of_other_scripts():
    assert unicode_words("Привет, мир! Café") == ["привет", "мир", "café"]
    assert unicode_words("写一首GPT诗。") == ["写", "一", "首", "gpt", "诗"]
    assert unicode_words("ＡＢＣ１ cafe\u0301") == ["abc1", "café"]  # full width, and an accent on its own


def test_counting_is_self_instructs_and_by_letters_where_there_are_no_spaces():
    assert count_words("Don't stop - me now") == 5
    assert count_words("Привет, мир!") == 2
    assert count_words("写一首诗") == 4
    assert count_words("use Python 写诗 now") == 5


def test_ngrams():
    assert list(ngrams(["a", "b", "c"], 2)) == ["a b", "b c"]
    assert list(ngrams(["a", "b"], 3)) == ["a b"]
    assert list(ngrams([], 3)) == []
