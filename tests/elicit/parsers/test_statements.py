import pytest

from stillhouse.elicit.parsers import Unreadable
from stillhouse.elicit.parsers.statements import reasons, stated

LETTERS = {letter: (letter,) for letter in "ABCD"}


@pytest.mark.parametrize(
    "text",
    [
        "B",
        "(b)",
        "**B**",
        "B.",
        "B. The bank is where money is.",
        "B) bank",
        "(B) bank",
        "The answer is B.",
        "So the answer is (b).",
        "the correct answer is: **(B)**",
        "Answer: B",
        "Answer:\nB",
        "**Answer:** B\n",
        "The best choice is B because money is there.",
        "Final verdict: [[B]]",
        "[[B]]",
        "I think that $\\boxed{B}$",
        "The answer is $\\boxed{\\text{B}}$.",
        "A is wrong since rivers are wet.\nThe answer is A? No.\nThe answer is B.",
        "The text says 'the answer is (A)'. My verdict: B",
    ],
)
def test_a_letter_as_it_is_stated(text: str) -> None:
    assert stated(text, LETTERS).value == "B"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A good answer is long.",
        "The answer is a good one.",
        "the answer is not B",
        "Be that as it may",
        "E",
        "Abc. D e",
    ],
)
def test_no_statement(text: str) -> None:
    with pytest.raises(Unreadable, match="no statement"):
        stated(text, LETTERS)


def test_words_and_their_other_spellings() -> None:
    words = {"yes": ("yes", "equal"), "no": ("no", "not equal"), "assistant 1": ("Assistant 1",)}
    assert stated("Not equal.", words).value == "no"
    assert stated("Verdict: YES", words).value == "yes"
    assert stated("Equal, since both ask for it.", words).value == "yes"
    assert stated("The winner is assistant 1!", words).value == "assistant 1"
    with pytest.raises(Unreadable):
        stated("yesterday", words)


def test_which_of_several() -> None:
    text = "The answer is A.\nThe answer is C."
    assert stated(text, LETTERS, "first").value == "A"
    assert stated(text, LETTERS).value == "C"
    with pytest.raises(Unreadable, match="several"):
        stated(text, LETTERS, "only")
    assert stated("Answer: C\nThe answer is C.", LETTERS, "only").value == "C"


@pytest.mark.parametrize(
    ("before", "kept"),
    [
        ("2 + 2 = 4. So, the final ", "2 + 2 = 4."),
        ("Cold.\n**", "Cold."),
        ("The ", ""),
        ("She is the best", "She is"),
        ("x" * 200 + " therefore the ", "x" * 200),
    ],
)
def test_reasons_end_before_the_words_that_lead_to_the_answer(before: str, kept: str) -> None:
    assert reasons(before + "answer is 4", len(before)) == kept
