from fractions import Fraction

import pytest

from stillhouse.elicit.parsers import Unreadable
from stillhouse.elicit.parsers.answers import boxed, choice, label, number, yes_no
from stillhouse.elicit.parsers.same import same_answer
from tests.elicit.parsers.gsm8k import MODELS, SOLUTIONS


@pytest.mark.parametrize(("solution", "answer"), SOLUTIONS)
def test_numbers_of_gsm8k(solution: str, answer: str) -> None:
    (found,) = number(solution)
    assert Fraction(found["answer"]) == Fraction(answer.replace(",", ""))
    assert found["rationale"] == solution.partition("####")[0].strip()


@pytest.mark.parametrize(("written", "solution", "right"), MODELS)
def test_models_are_right_where_the_data_set_says_so(written: str, solution: str, right: bool) -> None:
    assert same_answer(number(written)[0]["answer"], solution, "number") is right


@pytest.mark.parametrize(
    "text",
    [
        "#### 1,234",
        "The answer is 1234.",
        "The answer is $1,234.00.",
        "So the final answer is: **1234** apples per 3 days.",
        "Answer: 1200 + 34 = 1234",
        "Answer:\n1234",
        "A: 1234",
        "We get $\\boxed{1234}$.",
        "The answer is $\\boxed{1234}$.",
        "the answer is 5? No.\nThe answer is 1234.",
        "#### 1234.",
    ],
)
def test_a_number_as_it_is_announced(text: str) -> None:
    assert number(text)[0]["answer"] == "1234"


def test_only_loosely_is_the_last_number_the_answer() -> None:
    with pytest.raises(Unreadable, match="no number"):
        number("She has 3 and 4, so 7 in all.")
    assert number("She has 3 and 4, so 7 in all.", loose=True) == [{"answer": "7", "rationale": "She has 3 and 4"}]
    with pytest.raises(Unreadable, match="no number"):
        number("no digits", loose=True)
    with pytest.raises(Unreadable, match="no number"):
        number("The answer is unknown.")


def test_choices_labels_yes_and_no() -> None:
    assert choice("Rivers are wet. So the answer is (b).") == [{"answer": "B", "rationale": "Rivers are wet."}]
    with pytest.raises(Unreadable, match="no statement"):
        choice("The answer is F.")
    assert choice("The answer is 2.", choices=("1", "2"))[0]["answer"] == "2"
    labels = ("entailment", "not entailment")
    assert label("Because.\nAnswer: Not entailment", labels=labels)[0]["answer"] == "not entailment"
    assert yes_no("Cats purr. So the answer is no.") == [{"answer": "no", "rationale": "Cats purr."}]
    assert yes_no("True.")[0]["answer"] == "yes"


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        (r"so \boxed{\frac{1}{2}} it is", r"\frac{1}{2}"),
        (r"\boxed{1} then \boxed{ \{x\} }", r"\{x\}"),
        (r"\boxed{a{b}{c{d}}}", "a{b}{c{d}}"),
    ],
)
def test_what_is_in_the_last_box(text: str, inside: str) -> None:
    assert boxed(text)[0]["answer"] == inside


@pytest.mark.parametrize("text", ["", "no box", r"\boxed{cut", r"\boxed{}", r"\boxed{a{b}"])
def test_no_box(text: str) -> None:
    with pytest.raises(Unreadable, match="no box"):
        boxed(text)
