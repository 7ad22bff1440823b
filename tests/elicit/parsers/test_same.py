import itertools
from typing import Any

import pytest

from stillhouse.elicit.parsers.same import Kind, answer_key, same_answer


@pytest.mark.parametrize(
    ("kind", "same"),
    [
        (
            "number",
            [
                "1,234",
                "1234.0",
                1234,
                1234.0,
                "$1,234",
                "1234 apples",
                "so it is\n#### 1,234",
                "The answer is 1234.",
                "4 more --> 1,234 END",
            ],
        ),
        ("number", ["1/3", "2/6", 1 / 3, "0.333333333"]),
        ("number", [0.3, 0.1 + 0.2, "3/10", "30/100", ".3"]),
        ("number", ["50%", 50, "50.0%"]),
        ("number", ["-7", "−7", -7, "-$7.00"]),
        (
            "choice",
            [
                "B",
                "b",
                "(B)",
                "B.",
                "b. bank",
                "(b) bank",
                "Ducks swim. So the answer is (B).",
                "It is.\n\nAnswer: B",
                "A) is too far away.\n\nAnswer: B: it is near",
            ],
        ),
        ("yes_no", ["yes", "Yes.", True, "TRUE"]),
        ("label", ["Not entailment", " not  entailment."]),
        ("text", ["the cat", '"The cat!"']),
        ("math", [r"\frac{1}{2}", r"\dfrac12", "$1/2$", "0.5", r"so \boxed{\frac{1}{2}}"]),
        ("math", [r"\text{ x }", "x", "$x$", r"\boxed{x}"]),
    ],
)
def test_equal_in_every_pair(kind: Kind, same: list[Any]) -> None:
    for a, b in itertools.product(same, repeat=2):
        assert same_answer(a, b, kind), (a, b)


@pytest.mark.parametrize(
    ("kind", "a", "b"),
    [
        ("number", "12", "1.2"),
        ("number", "0.33", "1/3"),
        ("number", "5", "-5"),
        ("number", "3 of 4", "3"),
        ("number", 10**20, 10**20 + 1),
        ("choice", "A", "B"),
        ("choice", "a dog", "A"),
        ("choice", "A dog. The answer is B.", "A"),
        ("yes_no", "yes", "no"),
        ("label", "entailment", "not entailment"),
        ("math", "x+1", "x-1"),
        ("text", "a", "b"),
    ],
)
def test_different(kind: Kind, a: Any, b: Any) -> None:
    assert not same_answer(a, b, kind)


@pytest.mark.parametrize("letter", "ABCDEFGH")
def test_a_solution_may_state_any_of_eight_letters(letter: str) -> None:
    said = f"Water boils when heated. The answer is {letter}."
    assert all(same_answer(said, gold, "choice") == (gold == letter) for gold in "ABCDEFGH")


@pytest.mark.parametrize("kind", ["number", "choice", "label", "yes_no", "math", "text"])
@pytest.mark.parametrize("nothing", [None, "", "  ", ".", [], {}, ["7"]])
def test_what_is_no_answer_equals_nothing_not_even_itself(kind: Kind, nothing: Any) -> None:
    assert not same_answer(nothing, nothing, kind)


@pytest.mark.parametrize(
    "odd", [float("nan"), float("inf"), "9" * 100_000, "1e99", "1/" * 5000, "{" * 9999, "\\boxed{" * 999]
)
@pytest.mark.parametrize("kind", ["number", "math", "text"])
def test_odd_answers_break_nothing(kind: Kind, odd: Any) -> None:
    assert isinstance(answer_key(odd, kind), str)
