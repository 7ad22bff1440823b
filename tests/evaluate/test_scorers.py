"""Scorers against numbers worked out by hand; each gives its own key full marks."""

import pytest

from stillhouse.evaluate.scorers import SCORERS, exact_match, normalise, rouge_l

KEYS = ["The cat sat.", "42", "a", "+", "…", "日本語", "¡Olé!", "two\n\nlines", "", "x = {'a': 1}", "running runs"]


@pytest.mark.parametrize("name", SCORERS)
@pytest.mark.parametrize("key", KEYS)
def test_a_grader_grades_its_key(name, key):
    assert SCORERS[name](key, [key]) == 100.0
    assert SCORERS[name](key, ["something else", key]) == 100.0


@pytest.mark.parametrize("name", SCORERS)
@pytest.mark.parametrize(
    ("answer", "references"), [("", ["word"]), ("word", [""]), ("word", []), ("", []), ("+", ["-"]), ("", ["-"])]
)
def test_nothing_in_common_scores_nothing(name, answer, references):
    assert SCORERS[name](answer, references) == 0.0


def test_rouge_l_by_hand():
    # LCS of "the cat sat on the mat" and "the mat sat" is "the sat": precision 2/3, recall 2/6, F = 4/9.
    assert rouge_l("the mat sat", ["the cat sat on the mat"]) == pytest.approx(400 / 9)
    # The best reference counts: F = 1 against the second.
    assert rouge_l("the mat sat", ["the cat sat on the mat", "The mat, sat!"]) == 100.0


def test_rouge_l_compares_stems_and_keeps_short_words():
    assert rouge_l("running", ["runs"]) == 100.0
    assert rouge_l("is", ["a"]) == 0.0


def test_exact_match_ignores_case_punctuation_and_white_space_but_not_articles():
    assert exact_match("  The  CAT,\n sat!! ", ["the cat sat"]) == 100.0
    assert exact_match("cat sat", ["the cat sat"]) == 0.0
    assert exact_match("cat sat", ["the cat sat", "Cat sat."]) == 100.0
    assert exact_match("well-known", ["wellknown"]) == 100.0


def test_normalise():
    assert normalise(" The  'Cat'\tSAT. ") == "the cat sat"
    assert normalise("don't") == "dont"
    assert normalise("…") == "…"  # only ASCII punctuation is removed
    assert normalise("?!") == ""
